import { isRollback } from '../protocol/asks.ts'
import { formatFailedStep } from '../protocol/steps.ts'
import { alreadyLive, isDeployed, type Verdict } from '../protocol/verdict.ts'
import { flatten } from '../shared/foreign-text.ts'
import { exitCode, Failure } from '../shared/program.ts'
import { typed } from './called-as.ts'
import type { Session } from './clone.ts'
import { readSubjects } from './history.ts'
import { announce } from './outcome.ts'
import type { Pushed } from './push.ts'
import { nameCommit, pushing, Screen, shortenIds } from './screen.ts'
import { formatDuration } from './times.ts'

/** A deployment for a person at a terminal: what is deployed where, its steps, the verdict and what to type next. */
export class DeploymentScreen extends Screen {
  /** @param commit undefined for a rollback to what was live before */
  async open(session: Session, commit: string | undefined, goesBack = false): Promise<void> {
    const { settings, options } = session
    const { user, host, url } = settings.STAGING_REMOTE_REPO
    const place = `${host === undefined ? url : user ? `${user}@${host}` : host} (${settings.BRANCH_NAME})`
    const name = commit && nameCommit(commit, (await readSubjects(session, [commit])).get(commit))
    if (!goesBack) this.say(`Deploying ${name} to ${place}`, 'bold')
    else this.say(`Going back to ${name ?? 'what was live before'} on ${place}${withDatabase(options)}`, 'bold')
    this.wait(pushing)
  }

  /**
   * `announce` for a person: the verdict, the reason once, what is live, and what to type next.
   *
   * @returns the exit code
   * @throws Failure where the hook gave no verdict
   */
  async announce(pushed: Pushed, acceptsNoVerdict: boolean, session: Session): Promise<number> {
    const { verdict } = pushed
    if (verdict === undefined) this.showKept()
    const ids = `${verdict?.commit} ${verdict?.explanation}`.match(/\b[0-9a-f]{40,64}\b/g) ?? []
    const subjects = await readSubjects(session, ids)
    try {
      return announce(pushed, acceptsNoVerdict, live => this.#sayLive(live, subjects, session))
    } catch (error) {
      const isOfHook = verdict !== undefined && error instanceof Failure && error.exitCode === exitCode.failed
      if (!isOfHook) throw error
      this.#sayNotLive(verdict, isRollback(pushed.push.ask?.verb), subjects, session)
      return error.exitCode
    }
  }

  #sayLive(verdict: Verdict, subjects: ReadonlyMap<string, string>, { settings }: Session) {
    const { commit, notChecked } = verdict
    const word = notChecked === undefined ? 'LIVE' : 'IN PLACE'
    const text = `✓ ${word}  ${nameCommit(commit, subjects.get(commit))}${shortenIds(describeHow(verdict))}`
    this.say(text, ['bold', 'green'])
    if (notChecked !== undefined) this.say(`Not checked: ${flatten(notChecked)}.`, undefined, 2)
    if (settings.APP_URL) this.say(settings.APP_URL, undefined, 2)
  }

  #sayNotLive(
    { commit, explanation }: Verdict,
    goesBack: boolean,
    subjects: ReadonlyMap<string, string>,
    { options }: Session,
  ) {
    const said = flatten(explanation)
    const failed = this.failure && formatFailedStep(this.failure.step, flatten(this.failure.reason))
    const failure = failed !== undefined && said.startsWith(failed) ? this.failure : undefined
    const reason = failure ? `: ${flatten(failure.reason).replace(/\.$/, '')}` : ''
    const rest = failure ? said.slice(failed?.length).trim() : said
    const name = commit === 'previous' ? '' : `  ${nameCommit(commit, subjects.get(commit))}`
    this.say(`✗ ${goesBack ? 'NOT ROLLED BACK' : 'NOT LIVE'}${name}${shortenIds(reason)}`, ['bold', 'red'])
    // What to type stands in the last line.
    if (rest) this.say(shortenIds(rest.replace(wayBack, ''), subjects), undefined, 2)
    if (failure?.fix) this.say(`To do: ${shortenIds(failure.fix)}`, undefined, 2)
    const type = (command: string) => typed(command, options)
    const next = [
      failure ? type('log') : type('status'),
      ...(goesBack ? [type('history')] : failure ? ['mend and push'] : []),
      ...(wayBack.test(rest) ? [type('rollback --database')] : []),
    ]
    this.say(`Next: ${next.join(' | ')}`, undefined, 2)
  }
}

/** In the hook's words. */
const wayBack = / `deploy rollback --database` takes it back\./

const withDatabase = ({ database }: Session['options']) => (database ? ', with the database' : '')

/** How the commit came to be live. */
function describeHow(verdict: Verdict): string {
  const explanation = flatten(verdict.explanation)
  if (isDeployed(verdict)) {
    return explanation.replace(/^in ([\d.]+) s/, (_, seconds) => ` in ${formatDuration(Number(seconds) * 1000)}`)
  }
  const [, newer] = /^as part of (\S+), which is newer$/.exec(explanation) ?? []
  if (newer !== undefined) return `, as part of the newer ${newer}`
  if (explanation.startsWith(alreadyLive)) return explanation.replace(alreadyLive, ', as before')
  return explanation && `, ${explanation}`
}
