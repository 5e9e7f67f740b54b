import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { $ as zx } from 'zx/core'
import { waitFor } from './events.ts'
import type { Site } from './site.ts'
import type { CleansUp } from './sshd.ts'

const examples = join(import.meta.dirname, '../../examples')

/** An example's text, with other paths or ports in place of those that a reader replaces. */
export function readExample(name: string, replacements: Readonly<Record<string, string>>): string {
  let text = readFileSync(join(examples, name), 'utf8')
  for (const [from, to] of Object.entries(replacements)) text = text.replaceAll(from, to)
  return text
}

/** The files of examples/app by their paths, of this version, and with a migration for each version above 1. */
export function sampleApp(version = 1): Record<string, string> {
  const folder = join(examples, 'app')
  const files: Record<string, string> = {}
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const ignored = /__pycache__|\/instance(\/|$)/.test(path)
    if (entry.isFile() && !ignored) files[path.slice(folder.length + 1)] = readFileSync(path, 'utf8')
  }
  files['app/__init__.py'] = files['app/__init__.py']?.replace('VERSION = "1"', `VERSION = "${version}"`) ?? ''
  for (let number = 2; number <= version; number++) {
    files[`migrations/00${number}-more.sql`] = `CREATE TABLE more_${number} (at TEXT NOT NULL);\n`
  }
  return files
}

/** The wsgi.py of examples/app, for an application that is not made by a function. */
export const sampleWsgi = () =>
  `${readExample('app/wsgi.py', {}).split('from app')[0]}from app import application  # noqa: E402\n`

/** What the page of examples/app says. */
export const samplePage = (version: number, migrations = version) => `version ${version}, ${migrations} migration(s)\n`

/**
 * Runs a web server in the foreground until the test ends, and no longer than the test's process.
 *
 * @returns when it answers at the URL
 * @throws Error with what it printed when it ends instead
 */
export async function startWebServer(t: CleansUp, url: string, command: readonly string[]): Promise<void> {
  let end: string | undefined
  // At SIGTERM all of them end their workers. exec: otherwise bash would get the signal, and the server would stay.
  const server = zx({ quiet: true, nothrow: true })`exec setpriv --pdeathsig TERM ${command}`
  const ended = server.then(({ stdout, stderr }) => {
    end = stdout + stderr
  })
  t.after(async () => {
    if (end === undefined) process.kill(server.pid as number, 'SIGTERM')
    await ended
  })
  await waitFor(`${command[0]} answers`, async () => {
    if (end !== undefined) throw new Error(`${command[0]} ended: ${end}`)
    return (await ask(url)) !== undefined
  })
}

/** A web server as a service: all that comes of it ends with the test. With a port it gets the listening socket. */
export async function startService(
  t: CleansUp,
  site: Site,
  url: string,
  command: readonly string[],
  socket?: number,
): Promise<void> {
  const program = ['/usr/bin/python3', join(import.meta.dirname, 'service.py')]
  const service = [...program, ...(socket ? ['--socket', `${socket}`] : []), join(site.folder, 'service.pid')]
  const env = {
    PATH: process.env.PATH,
    HOME: site.home,
    SERVICE_CWD: site.workTree,
    PYTHONDONTWRITEBYTECODE: '1',
    LANG: 'C.UTF-8',
  }
  const assignments = Object.entries(env).map(([name, value]) => `${name}=${value}`)
  await startWebServer(t, url, ['env', '-i', ...assignments, ...service, ...command])
}

/** Configures an nginx with one site. @returns the command that runs it in the foreground */
export function writeNginxConfig(folder: string, site: string): readonly string[] {
  mkdirSync(folder)
  symlinkSync('/etc/nginx/fastcgi_params', join(folder, 'fastcgi_params'))
  const config = join(folder, 'main.conf')
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    name => `${name}_temp_path ${folder}/${name};`,
  )
  writeFileSync(
    config,
    `${userInfo().uid === 0 ? 'user root;' : ''} daemon off; pid ${folder}/pid; error_log ${folder}/log; events {}
    http { access_log off; ${temporary.join(' ')} include ${site}; }`,
  )
  return ['/usr/sbin/nginx', '-c', config, '-e', `${folder}/log`]
}

