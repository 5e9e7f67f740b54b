import { parseAnnouncement, puttingBack } from '../protocol/steps.ts'
import { isDeployed, parseVerdict } from '../protocol/verdict.ts'
import { flatten, harmless } from '../shared/foreign-text.ts'
import { exitCode, Failure } from '../shared/program.ts'
import type { Ci } from './ci/ci.ts'
import { findForge } from './forge.ts'
import type { Result } from './json.ts'
import { formatLive } from './outcome.ts'
import { type Listener, terminal } from './push.ts'
import { formatDuration } from './times.ts'

const keptLines = 15
/** In characters: a CI takes no summary of a megabyte. */
const [longestLine, longestVerdict] = [500, 4000]

/** When a step began and ended, by this machine's clock: milliseconds since 1970. */
interface SeenStep {
  readonly name: string
  readonly began: number
  ended?: number
}

/** Shows a deployment in its CI: steps that fold, a summary, an annotation, outputs for later jobs. */
export class CiReport implements Listener {
  readonly #ci: Ci
  readonly #steps: SeenStep[] = []
  /** Of the current step, or of the one that failed. */
  #lastLines: string[] = []
  /** How many steps there were when the previous code began to be put back: the last of them has failed. */
  #puttingBackAt: number | undefined
  #openStep: string | undefined

  constructor(ci: Ci) {
    this.#ci = ci
  }

  serverPrinted(line: string): void {
    const name = parseAnnouncement(line)
    const isVerdict = parseVerdict(line) !== undefined
    if (name || isVerdict) this.#endStep()
    if (name === puttingBack) this.#puttingBackAt ??= this.#steps.length
    if (name) this.#beginStep(name)
    else if (!isVerdict && this.#puttingBackAt === undefined) {
      this.#lastLines = [...this.#lastLines, cut(harmless(line), longestLine)].slice(-keptLines)
    }
    terminal.serverPrinted(line)
  }

  clientPrinted(line: string): void {
    terminal.clientPrinted(line)
  }

  /** @param outcome the exit code, or what was thrown in its place */
  conclude(result: Result, outcome: unknown): void {
    this.#endStep()
    const { commit = '', verdict: found, url = '' } = result
    const isLive = found?.live === true
    const code = typeof outcome === 'number' ? outcome : outcome instanceof Failure ? outcome.exitCode : exitCode.bug
    const failure = outcome instanceof Failure ? outcome : undefined
    const said = isLive
      ? `${formatLive(found)}${isDeployed(found) ? '' : `, ${flatten(found.explanation)}`}.`
      : outcome === 0
        ? `${commit} was pushed. Whether it is live is not known.`
        : flatten(failure ? `${failure.message} ${failure.why}` : String(outcome))
    const verdict = cut(said, longestVerdict)
    const title = isLive ? (found.notChecked === undefined ? 'Live' : 'In place') : (titles[code] ?? 'Ended early')
    const began = this.#steps[0]?.began ?? Date.now()
    const seconds = ((this.#steps.at(-1)?.ended ?? began) - began) / 1000
    this.#ci.annotate?.(isLive ? 'notice' : outcome === 0 ? 'warning' : 'error', title, verdict)
    this.#ci.writeOutputs?.({ live: `${isLive}`, commit, verdict, url, seconds: `${seconds}` })
    this.#ci.writeSummary?.(this.#summary(result, { title, verdict, isLive, seconds, outcome }))
    // In the CI's log the step is folded.
    if (!isLive && !this.#ci.writeSummary) for (const line of this.#lastLines) terminal.clientPrinted(`    ${line}`)
  }

  #beginStep(name: string) {
    this.#steps.push({ name, began: Date.now() })
    if (this.#puttingBackAt === undefined) this.#lastLines = []
    this.#openStep = `step_${this.#steps.length}`
    this.#ci.beginStep?.(name, this.#openStep)
  }

  #endStep() {
    const step = this.#steps.at(-1)
    if (step) step.ended ??= Date.now()
    if (this.#openStep) this.#ci.endStep?.(this.#openStep)
    this.#openStep = undefined
  }

  #summary(
    { commit, subject, url, movedFrom }: Result,
    { title, verdict, isLive, seconds, outcome }: Conclusion,
  ): string {
    const failed =
      outcome instanceof Failure && outcome.exitCode === exitCode.failed
        ? (this.#puttingBackAt ?? this.#steps.length) - 1
        : -1
    const rows = this.#steps.map(({ name, began, ended = began }, index) => {
      const mark = failed < 0 ? '' : index < failed ? '✓ ' : index === failed ? '✗ ' : ''
      return `| ${mark}${name} | ${formatDuration(ended - began)} |`
    })
    const forge = findForge(this.#ci.run)
    const shown =
      commit && (forge ? `[\`${commit.slice(0, 10)}\`](${forge.commit(commit)})` : `\`${commit.slice(0, 10)}\``)
    const about = [
      this.#steps.length > 0 && `${formatDuration(seconds * 1000)} in all`,
      this.#ci.by && `by ${escapeMarkdown(flatten(this.#ci.by))}`,
      forge && commit && movedFrom && `[what it changes](${forge.compare(movedFrom, commit)})`,
      this.#ci.run && `[the run](${this.#ci.run})`,
    ].filter(Boolean)
    const last = isLive || this.#lastLines.length === 0 ? [] : ['', '```text', ...this.#lastLines.map(unfence), '```']
    const heading = [`${title}:`, subject && escapeMarkdown(flatten(subject)), shown, url].filter(Boolean)
    return [
      `### ${isLive ? '🟢' : outcome === 0 ? '🟡' : '🔴'} ${heading.join(' ').replace(/:$/, '')}`,
      '',
      escapeMarkdown(verdict),
      ...(about.length > 0 ? ['', about.join(' · ')] : []),
      ...last,
      ...(rows.length > 0 ? ['', '| step | took |', '|---|---|', ...rows] : []),
      ...this.#chart(seconds),
      '',
    ].join('\n')
  }

  /** The steps that took long enough to be seen. Fewer than two, or of one second, say no more than the table. */
  #chart(seconds: number): string[] {
    const tasks = this.#steps
      .filter(({ began, ended = began }) => ended - began >= 10 * seconds && ended > began)
      .map(({ name, began, ended }) => `  ${name} : ${began}, ${ended}`)
    if (tasks.length < 2 || seconds < 1) return []
    return ['', '```mermaid', 'gantt', '  dateFormat x', '  axisFormat %H:%M:%S', ...tasks, '```']
  }
}

interface Conclusion {
  readonly title: string
  readonly verdict: string
  readonly isLive: boolean
  readonly seconds: number
  readonly outcome: unknown
}

/** By exit code. */
const titles: Readonly<Record<number, string>> = {
  0: 'Not verified',
  [exitCode.failed]: 'Not live',
  [exitCode.usage]: 'Nothing was sent',
  [exitCode.unreachable]: 'Server not reached',
  [exitCode.refused]: 'Push refused',
  [exitCode.unknown]: 'No verdict',
  [exitCode.bug]: 'A bug in pushlive',
}

const escapeMarkdown = (text: string) => text.replace(/[\\`*_{}[\]<>()#|~]/g, '\\$&')
const cut = (text: string, length: number) => (text.length > length ? `${text.slice(0, length)} ...` : text)
const unfence = (line: string) => line.replaceAll('```', "'''")
