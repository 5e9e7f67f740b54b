import { appendFileSync } from 'node:fs'
import type { Origin } from '../../protocol/origin.ts'
import { flatten } from '../../shared/foreign-text.ts'

/** The CI that deploy runs in, and how it shows a deployment. What a CI has no way to show, its object leaves out. */
export interface Ci extends Origin {
  /** How a clone with the whole history is asked for there. */
  readonly fullHistory: string
  /** Before anything is printed. */
  open?(): void
  /** The lines that follow belong to a step. @param id a word that no other step has */
  beginStep?(name: string, id: string): void
  endStep?(id: string): void
  annotate?(kind: 'notice' | 'warning' | 'error', title: string, verdict: string): void
  /** Gives later jobs the values. */
  writeOutputs?(values: Outputs): void
  writeSummary?(markdown: string): void
}

export type Outputs = Readonly<Record<'live' | 'commit' | 'verdict' | 'url' | 'seconds', string>>

/** Undefined where this process does not run in that CI: by the variables that each documents. */
export type RecognizeCi = (env: NodeJS.ProcessEnv) => Ci | undefined

export const formatOutputs = (values: Readonly<Record<string, string>>) =>
  Object.entries(values)
    .map(([name, value]) => `${name}=${flatten(value)}\n`)
    .join('')

/** A CI may give no file, or one that cannot be written: that does not change the deployment. */
export function append(file: string | undefined, text: string): void {
  if (!file) return
  try {
    appendFileSync(file, text)
  } catch (error) {
    writeLine(`${file} could not be written: ${error}`)
  }
}

export const writeLine = (line: string) => process.stderr.write(`${line}\n`)
