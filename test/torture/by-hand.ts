import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { $ as zx } from 'zx/core'
import { places, shared } from './commits.ts'
import { contentOf, filesIn } from './files.ts'
import type { Housekeeping, Work } from './history.ts'

const libfaketime = '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1'

interface Workplace {
  readonly repository: string
  readonly workTree: string
  /** The file that the hook sources before it runs. */
  readonly clock: string
  readonly port: string
  readonly releases: boolean
  readonly env: NodeJS.ProcessEnv
  read(ref: string): Promise<string | undefined>
}

/** What people do on the server besides deploying, and what git and the clock do there. */
export function newHandWork({ repository, workTree, clock, port, releases, env, read }: Workplace) {
  const untracked = new Map<string, string>()
  const edited = new Map<string, string>()

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
      await fetch(`http://127.0.0.1:${port}/ill`, { method: 'POST' })
      return
    }
    if (!isThere) return
    const git = zx({ env, cwd: workTree, quiet: true, nothrow: true })
    if (work === 'check out an older commit' || work === 'check out the branch') {
      edited.clear()
      await (work === 'check out the branch'
        ? git`git checkout --force main`
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

  function forgetWorkTree() {
    untracked.clear()
    edited.clear()
  }

  function makeUntracked(path: string) {
    if (!untracked.has(path) && existsSync(join(workTree, path))) return
    const content = `the user's own ${Math.random()}\n`
    try {
      mkdirSync(dirname(join(workTree, path)), { recursive: true })
      writeFileSync(join(workTree, path), content)
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
      const tip = await read('refs/heads/main')
      // The second one is a request of 0.1.0.
      for (const ref of [`refs/deploy-ask/main/deploy-${tip}-00000000`, 'refs/deploy-request/main']) {
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
    /** Edits of tracked files that are still there. */
    editsThere: () => [...edited].flatMap(([path, text]) => (contentOf(join(workTree, path)) === text ? [path] : [])),
    workByHand,
    makeRoom,
    keepHouse,
    setClock,
  }
}
