import assert from 'node:assert/strict'
import { hookProcesses, kill, processes } from './processes.ts'
import type { Site } from './site.ts'

export type Kill = (site: Site) => void

/** The processes on a site's server. */
export const leftovers = (site: Site) =>
  processes().filter(
    ({ command, cwd }) =>
      cwd.startsWith(site.repository) || cwd.startsWith(site.workTree) || command.includes(site.repository),
  )

export const killHook: Kill = site => hookProcesses(site.repository).forEach(kill)

/** The ways to die: the hook alone, its process group with git's receive-pack, or all that belongs to the deployment. */
export const kills: Record<'the hook' | 'its process group' | 'everything', Kill> = {
  'the hook': killHook,
  'its process group': site => {
    const groups = new Set(
      processes()
        .filter(({ pid }) => hookProcesses(site.repository).includes(pid))
        .map(({ group }) => group),
    )
    for (const { pid, group } of processes()) if (groups.has(group)) kill(pid)
  },
  everything: site => {
    for (const { pid } of leftovers(site)) kill(pid)
  },
}

/** With these a deployment does not end before it is killed, because no server listens at that port. */
export const endless = { HEALTH_CHECK_URL: 'http://127.0.0.1:1/', HEALTH_CHECK_TIMEOUT: '600' }
export const endlessNoMore = { HEALTH_CHECK_URL: undefined, HEALTH_CHECK_TIMEOUT: undefined }

/** RELEASES=3. Each release has a file that names the commit whose dependencies are completely installed. */
export const sideBySide = {
  RELEASES: '3',
  SMOKE_TEST: 'true',
  INSTALL_DEPS: 'echo half-way > installed; sleep 0.02; echo "$DEPLOY_COMMIT" > installed',
  UPGRADE_DB: 'true',
}
/** What the hook says before each of its steps. */
export const announcements = ['CHECKING OUT', 'INSTALLING', 'UPGRADING', 'RESTARTING', 'CHECKING HEALTH']
export const announcementsSideBySide = [...announcements, 'TESTING', 'SWITCHING']

/** Verifies that the link leads to one complete release: its files and its dependencies are those of one commit. */
export async function verifyWhole(site: Site, what: string) {
  const commit = (await site.workTreeGit`git rev-parse HEAD`).stdout.trim()
  assert.equal((await site.workTreeGit`git status --porcelain`).stdout, '', what)
  assert.equal(site.read('installed'), `${commit}\n`, what)
}
