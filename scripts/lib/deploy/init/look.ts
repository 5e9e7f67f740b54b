import { type ExecFileSyncOptions, execFileSync } from 'node:child_process'
import { lstatSync, readFileSync, realpathSync } from 'node:fs'
import { basename, join } from 'node:path'
import { exitCode, Failure } from '../../shared/program.ts'
import { isBranchName } from '../../shared/settings.ts'
import { explainUnusable } from '../clone.ts'

/** What is in the project that is to be deployed: only what is committed will be there on the server. */
export interface Project {
  readonly root: string
  readonly name: string
  readonly branch: string
  readonly origin: string
  /** Paths of all files that git knows. */
  readonly files: readonly string[]
  has(path: string): boolean
  /** The text of a file that git knows, if it is one of sensible size. */
  read(path: string): string
  /** The sources, as far as they are many: for a look, not for proof. */
  readonly sources: readonly { readonly path: string; readonly text: string }[]
  readonly packageJson: PackageJson | undefined
  /** All that names Python packages, as one text in lower case. */
  readonly pythonPackages: string
  /** The commands of a Procfile. */
  readonly processes: Readonly<Record<string, string>>
  readonly makeTargets: readonly string[]
}

export interface PackageJson {
  readonly main?: string
  readonly scripts: Readonly<Record<string, string>>
  readonly packageManager?: string
  /** Names of all packages that it depends on. */
  readonly packages: readonly string[]
}

