import { newUnique } from '../clone.ts'
import { append, formatOutputs, type RecognizeCi, writeLine } from './ci.ts'

/** GitHub, Gitea and Forgejo. */
export const github: RecognizeCi = env => {
  if (env.GITHUB_ACTIONS !== 'true') return undefined
  const { GITHUB_SERVER_URL, GITHUB_REPOSITORY, GITHUB_RUN_ID, GITHUB_OUTPUT, GITHUB_STEP_SUMMARY } = env
  const token = newUnique()
  /** A command of ours, amid what the server prints. */
  const command = (text: string) => writeLine(`::${token}::\n${text}\n::stop-commands::${token}`)
  return {
    by: env.GITHUB_TRIGGERING_ACTOR || env.GITHUB_ACTOR || undefined,
    run: GITHUB_RUN_ID && `${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}/actions/runs/${GITHUB_RUN_ID}`,
    fullHistory: 'actions/checkout with `fetch-depth: 0`',

    /** What the server prints is no command to the runner before this is said (it finds `##[` anywhere in a line). */
    open() {
      writeLine(`::stop-commands::${token}`)
      // After our last words, which quote the server.
      process.once('exit', () => writeLine(`::${token}::`))
    },
    beginStep: name => command(`::group::${name}`),
    endStep: () => command('::endgroup::'),
    annotate(isLive, verdict) {
      const [kind, title] = isLive ? ['notice', 'Live'] : ['error', 'Not live']
      command(`::${kind} title=${title}::${escapeCommand(verdict)}`)
    },
    writeOutputs: values => append(GITHUB_OUTPUT, formatOutputs(values)),
    writeSummary: markdown => append(GITHUB_STEP_SUMMARY, markdown),
  }
}

/** GitHub's own escapes for the text of a command. */
const escapeCommand = (text: string) => text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
