import { realpathSync, statSync, utimesSync } from 'node:fs'
import { exitCode, Failure } from '../shared/program.ts'
import type { Site } from './context.ts'
import type { Deployment } from './deployment.ts'
import { waitForNextSecond } from './mtime.ts'
import type { Release } from './releases.ts'
import { type HookSettings, inFolder } from './settings.ts'
import { linkShared, takeShared, verifyUntracked } from './shared-paths.ts'
import { StepsShell } from './steps-shell.ts'
import { listNames } from './work-tree.ts'

/** How far back a folder's files are looked for where its state is lost: each commit's are listed. */
const mostRecords = 20

/** A shell for a deployment's steps. @param commit whose code they are to find */
export function newShell(
  cwd: string,
  settings: HookSettings,
  { entry, log, start, shutdown }: Deployment,
  branch: string,
  commit = entry.commit,
): StepsShell {
  const variables = { DEPLOY_BRANCH: branch, DEPLOY_COMMIT: commit, DEPLOY_PREVIOUS_COMMIT: entry.previous ?? '' }
  return new StepsShell(cwd, { ...process.env, ...variables }, { settings, log, start, signal: shutdown })
}

/**
 * The same in a release, with its environment.
 *
 * @throws Failure where ACTIVATE_VENV activates one that is not the release's own
 */
export async function openShell(
  release: Release,
  deployment: Deployment,
  { settings, branch, releases }: Site,
  commit: string,
): Promise<StepsShell> {
  const { ACTIVATE_VENV } = settings
  const shell = newShell(release.path, inFolder(settings, release.path), deployment, branch, commit)
  if (ACTIVATE_VENV === undefined) return shell
  await deployment.step('ACTIVATING VIRTUAL ENVIRONMENT', () => shell.activate(ACTIVATE_VENV))
  const { VIRTUAL_ENV } = shell.env
  if (releases.isInPlace || VIRTUAL_ENV === undefined || isInside(VIRTUAL_ENV, release.path)) return shell
  throw new Failure(exitCode.failed, `ACTIVATE_VENV activates ${VIRTUAL_ENV}, which is not the release's own.`, {
    why: 'Installing there would change what serves.',
    fix: 'let each release have one of its own: PATH_TO_VENV=.venv in place of ACTIVATE_VENV',
  })
}

function isInside(path: string, folder: string): boolean {
  const real = statSync(path, { throwIfNoEntry: false }) ? realpathSync(path) : path
  return real.startsWith(`${realpathSync(folder)}/`)
}

/** Asks the server's own command, in the repository, whether a commit may be deployed at all. */
export async function verify(command: string, deployment: Deployment, { settings, branch, repository }: Site) {
  const shell = newShell(repository.gitDir, settings, deployment, branch)
  await deployment.step('VERIFYING', () => shell.run(command))
}

/**
 * Makes of the folder what RELEASES wants it to be, and says what becomes of the files there that no commit has.
 *
 * @throws Failure where the commit tracks what is to be shared
 */
export async function settle({ entry, log }: Deployment, { settings, repository, releases }: Site): Promise<void> {
  const paths = releases.isInPlace ? [] : settings.SHARED_PATHS
  await verifyUntracked(paths, entry.commit, repository)
  const notes = releases.settle()
  for (const note of notes) log.say(note)
  const serving = releases.serving()
  if (releases.isInPlace || serving === undefined) return
  const taken = takeShared(paths, serving.path, releases.shared)
  if (taken.length > 0) log.say(`MOVED TO ${releases.shared}, and linked: ${listNames(taken)}`)
  if (notes.length === 0) return
  const left = (await serving.workTree.untracked()).filter(path => !taken.includes(path) && path !== '__pycache__/')
  if (left.length > 0) log.say(`NOT IN THE NEXT RELEASES, unless SHARED_PATHS names them: ${listNames(left)}`)
}

/** Links the shared paths into a release, and says what is not as its reader expects. */
export async function furnish(release: Release, { log }: Deployment, { settings, releases }: Site): Promise<void> {
  const { shared } = releases
  const { missing, moved } = linkShared(settings.SHARED_PATHS, release.path, shared)
  if (missing.length > 0) log.say(`NOT THERE YET IN ${shared}: ${listNames(missing)}`)
  if (moved.length > 0) log.say(`MOVED, because it is shared now: ${listNames(moved)}`)
}