/** @throws Failure (usage) where this is no place to begin: no repository, a folder inside of one, no commit yet */
export function lookAtProject(folder = process.cwd()): Project {
  const git = (...args: string[]) => {
    const options = {
      cwd: folder,
      encoding: 'utf8' as const,
      stdio: 'pipe' as const,
      maxBuffer: 2 ** 28,
    } satisfies ExecFileSyncOptions
    return execFileSync('git', args, { ...options, env: { ...process.env, LC_ALL: 'C' } }).replace(/\n$/, '')
  }
  const ask = (...args: string[]) => {
    try {
      return git(...args)
    } catch {
      return ''
    }
  }
  let root: string
  try {
    root = git('rev-parse', '--show-toplevel')
  } catch (error) {
    throw explainUnusable(error as NodeJS.ErrnoException, String((error as { stderr?: string }).stderr ?? ''))
  }
  if (realpathSync(root) !== realpathSync(folder)) {
    const why = `The top of this repository is ${root}. A push deploys all of it.`
    throw new Failure(exitCode.usage, 'This is a folder inside of a repository.', { why, fix: `cd ${root}` })
  }
  if (ask('rev-parse', '--quiet', '--verify', 'HEAD') === '') {
    const fix = 'commit the application first: init looks at what is committed'
    throw new Failure(exitCode.usage, 'There is no commit here yet.', { fix })
  }
  const files = git('ls-files', '-z').split('\0').filter(Boolean)
  const known = new Set(files)
  const read = (path: string) => (known.has(path) ? readText(join(root, path)) : '')
  const origin = ask('config', '--get', 'remote.origin.url')
  const main = ask('symbolic-ref', '--quiet', '--short', 'refs/remotes/origin/HEAD').replace(/^origin\//, '')
  const branch = main || ask('symbolic-ref', '--quiet', '--short', 'HEAD')
  return {
    root,
    name: basename(root),
    branch: branch !== '' && isBranchName(branch) ? branch : 'main',
    origin,
    files,
    has: path => known.has(path),
    read,
    sources: files
      .filter(
        file => /\.(py|js|mjs|cjs|ts|go|rs|php)$/.test(file) && !/(^|\/)(node_modules|vendor|tests?)\//.test(file),
      )
      .slice(0, 500)
      .map(path => ({ path, text: read(path) })),
    packageJson: known.has('package.json') ? readPackageJson(read('package.json')) : undefined,
    pythonPackages: files
      .filter(file =>
        /^(requirements[^/]*\.txt|requirements\/[^/]+\.txt|pyproject\.toml|setup\.(py|cfg)|Pipfile|(uv|poetry)\.lock)$/.test(
          file,
        ),
      )
      .map(read)
      .join('\n')
      .toLowerCase(),
    processes: Object.fromEntries(
      [...read('Procfile').matchAll(/^([\w-]+):\s*(.+?)\s*$/gm)].map(([, name = '', command = '']) => [name, command]),
    ),
    makeTargets: ['GNUmakefile', 'makefile', 'Makefile']
      .flatMap(file => [...read(file).matchAll(/^([\w.-]+(?:\s+[\w.-]+)*)\s*::?(?!=)/gm)])
      .flatMap(([, targets = '']) => targets.split(/\s+/)),
  }
}

/** Nothing for a link, which may lead anywhere, and for what is too large to be written by people. */
function readText(path: string): string {
  const found = lstatSync(path, { throwIfNoEntry: false })
  return found?.isFile() && found.size < 3e6 ? readFileSync(path, 'utf8') : ''
}

function readPackageJson(text: string): PackageJson {
  const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null
  const texts = (value: unknown) =>
    Object.fromEntries(
      Object.entries(isObject(value) ? value : {}).filter(
        (entry): entry is [string, string] => typeof entry[1] === 'string',
      ),
    )
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (cause) {
    throw new Failure(exitCode.usage, 'package.json cannot be read.', { why: (cause as Error).message, cause })
  }
  const { main, packageManager, scripts, dependencies, devDependencies } = isObject(parsed) ? parsed : {}
  return {
    ...(typeof main === 'string' && { main }),
    ...(typeof packageManager === 'string' && { packageManager }),
    scripts: texts(scripts),
    packages: [...Object.keys(texts(dependencies)), ...Object.keys(texts(devDependencies))],
  }
}

/** A page of the application that is there to be asked, such as /health. */
export function findHealthPath({ sources, has }: Project): string {
  const names = 'healthz?|health-?check|ping|livez|readyz|up'
  // Django's have no slash before them, and are prefixes where others follow.
  const route = has('manage.py')
    ? new RegExp(`\\bpath\\(\\s*["']((?:${names})/?)["']\\s*,(?!\\s*include)`)
    : new RegExp(`["'\`]/((?:api/)?(?:${names})/?)["'\`]`)
  for (const { text } of sources) {
    const [, path] = route.exec(text) ?? []
    if (path) return `/${path}`
  }
  return '/'
}

/** Names of what the code reads from its environment, likely secrets first, without those that have a value by themselves. */
export function findVariables({ sources, files, read }: Project): readonly string[] {
  const text = sources.map(({ text }) => text).join('\n')
  const inCode =
    /(?:os\.environ(?:\.get\(|\[)|os\.getenv\(|os\.Getenv\(|getenv\(|\benv(?:\.\w+)?\(|env::var\()\s*["'](\w+)["']|process\.env\.(\w+)/g
  const inSample = files
    .filter(file => /^\.env[.-](example|sample|dist|template)$/.test(file))
    .flatMap(file => [...read(file).matchAll(/^([A-Z]\w+)=/gm)])
  const names = [...text.matchAll(inCode), ...inSample].map(([, name, other]) => name ?? other ?? '')
  const usual = /^(PATH|HOME|USER|PWD|TZ|LANG|CI|NODE_ENV|PORT|HOST|LISTEN_\w+|DJANGO_SETTINGS_MODULE|FLASK_\w+)$/
  const own = [...new Set(names)].filter(name => /^[A-Z][A-Z0-9_]+$/.test(name) && !usual.test(name)).sort()
  const isSecret = (name: string) => /SECRET|KEY|TOKEN|PASSWORD|DATABASE_URL|DSN/.test(name)
  return [...own.filter(isSecret), ...own.filter(name => !isSecret(name))]
}

/** Where the code listens if nothing tells it, as far as a look tells. */
export function findPort({ sources }: Project): number | undefined {
  for (const { text } of sources) {
    const [, port] = /\b(?:listen\w*|port)\b[^\n\d]{0,40}\b([1-9]\d{3,4})\b/i.exec(text) ?? []
    if (Number(port) < 65_536) return Number(port)
  }
  return undefined
}

/** Files and folders that are not committed, and have to outlive a release. @param more what a kind knows of */
export function findShared({ files, read, sources }: Project, more: readonly string[] = []): readonly string[] {
  // Not what a list for all projects has: var, instance, db.sqlite3. A kind knows of its own.
  const lasting = /^(media|uploads?|storage|data|(?!db\.)[\w-]+\.(sqlite3?|db))$/i
  const ignored = read('.gitignore')
    .split('\n')
    .map(line => line.trim().replace(/^\/|(\/\*{0,2})$/g, ''))
    .filter(path => /^[\w./-]+$/.test(path))
    // Of data/files, data: if that has files that are committed, data/files.
    .flatMap(path => path.split('/').map((_, index, parts) => parts.slice(0, index + 1).join('/')))
    .filter((path, index, all) => lasting.test(path.split('/').at(-1) ?? '') && all.indexOf(path) === index)
  // sqlite:///app.db, 'data/app.sqlite'
  const databases = sources.flatMap(({ text }) =>
    [...text.matchAll(/sqlite:\/\/\/([\w][\w/.-]*)|["'`](?:\.\/)?([\w][\w/-]*\.(?:db|sqlite3?))["'`]/g)].map(
      ([, url, path]) => url ?? path ?? '',
    ),
  )
  const uploads = sources.flatMap(({ text }) =>
    [...text.matchAll(/(?:UPLOAD_FOLDER|UPLOAD_DIR|MEDIA_ROOT)\W*=[^\n]*?["'](?:\.\/)?([\w][\w/-]*)\/?["']/g)].map(
      ([, path = '']) => path,
    ),
  )
  const found = [...new Set([...more, ...ignored, ...databases, ...uploads])].filter(
    // Windows' Thumbs.db stands in lists of what to leave out, such as .gitignore's and Sphinx's.
    path => path !== '' && !/(^|\/)thumbs\.db$/i.test(path),
  )
  const isCommitted = (path: string) =>
    files.some(
      file =>
        file === path ||
        (file.startsWith(`${path}/`) && !/\/(\.git(keep|ignore)|\.keep|\.htaccess|web\.config)$/.test(file)),
    )
  const apart = found.filter(path => !isCommitted(path))
  // None may lie in another one.
  return apart.filter(path => !apart.some(other => path.startsWith(`${other}/`)))
}
