import { spawn } from 'node:child_process'
import { appendFileSync, copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import type { Site, startServer } from '../test/lib/site.ts'
import { type CleansUp, newKeyPair } from '../test/lib/sshd.ts'

export type Kind = 'bash' | 'pushlive'

const root = join(import.meta.dirname, '..')
export const binaries = join(root, 'dist', `${process.platform}-${process.arch}`)

const programs = {
  bash: { deploy: join(root, 'bench/bash/DEPLOY.sh'), hook: join(root, 'bench/bash/post-receive') },
  pushlive: { deploy: join(binaries, 'deploy'), hook: join(binaries, 'post-receive') },
}

/** A site with one of the two hooks, and how to deploy to it. */
export type Deployable = Awaited<ReturnType<Awaited<ReturnType<typeof prepareSites>>>>

export interface SiteOptions {
  settings?: Record<string, string>
  /** How many files the repository has, beside the recipes. */
  files?: number
  /** What puts the first commit into the clone, in place of a trivial application. */
  fill?: (site: Site) => Promise<void>
  /** What the bash hook needs in addition. */
  mend?: (hook: string) => string
  /** A program that both bash scripts start before anything else. */
  first?: string
}

/** Makes sites on one sshd. They differ only in the hook and in the program that deploys to them. */
export async function prepareSites(t: CleansUp, { sshd, newSite }: Awaited<ReturnType<typeof startServer>>) {
  // What DEPLOY.sh relies on was set up by hand: a key, and the server's known host.
  const key = await newKeyPair(sshd.folder)
  sshd.authorize(key.publicKey)
  const config = sshd.clientConfig(key.file)
  const [, knownHosts = ''] = /UserKnownHostsFile "(.*)"/.exec(readFileSync(config, 'utf8')) ?? []
  writeFileSync(knownHosts, sshd.knownHosts.replaceAll(/^\S+/gm, 'bench'))

  return async (kind: Kind, { settings = {}, files = 10, fill, mend = text => text, first }: SiteOptions = {}) => {
    const site = await newSite(t, { name: `bench-${kind}` })
    const hook = join(site.repository, 'hooks/post-receive')
    rmSync(hook)
    const program = kind === 'bash' ? join(site.folder, 'DEPLOY.sh') : programs.pushlive.deploy
    if (kind === 'bash') {
      const read = (script: string) => readFileSync(script, 'utf8').replace('\n', first ? `\n${first}\n` : '\n')
      writeFileSync(program, read(programs.bash.deploy), { mode: 0o755 })
      writeFileSync(hook, mend(read(programs.bash.hook)), { mode: 0o755 })
      rmSync(join(site.repository, 'hooks/update'))
    } else copyFileSync(programs.pushlive.hook, hook)
    mkdirSync(site.workTree)
    site.configure(settings)
    if (fill) await fill(site)
    else {
      // Each hook's peak of memory while a step runs: the parent of make.
      const recordMemory = `@hook=$$(awk '/^PPid/ {print $$2}' /proc/$$PPID/status); grep VmHWM /proc/$$hook/status > ${join(site.folder, 'memory')}`
      site.write({ Makefile: `install-deps:\n\t${recordMemory}\n\nupgrade-db:\n\t@true\n` })
      site.write(
        Object.fromEntries(Array.from({ length: files }, (_, file) => [`part-${file % 100}/${file}`, `${file}\n`])),
      )
      await site.commit()
    }

    /** Deploys to sshd itself, or through a slower link to it. @returns seconds */
    const deploy = async ({ port = sshd.port, args, onStart }: DeployOptions = {}) => {
      const { SSH_DEPLOYMENT_KEY, KNOWN_DEPLOYMENT_HOSTS, ...shared } = site.deployEnvironment
      const secrets = {
        SSH_DEPLOYMENT_KEY,
        KNOWN_DEPLOYMENT_HOSTS: KNOWN_DEPLOYMENT_HOSTS.replaceAll(`:${sshd.port} `, `:${port} `),
      }
      const own = kind === 'bash' ? { GIT_SSH_COMMAND: `ssh -F ${config} -o HostKeyAlias=bench` } : secrets
      const url = site.url.replace(`:${sshd.port}/`, `:${port}/`)
      const env = { ...shared, ...own, STAGING_REMOTE_REPO: url }
      return await runTimed(program, { cwd: site.clone, env, args, onStart })
    }
    await deploy()
    return { site, hook, deploy, readHookMemory: () => readPeak(join(site.folder, 'memory')) }
  }
}

interface DeployOptions {
  port?: number
  args?: readonly string[]
  onStart?: (pid: number) => void
}

interface RunOptions {
  cwd: string
  env: NodeJS.ProcessEnv
  args?: readonly string[] | undefined
  input?: string
  onStart?: ((pid: number) => void) | undefined
}

/**
 * Runs a program, without a shell in between.
 *
 * @returns how long it took, in seconds
 * @throws Error with what it printed, if its exit code is not 0
 */
export async function runTimed(command: string, { cwd, env, args = [], input, onStart }: RunOptions): Promise<number> {
  const started = performance.now()
  const child = spawn(command, args, { cwd, env, stdio: ['pipe', 'pipe', 'pipe'] })
  if (child.pid) onStart?.(child.pid)
  child.stdin.end(input)
  // Only the end is kept: it may print a gigabyte.
  let printed: Buffer[] = []
  for (const output of [child.stdout, child.stderr]) {
    output.on('data', chunk => {
      printed = [...printed.slice(-50), chunk]
    })
  }
  const exitCode = await new Promise(resolve => child.on('close', resolve))
  const seconds = (performance.now() - started) / 1000
  // git push exits with 0 also where the bash hook failed.
  if (exitCode !== 0 || /^remote: (fatal|make: \*\*\*)/m.test(`${Buffer.concat(printed)}`)) {
    throw new Error(`${command} ended with ${exitCode}:\n${Buffer.concat(printed)}`)
  }
  return seconds
}

/** The peak of resident memory, by a copy of /proc/PID/status: kilobytes. */
export function readPeak(file: string): number {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(file, 'utf8'))?.[1])
}

