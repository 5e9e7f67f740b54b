import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { $ as zx } from 'zx/core'
import { feed } from '../../scripts/lib/setup/shell.ts'
import { newPlace } from './place.ts'
import { program } from './programs.ts'
import { type CleansUp, newKeyPair, type Sshd } from './sshd.ts'

const $ = zx({ quiet: true, stdio: ['ignore', 'pipe', 'pipe'] })

/** An operator who can log in to the server, and has `server.env` in a folder of their own. */
export async function newOperator(sshd: Sshd, t: CleansUp, name?: string) {
  const place = await newPlace(t, name)
  const operator = join(place.folder, 'operator')
  mkdirSync(operator)
  writeFileSync(join(operator, 'server.env'), place.minimal)
  // Not in the place's folder, whose name may be one that ssh's configuration cannot hold.
  const sshFolder = mkdtempSync(join(sshd.folder, 'operator-'))
  const own = await newKeyPair(sshFolder)
  sshd.authorize(own.publicKey)
  const config = `Host *\n  Port ${sshd.port}\n  IdentityFile "${own.file}"\n  IdentitiesOnly yes\n  IdentityAgent none\n`
  writeFileSync(join(sshFolder, 'config'), config)
  writeFileSync(join(sshFolder, 'known_hosts'), sshd.knownHosts)
  const HOOK_BINARY = join(operator, 'hook')
  writeFileSync(HOOK_BINARY, `#!/bin/sh\nexec '${program('post-receive').join("' '")}' "$@"\n`, { mode: 0o755 })
  return {
    ...place,
    operator,
    sshFolder,
    binary: HOOK_BINARY,
    url: `ssh://${sshd.user}@127.0.0.1:${sshd.port}${encodeURI(place.repository)}`,

    /** Runs setup-ssh as the operator does, with `input`. */
    async setupSsh(args: readonly string[], { input = '', ...changes }: NodeJS.ProcessEnv = {}) {
      const env = { PATH: process.env.PATH, HOME: operator, HOOK_BINARY, GIT_CONFIG_NOSYSTEM: '1' }
      const $$ = zx({
        quiet: true,
        nothrow: true,
        stdio: 'pipe',
        cwd: operator,
        env: { ...env, STAGING_REMOTE_REPO: this.url, ...changes },
      })
      const run = $$`${program('setup-ssh')} ${args} --ssh-dir ${sshFolder}`
      const { exitCode, stdout, stderr } = await feed(run, input)
      return { exitCode, stdout, stderr, output: stdout + stderr }
    },

    /** With a hook that needs no build, unless `HOOK_BINARY` names another one. */
    async installHook(
      changes: NodeJS.ProcessEnv = {},
      args: readonly string[] = ['--hook', 'server.env'],
      setupSsh: readonly string[] = program('setup-ssh'),
    ) {
      const env = { PATH: process.env.PATH, HOME: operator, HOOK_BINARY, GIT_CONFIG_NOSYSTEM: '1' }
      const run = $({ cwd: operator, env: { ...env, STAGING_REMOTE_REPO: this.url, ...changes }, nothrow: true })
      const { exitCode, stdout, stderr } = await run`${setupSsh} ${args} --ssh-dir ${sshFolder}`
      return { exitCode, output: stdout + stderr }
    },
  }
}
