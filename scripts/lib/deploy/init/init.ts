import { existsSync, lstatSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { misuse, readArguments } from '../../shared/arguments.ts'
import { harmless } from '../../shared/foreign-text.ts'
import { exitCode, Failure } from '../../shared/program.ts'
import { isBranchName } from '../../shared/settings.ts'
import { questionsFor, readBefore } from './answers.ts'
import { askAnswers, askToReplace, takeAnswers } from './ask.ts'
import { findKinds, kinds } from './kinds/kinds.ts'
import { findVariables, lookAtProject, type Project } from './look.ts'
import { makePlan } from './plan.ts'
import { diff, findFiles, findIgnored, verifyFolder, writeText } from './write.ts'

const help = `Usage: deploy init [--yes] [--server WHERE] [--kind KIND] [--start HOW] [--health URL] [--shared PATHS] [--ci CI]

Looks at the project in this folder, asks five questions, and writes what a deployment needs, to be committed:
  deploy/deploy.env   where deploy pushes to; deploy and setup-ssh read it
  deploy/server.env   the hook's settings, for setup-ssh
  deploy/server/      what belongs on the server beside the hook: units or the server's configuration, sudoers, and
                      root.sh, the commands that need root
  the CI's file       which deploys what passes the tests
It writes over no file without asking. Run it again after changes: it shows what would be different. Exits with
  0  everything is written, or is there
  2  this folder is no place for it, or an answer is missing or wrong; nothing was written

  --server WHERE   user@host, user@host:port, user@host:path.git or ssh://user@host:port/path.git
  --kind KIND      ${kinds.map(({ name }) => name).join(', ')}
  --start HOW      systemd, uwsgi, gunicorn, php-fpm, pm2, nginx or none
  --health URL     what answers 2xx on the server when the application works, such as /health; or none
  --shared PATHS   what is not committed and outlives a release, such as 'instance media'; or none
  --ci CI          github, forgejo, gitlab, bitbucket, woodpecker or none
  --yes            ask nothing: take the guesses, and keep files that were edited
  --version
  -h, --help`

const string = { type: 'string' } as const

/** Writes what a deployment needs. */
export async function init(args: string[]): Promise<number> {
  const options = {
    server: string,
    kind: string,
    start: string,
    health: string,
    shared: string,
    ci: string,
    yes: { type: 'boolean' },
  } as const
  const read = readArguments('deploy init', help, options, args)
  if (read === undefined) return exitCode.live
  const {
    options: { yes: isYes = false, ...given },
    positionals,
  } = read
  if (positionals[0] !== undefined) {
    throw misuse('deploy init', `deploy init takes no argument '${positionals[0]}'`)
  }

  const project = lookAtProject()
  verifyFolder(project.root)
  const before = readBefore(path => readOwn(project.root, path))
  if (given.kind === undefined && before.kind === undefined) verifyOneApplication(project)
  const branch = before.branch && isBranchName(before.branch) ? before.branch : project.branch

  const questions = questionsFor(project, before)
  const asks = !isYes && process.stdin.isTTY === true && process.stdout.isTTY === true
  const answers = asks ? await askAnswers(given, questions, branch) : await takeAnswers(given, questions, branch, isYes)
  const { files, notes } = makePlan(project, answers)

  const found = findFiles(project.root, files)
  const written: string[] = []
  const kept: string[] = []
  for (const { path, text, state } of found) {
    if (state === 'same') continue
    if (state === 'different') {
      console.log(`${path}, yours (-) and what init would write (+):\n${diff(project.root, path, text)}`)
      if (!asks || !(await askToReplace(path))) {
        kept.push(path)
        continue
      }
    }
    written.push(path)
  }
  for (const { path, text } of found) if (written.includes(path)) await writeText(project.root, path, text)

  const secrets = answers.kind.variables ?? findVariables(project)
  console.log(summarize(found.length, written, kept, findIgnored(project.root, Object.keys(files))))
  for (const note of notes) console.log(note)
  if (secrets.length > 0) {
    const [first = '', ...others] = secrets
    const more = others.length > 0 ? `, and so on for ${listNames(others)}` : ''
    console.log(
      `The code reads ${secrets.length === 1 ? 'this' : 'these'} from its environment: setup-ssh set ${first}=...${more}`,
    )
  }
  console.log('Commit these files. Then:\n  setup-ssh\n  deploy')
  return exitCode.live
}

function summarize(
  count: number,
  written: readonly string[],
  kept: readonly string[],
  ignored: readonly string[],
): string {
  const lines = [...written.map(path => `WRITTEN  ${path}`), ...kept.map(path => `KEPT     ${path}, which differs`)]
  if (lines.length === 0) lines.push(`All ${count} files are there, and as init would write them.`)
  if (ignored.length > 0)
    lines.push(`.gitignore keeps git from committing ${ignored.join(', ')}: add an exception, such as !/deploy/*.env`)
  return lines.join('\n')
}

const listNames = (names: readonly string[]) =>
  harmless(names.length > 6 ? `${names.slice(0, 6).join(', ')} and ${names.length - 6} more` : names.join(', '))

/** A file that was written here before, and may not be committed yet. */
function readOwn(root: string, path: string): string {
  const file = join(root, path)
  return existsSync(file) && lstatSync(file).isFile() ? readFileSync(file, 'utf8') : ''
}

/** @throws Failure (usage) where all applications lie in folders below this one */
function verifyOneApplication(project: Project): void {
  if (findKinds(project).fitting.length > 0) return
  const marks =
    /^(.+)\/(manage\.py|package\.json|composer\.json|go\.mod|Cargo\.toml|pyproject\.toml|requirements\.txt)$/
  const folders = [...new Set(project.files.flatMap(file => marks.exec(file)?.[1] ?? []))].filter(
    (folder, _, all) =>
      !/(^|\/)(node_modules|vendor)(\/|$)/.test(folder) && !all.some(other => folder.startsWith(`${other}/`)),
  )
  if (folders.length === 0) return
  throw new Failure(exitCode.usage, 'There is no application at the top of this repository, but in folders of it.', {
    why: listNames(folders),
    fix: 'write a Makefile at the top with the targets install-deps, build, upgrade-db and serve, which go there, and run init --kind make',
  })
}
