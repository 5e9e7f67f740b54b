import { parseAnnouncement, puttingBack } from '../protocol/steps.ts'
import { parseVerdict } from '../protocol/verdict.ts'
import { flatten, harmless } from '../shared/foreign-text.ts'
import { exitCode } from '../shared/program.ts'
import type { Ci } from './ci/ci.ts'
import { findForge } from './forge.ts'
import { type Listener, terminal } from './push.ts'
import { cut, describeEnding, type Ending, type Result } from './result.ts'
import type { SeenStep } from './seen-steps.ts'
import { formatDuration } from './times.ts'

const keptLines = 15
/** In characters. */
const longestLine = 500

/** Shows a deployment in its CI: steps that fold, a summary, an annotation, outputs for later jobs. */
export class CiReport implements Listener {
  readonly #ci: Ci
  /** Of the current step, or of the one that failed. */
  #lastLines: string[] = []
  /** After the step that failed. */
  #isPuttingBack = false
  #count = 0
  #openStep: string | undefined

  constructor(ci: Ci) {
    this.#ci = ci
  }

  serverPrinted(line: string): void {
    const name = parseAnnouncement(line)
    const isVerdict = parseVerdict(line) !== undefined
    if (name || isVerdict) this.#endStep()
    if (name === puttingBack) this.#isPuttingBack = true
    if (name) this.#beginStep(name)
    else if (!isVerdict && !this.#isPuttingBack) {
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
    const ending = describeEnding(result, outcome)
    const { isLive, title, said: verdict } = ending
    const { commit = '', url = '', steps: { list: steps = [] } = {} } = result
    const began = steps[0]?.began ?? Date.now()
    const seconds = ((steps.at(-1)?.ended ?? began) - began) / 1000
    this.#ci.annotate?.(isLive ? 'notice' : ending.code === 0 ? 'warning' : 'error', title, verdict)
    this.#ci.writeOutputs?.({ live: `${isLive}`, commit, verdict, url, seconds: `${seconds}` })
    this.#ci.writeSummary?.(this.#summary(result, ending, seconds))
    // In the CI's log the step is folded.
    if (!isLive && !this.#ci.writeSummary) for (const line of this.#lastLines) terminal.clientPrinted(`    ${line}`)
  }

  #beginStep(name: string) {
    if (!this.#isPuttingBack) this.#lastLines = []
    this.#openStep = `step_${++this.#count}`
    this.#ci.beginStep?.(name, this.#openStep)
  }

  #endStep() {
    if (this.#openStep) this.#ci.endStep?.(this.#openStep)
    this.#openStep = undefined
  }

  #summary(
    { commit, subject, url, movedFrom, steps: seen }: Result,
    { code, title, said, isLive }: Ending,
    seconds: number,
  ): string {
    const steps = seen?.list ?? []
    const failed = code === exitCode.failed ? (seen?.failedAt ?? -1) : -1
    const rows = steps.map(({ name, began, ended = began }, index) => {
      const mark = failed < 0 ? '' : index < failed ? '✓ ' : index === failed ? '✗ ' : ''
      return `| ${mark}${name} | ${formatDuration(ended - began)} |`
    })
    const forge = findForge(this.#ci.run)
    const shown =
      commit && (forge ? `[\`${commit.slice(0, 10)}\`](${forge.commit(commit)})` : `\`${commit.slice(0, 10)}\``)
    const about = [
      steps.length > 0 && `${formatDuration(seconds * 1000)} in all`,
      this.#ci.by && `by ${escapeMarkdown(flatten(this.#ci.by))}`,
      forge && commit && movedFrom && `[what it changes](${forge.compare(movedFrom, commit)})`,
      this.#ci.run && `[the run](${this.#ci.run})`,
    ].filter(Boolean)
    const last = isLive || this.#lastLines.length === 0 ? [] : ['', '```text', ...this.#lastLines.map(unfence), '```']
    const heading = [`${title}:`, subject && escapeMarkdown(flatten(subject)), shown, url].filter(Boolean)
    return [
      `### ${isLive ? '🟢' : code === 0 ? '🟡' : '🔴'} ${heading.join(' ').replace(/:$/, '')}`,
      '',
      escapeMarkdown(said),
      ...(about.length > 0 ? ['', about.join(' · ')] : []),
      ...last,
      ...(rows.length > 0 ? ['', '| step | took |', '|---|---|', ...rows] : []),
      ...drawChart(steps, seconds),
      '',
    ].join('\n')
  }
}

/** The steps that took long enough to be seen. Fewer than two, or of one second, say no more than the table. */
function drawChart(steps: readonly SeenStep[], seconds: number): string[] {
  const tasks = steps
    .filter(({ began, ended = began }) => ended - began >= 10 * seconds && ended > began)
    .map(({ name, began, ended }) => `  ${name} : ${began}, ${ended}`)
  if (tasks.length < 2 || seconds < 1) return []
  return ['', '```mermaid', 'gantt', '  dateFormat x', '  axisFormat %H:%M:%S', ...tasks, '```']
}

const escapeMarkdown = (text: string) => text.replace(/[\\`*_{}[\]<>()#|~]/g, '\\$&')
const unfence = (line: string) => line.replaceAll('```', "'''")
