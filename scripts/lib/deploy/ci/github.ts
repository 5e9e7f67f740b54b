import { exitOnSignals } from '../../shared/signals.ts'
import { newUnique } from '../clone.ts'
import { append, formatOutputs, type RecognizeCi, writeLine } from './ci.ts'

/** GitHub, Gitea and Forgejo. */
export const github: RecognizeCi = env => {
  if (env.GITHUB_ACTIONS !== 'true') return undefined
  const { GITHUB_SERVER_URL, GITHUB_REPOSITORY, GITHUB_RUN_ID, GITHUB_OUTPUT, GITHUB_STEP_SUMMARY } = env
  const token = newUnique()
  const command = (text: string) => writeLine(`::${token}::\n${text}\n::stop-commands::${token}`)
  return {
    by: env.GITHUB_TRIGGERING_ACTOR || env.GITHUB_ACTOR || undefined,
    run: GITHUB_RUN_ID && `${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}/actions/runs/${GITHUB_RUN_ID}`,
    fullHistory: 'actions/checkout with `fetch-depth: 0`',

    /** Nothing that is printed is a command from now on, but what `command` prints. */
    open() {
      writeLine(`::stop-commands::${token}`)
      exitOnSignals()
      // For what the job's step runs after us.
      process.once('exit', () => writeLine(`::${token}::`))
      disarm(process.stdout)
    },
    beginStep: name => command(`::group::${name}`),
    endStep: () => command('::endgroup::'),
    annotate: (kind, title, verdict) => command(`::${kind} title=${title}::${escapeCommand(verdict)}`),
    writeOutputs: values => append(GITHUB_OUTPUT, formatOutputs(values)),
    writeSummary: markdown => append(GITHUB_STEP_SUMMARY, markdown),
  }
}

/**
 * The runner reads standard output by itself: it may get a line of it when the commands of standard error are stopped no
 * more. So no line there is a command: none begins with `::`, and none has `##[`, which the runner finds anywhere.
 */
function disarm(output: NodeJS.WriteStream) {
  const write = output.write.bind(output) as (text: unknown, ...rest: unknown[]) => boolean
  output.write = (text: unknown, ...rest: unknown[]) =>
    write(typeof text === 'string' ? text.replace(/^[^!-~]*:(?=:)|#(?=#\[)/gm, '$& ') : text, ...rest)
}

/** GitHub's own escapes for the text of a command. */
const escapeCommand = (text: string) =>
  text
    .replace(/#(?=#\[)/g, '# ')
    .replaceAll('%', '%25')
    .replaceAll('\r', '%0D')
    .replaceAll('\n', '%0A')
