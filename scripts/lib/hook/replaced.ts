import { lstatSync, mkdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { flatten } from '../shared/foreign-text.ts'
import { type GitPath, inside, namesIn, parentOf } from './git-paths.ts'
import { move } from './merge-folders.ts'

/** How many deployments' folders are kept. */
const mostFolders = 10

/**
 * Where people find what was moved out of the way in releases and in the shared folder: in a folder for each deployment
 * that moved something. The newest of them are kept.
 */
export class Replaced {
  readonly #folder: string
  readonly #current: string
  readonly #say: (note: string) => void

  /** @param current the name of this deployment's folder, which is greater than that of those before */
  constructor(folder: string, current: string, say: (note: string) => void) {
    this.#folder = folder
    this.#current = current
    this.#say = say
  }

  /** Moves a file or folder there. @returns where it is now */
  take(path: string | Buffer, name: GitPath | Buffer): string {
    const wanted = inside(join(this.#folder, this.#current), name)
    mkdirSync(dirname(this.#folder), { recursive: true })
    // It may have been a secret.
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 })
    mkdirSync(parentOf(wanted), { recursive: true })
    let place = wanted
    for (let number = 2; lstatSync(place, { throwIfNoEntry: false }); number++) {
      place = Buffer.concat([wanted, Buffer.from(`.${number}`)])
    }
    move(path, place)
    this.#removeOldest()
    return flatten(String(place))
  }

  #removeOldest(): void {
    const names = namesIn(this.#folder).sort()
    for (const name of names.slice(0, Math.max(0, names.length - mostFolders))) {
      const folder = inside(this.#folder, name)
      try {
        rmSync(folder, { recursive: true })
        this.#say(`REMOVED, because only the newest ${mostFolders} are kept: ${flatten(String(folder))}`)
      } catch (error) {
        this.#say(flatten(`CANNOT BE REMOVED: ${folder} (${String(error)})`))
      }
    }
  }
}
