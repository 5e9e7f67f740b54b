import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { arch, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { $ as zx } from 'zx/core'
import { fingerprint } from '../scripts/lib/ssh/key-blob.ts'
import { holdPort } from '../test/lib/ports.ts'
import { processes } from '../test/lib/processes.ts'
import { newKeyPair, startSshd } from '../test/lib/sshd.ts'
import { ask, nextSecond, readExample, sampleApp, startWebServer, waitForPage } from '../test/lib/web-server.ts'

const root = join(import.meta.dirname, '..')
const folder = mkdtempSync(join(tmpdir(), 'pushlive-demo-'))
const app = join(folder, 'app')
const server = join(folder, 'server')
const secrets = join(folder, 'secrets')
const sshDir = join(folder, 'ssh')

/** What is to be ended when the demo ends; a test would have node:test do it. */
const cleanUps: (() => unknown)[] = []
const atEnd = { after: (cleanUp: () => unknown) => cleanUps.unshift(cleanUp) }

let isEnding = false
const interrupted = new Promise<number>(resolve => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve(130))
})

async function main(): Promise<number> {
  const { sshd, hook, url } = await setUp()

  say(`A small web application, and a server for it: ssh on port ${sshd.port}, nothing on it yet.`)
  await type('cat .env')
  await type('cat server.env')
  await type(`setup-ssh --ssh-dir ../ssh --print-secrets ../secrets`)
  await type('setup-ssh --hook server.env --ssh-dir ../ssh')

  say('What follows happens in the CI, which has what setup-ssh printed in its environment.')
  for (const name of readdirSync(secrets)) process.env[name] = readFileSync(join(secrets, name), 'utf8')
  await type('./deploy')
  await serve(hook.PATH_TO_GIT_WORK_TREE, url)
  await show(url, 'version 1, 1 migration(s)\n')

  say('A change, with a migration for the database.')
  await change(sampleApp(2), 'Version 2')
  await type('./deploy')
  await show(url, 'version 2, 2 migration(s)\n')

  say('A change with a mistake: the application cannot be loaded.')
  await change({ 'app/__init__.py': 'VERSION = "3\n' }, 'Version 3')
  await type('./deploy', 1)
  await show(url, 'version 2, 2 migration(s)\n')
  await type('./deploy status')

  say('Back to what was live before.')
  await type('./deploy rollback')
  await show(url, 'version 1, 2 migration(s)\n')
  return 0
}

/** A server, an operator who can log in there, and a repository with the application; all in the temporary folder. */
async function setUp() {
  const inside = { TMPDIR: join(folder, 'tmp'), HOME: join(folder, 'home') }
  for (const path of [app, server, sshDir, ...Object.values(inside)]) mkdirSync(path, { mode: 0o700 })
  const programs = join(root, 'dist', `${process.platform}-${arch()}`)
  const who = { GIT_AUTHOR_NAME: 'Ada', GIT_AUTHOR_EMAIL: 'ada@example.org' }
  Object.assign(process.env, inside, who, {
    GIT_COMMITTER_NAME: who.GIT_AUTHOR_NAME,
    GIT_COMMITTER_EMAIL: who.GIT_AUTHOR_EMAIL,
    GIT_CONFIG_NOSYSTEM: '1',
    PATH: `${programs}:${process.env.PATH}`,
  })
  const sshd = await startSshd(atEnd, { setEnv: { TMPDIR: inside.TMPDIR, GIT_CONFIG_NOSYSTEM: '1' } })

  const own = await newKeyPair(sshDir)
  sshd.authorize(own.publicKey)
  const config = `Host *\n  IdentityFile ${own.file}\n  IdentitiesOnly yes\n  IdentityAgent none\n`
  writeFileSync(join(sshDir, 'config'), config, { mode: 0o600 })

  const hook = {
    PATH_TO_GIT_WORK_TREE: join(server, 'www'),
    PATH_TO_WSGI: 'wsgi.py',
    RELEASES: '3',
    SHARED_PATHS: 'instance',
  }
  const local = {
    STAGING_REMOTE_REPO: `ssh://${sshd.user}@${sshd.host}:${sshd.port}${server}/app.git`,
    BRANCH_NAME: 'main',
    HOST_FINGERPRINT: fingerprint(sshd.hostPublicKeys.ed25519?.split(' ')[1] ?? ''),
  }
  write({ ...sampleApp(), '.env': format(local), 'server.env': format(hook) })
  symlinkSync(join(programs, 'deploy'), join(app, 'deploy'))
  await zx({ cwd: app, quiet: true })`git init --quiet --initial-branch=main`
  write({ '.git/info/exclude': '.env\nserver.env\ndeploy\n' })
  await zx({ cwd: app, quiet: true })`git add --all && git commit --quiet --message ${'Version 1'}`
  return { sshd, hook, url: `http://127.0.0.1:${await holdPort()}/` }
}

async function serve(workTree: string, url: string) {
  const config = join(server, 'uwsgi.ini')
  const replacements = { '/home/seita/flexmeasures': workTree, '127.0.0.1:8000': new URL(url).host }
  writeFileSync(config, readExample('uwsgi.ini', replacements))
  say(`On the server:\n$ uwsgi --ini ${config}`)
  await startWebServer(atEnd, url, ['uwsgi', '--ini', config])
}

async function change(files: Record<string, string>, message: string) {
  await nextSecond()
  write(files)
  await type(`git add --all && git commit --message "${message}"`)
}

/** Runs a command as somebody would at a terminal. @throws Error when it ends otherwise than it should */
async function type(command: string, expected = 0) {
  say(`$ ${command}`)
  const { exitCode } = await zx({ cwd: app, stdio: ['ignore', 1, 1], quiet: true, nothrow: true })`bash -c ${command}`
  if (exitCode !== 0) console.log(`(exit code ${exitCode})`)
  if (exitCode !== expected) throw new Error(`${command} ended with ${exitCode} and not with ${expected}`)
}

async function show(url: string, text: string) {
  await waitForPage(url, text)
  say(`${url} says: ${(await ask(url))?.text.trim()}`)
}

function say(text: string) {
  if (isEnding) throw new Error('The demo is ending.')
  console.log(`\n${text}`)
}

function write(files: Readonly<Record<string, string>>) {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(app, name)), { recursive: true })
    writeFileSync(join(app, name), content)
  }
}

function format(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

/** Ends all that came of the demo, among it deployments, which by themselves go on without their pusher. */
async function cleanUp() {
  isEnding = true
  for (const each of cleanUps) {
    // What does not end by this, or had ended before, is for the signals below.
    await Promise.race([Promise.resolve().then(each), sleep(5_000)]).catch(() => {})
  }
  const isOurs = ({ cwd, command }: { cwd: string; command: string }) => `${cwd} ${command}`.includes(folder)
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    for (let tries = 0; tries < 50 && processes().some(isOurs); tries++) {
      for (const { pid } of processes().filter(isOurs)) kill(pid, signal)
      await sleep(100)
    }
  }
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
}

function kill(pid: number, signal: NodeJS.Signals) {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended meanwhile.
  }
}

const exitCode = await Promise.race([main(), interrupted]).catch(error => {
  console.error(error)
  return 1
})
await cleanUp()
process.exit(exitCode)