/** Repeats the last deployment's record so many times, in git's log of them. What is served stays. */
export async function lengthenHistory({ repository, serverGit }: Site, deployments: number): Promise<void> {
  const ref = 'refs/deploy/main/history'
  const message = (await serverGit`git log -1 --format=%B ${ref}`).stdout.trim()
  const commits = Array.from({ length: deployments }, (_, number) => {
    const before = number === 0 ? `from ${ref}^0\n` : ''
    const bytes = Buffer.byteLength(message)
    return `commit ${ref}\ncommitter pushlive <pushlive@localhost> ${1_700_000_000 + number} +0000\ndata ${bytes}\n${message}\n${before}\n`
  })
  await serverGit({ input: commits.join('') })`git fast-import --quiet`
  const [line = ''] = readFileSync(join(repository, 'logs', ref), 'utf8').split('\n')
  appendFileSync(join(repository, 'logs', ref), `${line}\n`.repeat(deployments))
}

/**
 * A proxy to sshd that makes each round trip longer, by so many milliseconds. netem would need root and a kernel that has
 * it. TCP's own handshake is not delayed, for either program.
 *
 * @returns its port, and the number of round trips since the last call
 */
export async function startSlowLink(t: CleansUp, port: number, roundTrip: number) {
  let roundTrips = 0
  const server = createServer(client => {
    const upstream = connect(port, '127.0.0.1')
    let isAnswered = true
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.setNoDelay(true)
      from.on('data', chunk => {
        if (from === client && isAnswered) roundTrips++
        isAnswered = from === upstream
        setTimeout(() => to.writable && to.write(chunk), roundTrip / 2)
      })
      from.on('end', () => setTimeout(() => to.end(), roundTrip / 2))
      from.on('error', () => to.destroy())
    }
  })
  t.after(() => void server.close())
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const takeRoundTrips = () => {
    const taken = roundTrips
    roundTrips = 0
    return taken
  }
  return { port: (server.address() as { port: number }).port, takeRoundTrips }
}
