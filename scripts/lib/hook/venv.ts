import { spawnSync } from 'node:child_process'
import { existsSync, lstatSync, realpathSync } from 'node:fs'
import { basename, join } from 'node:path'
import { readStateFile } from './state-file.ts'

/** Whether a virtual environment has its python, of the version that it was made for: its packages lie below that. */
export function isUsable(venv: string): boolean {
  const python = join(venv, 'bin/python')
  if (!existsSync(python)) return false
  const made = /^version(?:_info)?\s*=\s*(\d+\.\d+)/m.exec(readStateFile(join(venv, 'pyvenv.cfg')) ?? '')?.[1]
  return made === undefined || made === versionOf(python)
}

/** The same for one that others have made, which may have no python at all. */
export const isUsableWithoutPython = (venv: string) =>
  existsSync(join(venv, 'bin')) &&
  (lstatSync(join(venv, 'bin/python'), { throwIfNoEntry: false }) === undefined || isUsable(venv))

/** Mostly the name of the program tells it, and no process has to be started for it. */
function versionOf(python: string): string | undefined {
  const name = /^python(\d+\.\d+)$/.exec(basename(realpathSync(python)))?.[1]
  if (name !== undefined) return name
  const { stdout } = spawnSync(python, ['--version'], { encoding: 'utf8', timeout: 10_000 })
  return /^Python (\d+\.\d+)/.exec(stdout ?? '')?.[1]
}