/** Configures an Apache with mod_wsgi and one site. @returns the command that runs it in the foreground */
export function writeApacheConfig(folder: string, site: string, port: number): readonly string[] {
  mkdirSync(folder)
  const config = join(folder, 'httpd.conf')
  const lines = [
    ...['mpm_event', 'authz_core', 'wsgi'].map(
      name => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`,
    ),
    ...(userInfo().uid === 0 ? ['User www-data', 'Group www-data'] : []),
    ...['ServerRoot', 'DefaultRuntimeDir'].map(name => `${name} "${folder}"`),
    `PidFile "${folder}/pid"`,
    `ErrorLog "${folder}/log"`,
    `WSGISocketPrefix "${folder}/wsgi"`,
    'ServerName 127.0.0.1',
    `Listen 127.0.0.1:${port}`,
    `Include "${site}"`,
  ]
  writeFileSync(config, `${lines.join('\n')}\n`)
  return ['/usr/sbin/apache2', '-D', 'FOREGROUND', '-f', config]
}

/**
 * A page's status and text, or nothing where no server listens yet. As a browser does, it asks once more where the
 * connection was closed without an answer (RFC 9110, 9.2.2): uWSGI loses a request whose worker is told to reload
 * between accept() and `in_request = 1` (core/utils.c of 2.0.21).
 */
export const ask = (url: string) => request(url, 1)

/** The same, for a server that leaves no request without an answer. */
export const askOnce = (url: string) => request(url, 0)

async function request(url: string, retries: number): Promise<{ status: number; text: string } | undefined> {
  try {
    // Each request has its own connection, because the server may close an idle one just when it is used again.
    const response = await fetch(url, { headers: { connection: 'close' } })
    return { status: response.status, text: await response.text() }
  } catch (error) {
    const { code } = ((error as Error).cause ?? {}) as NodeJS.ErrnoException
    const isClosed = code === 'ECONNRESET' || code === 'UND_ERR_SOCKET'
    return isClosed && retries > 0 ? request(url, retries - 1) : undefined
  }
}

/** Requests each of the pages again and again during an action. @returns all answers */
export async function askAllTheTime(
  pages: readonly string[],
  action: () => Promise<void>,
  askPage = ask,
): Promise<Awaited<ReturnType<typeof ask>>[]> {
  let isOver = false
  const answers: Awaited<ReturnType<typeof ask>>[] = []
  const asking = pages.map(async page => {
    while (!isOver) answers.push(await askPage(page))
  })
  await action().finally(() => {
    isOver = true
  })
  await Promise.all(asking)
  return answers
}

/**
 * Checks answers that name the version of each of their parts: each is of one version, and of one of these.
 *
 * @throws AssertionError with examples
 */
export function verifyVersions(
  asked: Awaited<ReturnType<typeof askAllTheTime>>,
  versions: ReadonlySet<number>,
  scenario: string,
) {
  const answers = asked.map(each => (each?.status === 200 ? each.text : `failed: ${each?.status} ${each?.text}`))
  const failed = answers.filter(each => each.startsWith('failed'))
  const mixed = answers.filter(each => !failed.includes(each) && new Set(each.split(' ')).size > 1)
  const undeclared = answers.filter(
    each => !failed.includes(each) && !mixed.includes(each) && !versions.has(parseInt(each, 10)),
  )
  const counts = { failed: failed.length, mixed: mixed.length, undeclared: undeclared.length }
  const shown = [...failed, ...mixed, ...undeclared].slice(0, 3)
  assert.deepEqual(counts, { failed: 0, mixed: 0, undeclared: 0 }, `${scenario}: ${shown.join(' | ')}`)
  return { requests: answers.length, ...counts }
}

/** Waits until a page has exactly this text. @throws Error with its last text */
export async function waitForPage(url: string, text: string): Promise<void> {
  let last: string | undefined
  try {
    await waitFor(text, async () => {
      last = (await ask(url))?.text
      return last === text
    })
  } catch (cause) {
    throw new Error(`${url} says ${JSON.stringify(last)} and not ${JSON.stringify(text)}`, { cause })
  }
}

/**
 * Waits until the next second begins. uWSGI's touch-reload and Python's compiled files compare whole seconds, and miss
 * the second of two changes within one.
 */
export async function nextSecond(): Promise<void> {
  await sleep(1000 - (Date.now() % 1000))
}
