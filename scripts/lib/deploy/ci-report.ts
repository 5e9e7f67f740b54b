import { appendFileSync, writeSync } from 'node:fs'
import { parseVerdict } from '../protocol/verdict.ts'
import { flatten, harmless } from '../shared/foreign-text.ts'
import { Failure } from '../shared/program.ts'
import type { Ci } from './ci.ts'
import { newUnique } from './clone.ts'
import { type Listener, terminal } from './push.ts'
import { parseStep } from './step-clock.ts'

const keptLines = 15

/** A step as it was seen from here: milliseconds since 1970. */
interface SeenStep {
  readonly name: string
  readonly began: number
  ended?: number
}

/** Shows a deployment as its CI shows such things: steps that fold, a summary, an annotation, outputs for other jobs. */
export class CiReport implements Listener {
  readonly #ci: Ci
  readonly #url: string | undefined
  readonly #steps: SeenStep[] = []
  /** Of the step that is under way. */
  #lastLines: string[] = []
  #fold: string | undefined
  /** What the server prints is no command to the CI before this is said (GitHub's runner finds `##[` anywhere). */
  readonly #token = newUnique()

  /** @param url where the application is */
  constructor(ci: Ci, url: string | undefined) {
    this.#ci = ci
    this.#url = url
    if (ci.language !== 'github') return
    write(`::stop-commands::${this.#token}`)
    // Behind the last words of ours, which quote the server.
    process.once('exit', () => writeSync(2, `::${this.#token}::\n`))
  }

  said(line: string): void {
    const name = parseStep(line)
    const isVerdict = parseVerdict(line) !== undefined
    if (name || isVerdict) this.#endStep()
    if (name) this.#beginStep(name)
    else if (!isVerdict) this.#lastLines = [...this.#lastLines, harmless(line)].slice(-keptLines)
    terminal.said(line)
  }

  noted(line: string): void {
    terminal.noted(line)
  }

  /** @param outcome the exit code, or what was thrown in its place */
  conclude(commit: string, outcome: unknown): void {
    this.#endStep()
    const isLive = outcome === 0
    const failure = outcome instanceof Failure ? outcome : undefined
    const verdict = isLive
      ? `${commit} IS LIVE.`
      : flatten(failure ? `${failure.message} ${failure.why}` : String(outcome))
    const began = this.#steps[0]?.began ?? Date.now()
    const seconds = ((this.#steps.at(-1)?.ended ?? began) - began) / 1000
    const values = { live: `${isLive}`, commit, verdict, url: this.#url ?? '', seconds: `${seconds}` }
    if (this.#ci.language === 'github') {
      const [kind, title] = isLive ? ['notice', 'Live'] : ['error', 'Not live']
      this.#command(`::${kind} title=${title}::${escapeCommand(verdict)}`)
      append(process.env.GITHUB_OUTPUT, formatLines(values))
      append(process.env.GITHUB_STEP_SUMMARY, this.#summary(verdict, isLive))
    } else if (this.#ci.language === 'gitlab') {
      const named = Object.entries(values).map(([name, value]) => [`DEPLOY_${name.toUpperCase()}`, value] as const)
      append('deploy.env', formatLines(Object.fromEntries(named)))
    }
  }

  #beginStep(name: string) {
    this.#steps.push({ name, began: Date.now() })
    this.#lastLines = []
    this.#fold = `step_${this.#steps.length}`
    if (this.#ci.language === 'github') this.#command(`::group::${name}`)
    if (this.#ci.language === 'gitlab')
      write(`\u001b[0Ksection_start:${unixTime()}:${this.#fold}[collapsed=true]\r\u001b[0K${name}`)
  }

  #endStep() {
    const step = this.#steps.at(-1)
    if (step) step.ended ??= Date.now()
    if (this.#fold && this.#ci.language === 'github') this.#command('::endgroup::')
    if (this.#fold && this.#ci.language === 'gitlab')
      write(`\u001b[0Ksection_end:${unixTime()}:${this.#fold}\r\u001b[0K`)
    this.#fold = undefined
  }

  /** A command of ours, amid what the server prints. */
  #command(command: string) {
    write(`::${this.#token}::\n${command}\n::stop-commands::${this.#token}`)
  }

  #summary(verdict: string, isLive: boolean): string {
    const steps = this.#steps.map(({ name, began, ended = began }) => ({ name, began, ended }))
    const rows = steps.map(({ name, began, ended }) => `| ${name} | ${((ended - began) / 1000).toFixed(1)} s |`)
    // Mermaid takes no task of no length.
    const tasks = steps.map(({ name, began, ended }) => `  ${name} : ${began}, ${Math.max(ended, began + 1)}`)
    const last = isLive || this.#lastLines.length === 0 ? [] : ['', '```text', ...this.#lastLines.map(unfence), '```']
    return [
      `### ${isLive ? '🟢' : '🔴'} ${escapeMarkdown(verdict)}`,
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

const write = (line: string) => process.stderr.write(`${line}\n`)
const unixTime = () => Math.floor(Date.now() / 1000)

/** GitHub's own escapes for what stands behind `::`. */
const escapeCommand = (text: string) => text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
const escapeMarkdown = (text: string) => text.replace(/[\\`*_{}[\]<>()#|~]/g, '\\$&')
const unfence = (line: string) => line.replaceAll('```', "'''")

const formatLines = (values: Readonly<Record<string, string>>) =>
  Object.entries(values)
    .map(([name, value]) => `${name}=${flatten(value)}\n`)
    .join('')

/** Where the CI gives no file, or one that cannot be written, the deployment is what it is all the same. */
function append(file: string | undefined, text: string): void {
  if (!file) return
  try {
    appendFileSync(file, text)
  } catch (error) {
    write(`${file} could not be written: ${error}`)
  }
}
