import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Whether a shell would find a program in the folders of this PATH. */
export const isOnPath = (program: string, path: string) =>
  path.split(delimiter).some(folder => folder !== '' && isExecutable(join(folder, program)))

export function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
