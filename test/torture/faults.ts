import {
  appendFileSync,
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { $ as zx } from 'zx/core'
import { kill, type Process } from '../lib/processes.ts'
import type { Sshd } from '../lib/sshd.ts'
import { filesIn } from './files.ts'
import type { Damage, Fault } from './history.ts'

const isRoot = userInfo().uid === 0

interface Struck {
  readonly disks: { readonly repository: string; readonly workTree: string }
  readonly repository: string
  readonly workTree: string
  readonly settingsFile: string
  readonly hook: string
  readonly releases: boolean
  readonly sshd: Sshd
  readonly env: NodeJS.ProcessEnv
  /** The numbers of deploy's processes. */
  readonly running: ReadonlySet<number>
  /** All processes of this server and its clients. */
  own(): readonly Process[]
  /** Puts back what a fault may have taken: the hook and its settings. */
  place(): void
}

/** What may go wrong at any moment of a deployment, or between two. */
export function newFaults(server: Struck) {
  const { disks, repository, workTree, settingsFile, hook, releases, sshd, running, own } = server
  const $ = zx({ env: server.env, quiet: true })
  const isOnServer = ({ cwd }: Process) => Object.values(disks).some(disk => cwd.startsWith(disk))
  let isDeployKilled = false

  const victims: Record<string, (process: Process) => boolean> = {
    hook: each => isOnServer(each) && each.command.includes('post-receive'),
    git: each => /^(\S*\/)?git[ -]/.test(each.command),
    ssh: each => /^(\S*\/)?ssh /.test(each.command),
    deploy: ({ pid }) => running.has(pid),
    server: isOnServer,
    everything: () => true,
  }

  const filler = (disk: string) => join(disk, 'filler')
  const mounted: string[] = []

  /** Causes a fault. */
  async function strike({ kind, left }: Fault) {
    const isVictim = victims[kind.replace('kill ', '')]
    isDeployKilled ||= kind === 'kill deploy' || kind === 'kill everything'
    if (isVictim) {
      for (const each of own().filter(isVictim)) kill(each.pid)
    } else if (kind === 'cut connection') sshd.dropConnections()
    else if (kind === 'no x bit') chmodSync(hook, 0o644)
    else if (kind === 'no hook') rmSync(hook)
    else if (kind === 'cut hook') writeFileSync(hook, '#!/bin/sh\nexec "/usr')
    else if (kind === 'no .env') rmSync(settingsFile)
    else if (kind === '.env is a folder') {
      rmSync(settingsFile)
      mkdirSync(settingsFile)
    } else if (isRoot) {
      if (kind === 'full repository') fill(disks.repository, left)
      if (kind === 'full work tree') fill(disks.workTree, left)
      if (kind === 'read-only repository') await makeReadOnly(repository)
      if (kind === 'read-only state') {
        for (const name of ['pushlive', 'worktrees']) await makeReadOnly(join(repository, name))
      }
      if (kind === 'read-only work tree') await makeReadOnly(releases ? `${workTree}.releases` : workTree)
      // What cannot be renamed into another place; and what cannot be removed where a commit has a file there.
      if (kind === 'mount') await mount(releases ? `${workTree}.releases` : join(workTree, 'either'))
    }
  }

  function fill(disk: string, left: number) {
    const { bavail, bsize } = statfsSync(disk)
    try {
      appendFileSync(filler(disk), Buffer.alloc(Math.max(0, bavail * bsize - left * 1024)))
    } catch {
      // Another process was faster, and the disk is full.
    }
  }

  async function makeReadOnly(path: string) {
    if (await mount(path)) await $`mount -o remount,bind,ro ${path}`.nothrow()
  }

  async function mount(path: string): Promise<boolean> {
    const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
    if (!isFolder || !(await $`mount --bind ${path} ${path}`.nothrow()).ok) return false
    mounted.push(path)
    return true
  }

  /** Ends the fault, but repairs nothing that it has damaged. */
  async function heal() {
    for (const path of mounted.splice(0).reverse()) {
      // The application stays in it if it was started there.
      await $`mount -o remount,bind,rw ${path}; umount --lazy ${path}`
    }
    for (const disk of Object.values(disks)) rmSync(filler(disk), { force: true })
    server.place()
  }

  /** What a power cut leaves of files that were being written. */
  function damage(how: Damage, number: number): string | undefined {
    const own = join(repository, 'pushlive')
    // A work tree's git directory has links to the repository's objects: git refuses pushes where one of these is damaged.
    const isOwn = (path: string) => existsSync(path) && realpathSync(path).startsWith(`${realpathSync(own)}/`)
    const files = [
      ...filesIn(join(repository, 'worktrees')),
      ...filesIn(own).filter(path => !path.includes('/log/') && isOwn(path)),
      ...filesIn(join(repository, 'refs/deploy')),
      join(workTree, '.git'),
    ].filter(path => existsSync(path))
    const file = files[number % files.length]
    if (file === undefined || !lstatSync(file).isFile()) return undefined
    const content = readFileSync(file)
    if (how === 'delete') rmSync(file)
    else if (how === 'empty') writeFileSync(file, '')
    else if (how === 'cut') writeFileSync(file, content.subarray(0, content.length / 2))
    else writeFileSync(file, Buffer.alloc(content.length, '\u0000\u00ff{x'))
    return file
  }

  return { strike, heal, damage, isDeployKilled: () => isDeployKilled }
}