/**
 * Puts a release in the place of the one that serves. Its WSGI file is touched before, so that the rename of the link is
 * what servers that watch it see, and the disk has it all, so that no power cut leaves half of it.
 *
 * @returns the release that served until then, if there was another
 */
export async function switchTo(
  release: Release,
  { PATH_TO_WSGI, RESTART }: HookSettings,
  shell: StepsShell,
  deployment: Deployment,
  { settings, releases }: Site,
): Promise<Release | undefined> {
  const { previous } = deployment.entry
  const serving = releases.serving()
  if (serving?.number === release.number) return undefined
  await deployment.step(`SWITCHING TO RELEASE ${release.number}`, async () => {
    // Where RESTART says who is told, nobody has to see another second.
    const seen = RESTART === undefined ? settings.PATH_TO_WSGI : undefined
    if (PATH_TO_WSGI && isOf(release, PATH_TO_WSGI)) await touch(PATH_TO_WSGI, shell, seen)
    const wasLive = previous !== undefined && serving?.workTree.isAt(previous)
    const [edited] = await Promise.all([wasLive && serving?.workTree.edited(), shell.run('sync --file-system .')])
    if (edited) deployment.log.say(`LOCAL CHANGES LEFT BEHIND in ${serving?.path}: ${edited}`)
    deployment.touch('code')
    deployment.touch('application')
    releases.switchTo(release)
  })
  return serving
}

/** @param hasSwitched whether the switch was what a server that watches the WSGI file has seen */
export async function restart(
  release: Release,
  { RESTART, PATH_TO_WSGI = '' }: HookSettings,
  shell: StepsShell,
  hasSwitched: boolean,
): Promise<void> {
  if (RESTART !== undefined) return shell.run(RESTART)
  if (!hasSwitched || !isOf(release, PATH_TO_WSGI)) await touch(PATH_TO_WSGI, shell, PATH_TO_WSGI)
}

const isOf = (release: Release, file: string) => file.startsWith(`${release.path}/`)

/** @param seen the file whose time servers have seen last */
async function touch(wsgi: string, shell: StepsShell, seen: string | undefined): Promise<void> {
  if (!statSync(wsgi, { throwIfNoEntry: false })?.isFile()) {
    throw new Failure(exitCode.failed, `PATH_TO_WSGI (${wsgi}) is no file: touching it would restart nothing.`)
  }
  // Of two touches in one second uWSGI may see the first only.
  if (seen) await waitForNextSecond(seen)
  try {
    utimesSync(wsgi, new Date(), new Date())
  } catch {
    // Who may write a file but does not own it may only set its time to now, for which Node has no call.
    await shell.run('touch -- "$PATH_TO_WSGI"')
  }
}

/** Loads the WSGI file, where that is Python's and the release's: what cannot be imported never gets a request. */
export const smokeTestOf = (release: Release, { PATH_TO_WSGI }: HookSettings) =>
  PATH_TO_WSGI?.endsWith('.py') && isOf(release, PATH_TO_WSGI) ? 'python3 -c "$LOAD_WSGI" "$PATH_TO_WSGI"' : ''

/** What the smoke test finds, so that its failure does not quote it. */
export const loadWsgi = {
  LOAD_WSGI: `
import os, runpy, sys
file = sys.argv.pop(1)
sys.path[0] = os.path.dirname(file)
runpy.run_path(file, run_name="wsgi")`,
}

/** @throws Failure where a step has checked out or committed something else */
export function verifyUnmoved({ path, workTree }: Release, commit: string): void {
  if (workTree.isAt(commit)) return
  throw new Failure(exitCode.failed, `${path} is not at ${commit} any more: a step has moved it.`)
}

/**
 * The commits that may lie in a folder, the likeliest first; none before the first deployment.
 *
 * @param complete the one that was there last, as far as the release's state tells
 */
export async function findKnown(
  { entry }: Deployment,
  { refs, last, repository }: Site,
  complete: string | undefined,
): Promise<string[]> {
  const recorded = (await repository.records(refs).catch(() => [])).slice(0, mostRecords).map(({ commit }) => commit)
  const deployed = [refs.live, complete, last?.commit, last?.previous, refs.failed, ...recorded]
  // Somebody may have checked out the branch by hand.
  const all = deployed.some(Boolean) ? [...deployed, entry.commit, refs.tip] : []
  return [...new Set(all.filter(each => each !== undefined))]
}
