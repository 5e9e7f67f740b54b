import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { flatten, quote } from '../../shared/foreign-text.ts'
import { exitCode, Failure } from '../../shared/program.ts'
import { replaceFile } from '../../shared/replace-file.ts'

/** @throws Failure (usage) where `deploy` is something else here */
export function verifyFolder(root: string): void {
  const found = lstatSync(join(root, 'deploy'), { throwIfNoEntry: false })
  if (found === undefined) return
  if (!found.isDirectory()) {
    throw new Failure(
      exitCode.usage,
      `deploy is ${found.isSymbolicLink() ? 'a link' : 'a file'} here, and the settings go in a folder of that name.`,
      {
        fix: 'move it away; if it is this program, keep it elsewhere, such as in ci/deploy, or in a folder on PATH',
      },
    )
  }
  const names = readdirSync(join(root, 'deploy'))
  if (names.length === 0 || names.includes('deploy.env') || names.includes('server.env')) return
  throw new Failure(exitCode.usage, 'The folder deploy is taken for something else here.', {
    why: `It has ${flatten(names.slice(0, 5).join(', '))}, and neither deploy.env nor server.env.`,
    fix: 'rename it; or, if these files may lie beside those of pushlive, make an empty file deploy/deploy.env',
  })
}

/** What is at the place of a file that is to be written. */
export interface Found {
  readonly path: string
  readonly text: string
  readonly state: 'new' | 'same' | 'different'
}

/**
 * Looks at the places of all files before the first is written.
 *
 * @throws Failure (usage) that names all that cannot be written
 */
export function findFiles(root: string, files: Readonly<Record<string, string>>): readonly Found[] {
  const problems: string[] = []
  const found = Object.entries(files).map(([path, text]) => {
    const place = join(root, path)
    const problem = findObstacle(root, path)
    if (problem) problems.push(problem)
    if (problem || !existsSync(place)) return { path, text, state: 'new' as const }
    return { path, text, state: readFileSync(place, 'utf8') === text ? ('same' as const) : ('different' as const) }
  })
  if (problems.length === 0) return found
  const fix = 'change that, and run init again: nothing was written'
  throw new Failure(exitCode.usage, 'init cannot write its files here.', {
    why: [...new Set(problems)].join('\n'),
    fix,
  })
}

/** Why a file cannot be written. A link might lead out of the project. */
function findObstacle(root: string, path: string): string | undefined {
  const parts = path.split('/')
  for (let depth = 0; depth <= parts.length; depth++) {
    const part = parts.slice(0, depth).join('/')
    const here = join(root, part)
    const found = lstatSync(here, { throwIfNoEntry: false })
    const isFile = depth === parts.length
    if (found === undefined) break
    if (isFile ? !found.isFile() : !found.isDirectory()) {
      const what = found.isSymbolicLink() ? 'a link' : found.isDirectory() ? 'a folder' : 'no folder'
      return `${part} is ${what}`
    }
    // A file is replaced in its folder.
    const next = lstatSync(join(root, parts.slice(0, depth + 1).join('/')), { throwIfNoEntry: false })
    if (isFile || next?.isDirectory()) continue
    try {
      accessSync(here, constants.W_OK | constants.X_OK)
    } catch (error) {
      const why =
        (error as NodeJS.ErrnoException).code === 'EROFS' ? 'the file system is read-only' : 'you may not write there'
      return `${part || 'this folder'}: ${why}`
    }
  }
  return undefined
}

/** Writes a file in one step, with the mode that git gives it in a clone. */
export async function writeText(root: string, path: string, text: string): Promise<void> {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  await replaceFile(join(root, path), text, 0o666 & ~process.umask())
}

/** The difference between a file and what would be written, as git shows it. */
export function diff(root: string, path: string, text: string): string {
  const args = ['diff', '--no-index', '--no-color', '--no-ext-diff', '--', path, '-']
  const { stdout } = spawnSync('git', args, { cwd: root, input: text, encoding: 'utf8' })
  return quote(stdout.replace(/^[\s\S]*?(?=^@@)/m, ''))
}

/** Those that git would not commit, because of .gitignore. */
export function findIgnored(root: string, paths: readonly string[]): readonly string[] {
  const input = paths.join('\0')
  const { stdout } = spawnSync('git', ['check-ignore', '-z', '--stdin'], { cwd: root, input, encoding: 'utf8' })
  return stdout.split('\0').filter(Boolean)
}
