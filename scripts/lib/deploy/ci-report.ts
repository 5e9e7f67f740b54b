import { parseAnnouncement, puttingBack } from '../protocol/steps.ts'
import { parseVerdict } from '../protocol/verdict.ts'
import { flatten, harmless } from '../shared/foreign-text.ts'
import { Failure } from '../shared/program.ts'
import type { Ci } from './ci/ci.ts'
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
  readonly #url: string | undefined
  readonly #steps: SeenStep[] = []
  /** Of the current step, or of the one that failed. */
  #lastLines: string[] = []
  #hasFailed = false
  #openStep: string | undefined

  /** @param url where the application is */
  constructor(ci: Ci, url: string | undefined) {
    this.#ci = ci
    this.#url = url
  }

  serverPrinted(line: string): void {
    const name = parseAnnouncement(line)
    const isVerdict = parseVerdict(line) !== undefined
    if (name || isVerdict) this.#endStep()
    if (name === puttingBack) this.#hasFailed = true
    if (name) this.#beginStep(name)
    else if (!isVerdict && !this.#hasFailed) {
      this.#lastLines = [...this.#lastLines, cut(harmless(line), longestLine)].slice(-keptLines)
    }
    terminal.serverPrinted(line)
  }

  clientPrinted(line: string): void {
    terminal.clientPrinted(line)
  }

  /** @param outcome the exit code, or what was thrown in its place */
  conclude({ commit = '', verdict: found }: Result, outcome: unknown): void {
    this.#endStep()
    const isLive = found?.live === true
    const failure = outcome instanceof Failure ? outcome : undefined
    const said = isLive
      ? `${formatLive(found)}.`
      : outcome === 0
        ? `${commit} was pushed. Whether it is live is not known.`
        : flatten(failure ? `${failure.message} ${failure.why}` : String(outcome))
    const verdict = cut(said, longestVerdict)
    const began = this.#steps[0]?.began ?? Date.now()
    const seconds = ((this.#steps.at(-1)?.ended ?? began) - began) / 1000
    this.#ci.annotate?.(isLive ? 'notice' : outcome === 0 ? 'warning' : 'error', verdict)
    this.#ci.writeOutputs?.({ live: `${isLive}`, commit, verdict, url: this.#url ?? '', seconds: `${seconds}` })
    this.#ci.writeSummary?.(this.#summary(verdict, isLive, outcome))
  }

  #beginStep(name: string) {
    this.#steps.push({ name, began: Date.now() })
    if (!this.#hasFailed) this.#lastLines = []
    this.#openStep = `step_${this.#steps.length}`
    this.#ci.beginStep?.(name, this.#openStep)
  }

  #endStep() {
    const step = this.#steps.at(-1)
    if (step) step.ended ??= Date.now()
    if (this.#openStep) this.#ci.endStep?.(this.#openStep)
    this.#openStep = undefined
  }

  #summary(verdict: string, isLive: boolean, outcome: unknown): string {
    const steps = this.#steps.map(({ name, began, ended = began }) => ({ name, began, ended }))
    const rows = steps.map(({ name, began, ended }) => `| ${name} | ${formatDuration(ended - began)} |`)
    // Mermaid takes no task of no length.
    const tasks = steps.map(({ name, began, ended }) => `  ${name} : ${began}, ${Math.max(ended, began + 1)}`)
    const last = isLive || this.#lastLines.length === 0 ? [] : ['', '```text', ...this.#lastLines.map(unfence), '```']
    return [
      `### ${isLive ? '🟢' : outcome === 0 ? '🟡' : '🔴'} ${escapeMarkdown(verdict)}`,
      ...(this.#url && isLive ? ['', this.#url] : []),
      ...last,
      ...(steps.length === 0 ? [] : ['', '| step | took |', '|---|---|', ...rows]),
      ...(steps.length === 0
        ? []
        : ['', '```mermaid', 'gantt', '  dateFormat x', '  axisFormat %H:%M:%S', ...tasks, '```']),
      '',
    ].join('\n')
  }
}

const escapeMarkdown = (text: string) => text.replace(/[\\`*_{}[\]<>()#|~]/g, '\\$&')
const cut = (text: string, length: number) => (text.length > length ? `${text.slice(0, length)} ...` : text)
const unfence = (line: string) => line.replaceAll('```', "'''")
