import { existsSync, lstatSync, mkdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { flatten } from '../shared/foreign-text.ts'
import { type GitPath, inside, namesIn, parentOf, toText } from './git-paths.ts'
import { move } from './merge-folders.ts'

/** How many deployments' folders are kept. */
const mostFolders = 10

/** What of a DeploymentContext it depends on. */
export interface Deploying {
  readonly releases: { readonly isInPlace: boolean; readonly shared: string }
  readonly repository: { readonly gitDir: string }
  readonly deployment: { readonly entry: { readonly started: number }; readonly log: { say(note: string): void } }
}

/** @param within a folder in the deployment's, for what comes from one release */
export function openReplaced({ releases, repository, deployment }: Deploying, within = ''): Replaced {
  const folder = releases.isInPlace ? join(repository.gitDir, 'pushlive') : dirname(releases.shared)
  const { entry, log } = deployment
  return new Replaced(join(folder, 'replaced'), new Date(entry.started).toISOString(), within, note => log.say(note))
}

/**
 * Where people find what deployments have moved out of the way: in a folder for each that moved something. The newest of
 * them are kept. They are numbered, because a clock may be set back.
 */
export class Replaced {
  readonly #folder: string
  readonly #time: string
  readonly #within: string
  readonly #say: (note: string) => void

  /** @param time of the deployment */
  constructor(folder: string, time: string, within: string, say: (note: string) => void) {
    this.#folder = folder
    this.#time = time
    this.#within = within
    this.#say = say
  }

  /** Where this deployment's are. */
  get place(): string {
    const names = this.#list().map(toText)
    const next = `${numberOf(names.at(-1)) + 1}`.padStart(4, '0')
    const own = names.find(name => name.endsWith(`-${this.#time}`)) ?? `${next}-${this.#time}`
    return join(this.#folder, own, this.#within)
  }

  /** Moves a file or folder there. @returns where it is now */
  take(path: string | Buffer, name: GitPath | Buffer): string {
    const wanted = inside(this.place, name)
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
    const names = this.#list()
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

  /** The oldest first. */
  #list(): GitPath[] {
    const names = existsSync(this.#folder) ? namesIn(this.#folder).sort() : []
    return names.sort((a, b) => numberOf(toText(a)) - numberOf(toText(b)))
  }
}

const numberOf = (name = '') => Number(/^(\d+)-\d{4}-/.exec(name)?.[1] ?? 0)
