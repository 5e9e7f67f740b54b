import { readFileSync } from 'node:fs'

/** A process of this machine, as /proc has it. */
export interface Process {
  readonly pid: number
  readonly parent: number
  readonly session: number
  readonly hasTerminal: boolean
  /** Clock ticks since the boot: tells it from a later one of the same number. */
  readonly started: string
}

/** Undefined where there is no such process, none that still runs, or no /proc. */
export function readProcess(pid: number | string): Process | undefined {
  try {
    // proc_pid_stat(5): pid (comm) state ppid pgrp session tty_nr ... starttime is the 22nd; comm may hold blanks and brackets.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const [state, parent, , session, terminal] = fields
    if (state === 'Z') return undefined
    return {
      pid: Number(pid),
      parent: Number(parent),
      session: Number(session),
      hasTerminal: terminal !== '0',
      started: fields[19] ?? '',
    }
  } catch {
    return undefined
  }
}
