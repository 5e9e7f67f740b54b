import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { $ as zx } from 'zx/core'
import { places, shared } from './commits.ts'
import { contentOf, filesIn, toBytes } from './files.ts'
import type { Housekeeping, Work } from './history.ts'

const libfaketime = '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1'

interface Workplace {
  readonly repository: string
  readonly workTree: string
  /** The file that the hook sources before it runs. */
  readonly clock: string
  /** The application's and its manager's. */
  readonly ports: { readonly application: string; readonly manager: string }
  readonly releases: boolean
  readonly env: NodeJS.ProcessEnv
  read(ref: string): Promise<string | undefined>
  branch(): string
  /** Renames the branch in all clones and in the hook's settings. */
  renameBranch(): Promise<void>
}

/** What people do on the server besides deploying, and what git and the clock do there. */
export function newHandWork({ repository, workTree, clock, ports, releases, env, read, ...server }: Workplace) {
  const untracked = new Map<string, string>()
  const edited = new Map<string, string>()
  const uploads = new Set<string>()
  const dotenv = join(workTree, '.env')
  let dotenvWritten: string | undefined

  async function workByHand(work: Work, place: number) {
    const isThere = existsSync(workTree) && statSync(workTree).isDirectory()
    const mine = releases ? shared : (places[place] ?? places[0])
    const isKept = !releases || existsSync(join(workTree, dirname(shared.untracked)))
    if (work === 'untracked file' && isThere && isKept) return makeUntracked(mine.untracked)
    if (work === 'edit a tracked file' && isThere) edit('docs/a.txt', `edited by hand ${Math.random()}\n`)
    if (work === 'edit what tells the version') edit('version.txt', `edited by hand ${Math.random()}\n`)
    if (work === 'delete a tracked file' && isThere) {
      edited.delete('docs/a.txt')
      rmSync(join(workTree, 'docs/a.txt'), { force: true })
    }
    if (work === 'delete the work tree' || work === 'a file in place of the work tree') {
      forgetWorkTree()
      rmSync(workTree, { recursive: true, force: true })
      // It is the user's own file, too, and only the user may remove it.
      if (work === 'a file in place of the work tree') makeUntracked('')
    }
    if (work === 'empty the work tree' && isThere) {
      forgetWorkTree()
      for (const name of readdirSync(workTree)) rmSync(join(workTree, name), { recursive: true })
    }
    if (work === 'the application stops to serve') {
      await fetch(`http://127.0.0.1:${ports.manager}/ill/`, { method: 'POST' })
      return
    }
    if (work === 'rename the branch') return server.renameBranch()
    if (work === 'edit the .env in place' && existsSync(dotenv)) writeFileSync(dotenv, newDotenv())
    if (work === 'edit the .env by rename' && existsSync(dotenv)) {
      // As sed -i and most editors do.
      writeFileSync(`${dotenv}.new`, newDotenv())
      renameSync(`${dotenv}.new`, dotenv)
    }
    if (!isThere) return
    const git = zx({ env, cwd: workTree, quiet: true, nothrow: true })
    if (work === 'check out an older commit' || work === 'check out the branch') {
      edited.clear()
      await (work === 'check out the branch'
        ? git`git checkout --force ${server.branch()}`
        : git`git checkout --force --detach HEAD~1`)
    }
    if (work === 'stage a change') {
      edit('docs/a.txt', `staged by hand ${Math.random()}\n`)
      await git`git add docs/a.txt`
    }
  }

  /** The user removes what no deployment may remove: their file in place of the work tree. */
  function makeRoom() {
    if (!untracked.delete('')) return
    rmSync(workTree)
  }

  /** What lies in a shared folder is not lost with the work tree. */
  function forgetWorkTree() {
    untracked.clear()
    edited.clear()
    if (!releases) uploads.clear()
    dotenvWritten = releases ? contentOf(join(`${workTree}.releases/shared/.env`)) : undefined
  }

  const newDotenv = () => {
    dotenvWritten = `SECRET=${Math.random()}\n`
    return dotenvWritten
  }

  /** Somebody uploads a file to the application, and whoever has set it up has written its .env. */
  async function use() {
    const isThere = existsSync(workTree) && statSync(workTree).isDirectory()
    if (!isThere || (releases && !existsSync(join(workTree, dirname(shared.untracked))))) return
    const name = `${uploads.size + 1}-${Math.random().toString().slice(2, 8)}`
    const { ok } = await fetch(`http://127.0.0.1:${ports.application}/${name}`, { method: 'POST' })
    if (ok) uploads.add(name)
    if (dotenvWritten === undefined) writeFileSync(dotenv, newDotenv())
  }

  function makeUntracked(path: string) {
    const file = toBytes(join(workTree, path))
    if (!untracked.has(path) && existsSync(file)) return
    const content = `the user's own ${Math.random()}\n`
    try {
      mkdirSync(toBytes(dirname(join(workTree, path))), { recursive: true })
      writeFileSync(file, content)
    } catch {
      return // a tracked file is in the way
    }
    untracked.set(path, content)
  }

  function edit(path: string, content: string) {
    if (!existsSync(join(workTree, path))) return
    writeFileSync(join(workTree, path), content)
    edited.set(path, content)
  }

  async function keepHouse(what: Housekeeping) {
    const git = zx({ env, cwd: repository, quiet: true, nothrow: true })
    if (what === 'a stale ask') {
      const tip = await read(`refs/heads/${server.branch()}`)
      // The second one is a request of 0.1.0.
      for (const ref of [`refs/deploy-ask/${server.branch()}/deploy-${tip}-00000000`, 'refs/deploy-request/main']) {
        if (tip) await git`git update-ref ${ref} ${tip}`
      }
    } else if (what === 'stale locks of the work tree') {
      for (const name of filesIn(join(repository, 'pushlive'))) {
        if (/\/(HEAD|index)$/.test(name)) writeFileSync(`${name}.lock`, '')
      }
    } else if (what === 'stale locks of refs') {
      writeFileSync(join(repository, 'packed-refs.lock'), '')
      for (const name of filesIn(join(repository, 'refs/deploy'))) writeFileSync(`${name}.lock`, '')
    } else await git`git ${what.split(' ')}`
  }

  function setClock(hours: number) {
    const offset = `${hours < 0 ? '' : '+'}${hours}h`
    const faked = `export LD_PRELOAD=${libfaketime} FAKETIME=${offset} FAKETIME_DONT_FAKE_MONOTONIC=1 NO_FAKE_STAT=1\n`
    writeFileSync(clock, hours === 0 || !existsSync(libfaketime) ? '' : faked)
  }

  return {
    untracked,
    edited,
    /** The names of what was uploaded. */
    uploads,
    /** What the application's .env has to be. */
    dotenv: () => dotenvWritten,
    use,
    /** Edits of tracked files that are still there. */
    editsThere: () => [...edited].flatMap(([path, text]) => (contentOf(join(workTree, path)) === text ? [path] : [])),
    workByHand,
    makeRoom,
    keepHouse,
    setClock,
  }
}
