import { basename, dirname, posix } from 'node:path'
import { parseRemote } from '../../ssh/remote.ts'

/** Where the application will be on the server. */
export interface Place {
  readonly user: string
  readonly host: string
  /** STAGING_REMOTE_REPO. */
  readonly url: string
  /** What units, sites and files of this application are called: letters, digits, `_` and `-`. */
  readonly name: string
  readonly repository: string
  readonly workTree: string
  /** Where setup-ssh puts the files of deploy/server. */
  readonly files: string
}

/**
 * Reads the answer to "server": `user@host`, `user@host:port`, `user@host:path`, `user@host:port:path`, or an ssh URL.
 * Without a path the repository lies in the home folder, and is called after the project.
 *
 * @throws Error with what is wrong, as it is said behind "the server"
 */
export function readPlace(text: string, project: string): Place {
  const given = text.trim()
  const [, login = given, port, path] = /^([^:/]+@[^:/]+)(?::(\d+))?(?::(.+))?$/.exec(given) ?? []
  const url = given.startsWith('ssh://') || path !== undefined ? given : `${login}:x`
  const remote = parseRemote(login === given && !given.startsWith('ssh://') ? `${given}:x` : port ? `${login}:x` : url)
  if (remote?.host === undefined || remote.user === undefined) {
    throw new Error('is neither user@host, user@host:port, user@host:path nor ssh://user@host:port/path')
  }
  const { user, host } = remote
  // It is written into units, sudoers and shell commands.
  if (!/^[A-Za-z_][\w.-]*$/.test(user)) throw new Error(`has the user ${user}, which is no name of a Debian login`)
  const home = user === 'root' ? '/root' : `/home/${user}`
  const asked = given.startsWith('ssh://') ? remote.path : (path ?? '')
  const repository = posix.resolve(home, (asked || `${safeName(project)}.git`).replace(/^~\//, ''))
  if (!/^\/[\w./+-]+$/.test(repository)) throw new Error('has a path with more than letters, digits, and . _ + - in it')
  if (!/[^/]\.git$/.test(repository)) {
    throw new Error(
      'names a path that does not end in .git: it is that of the repository, and the application goes beside it',
    )
  }
  const sshPort = given.startsWith('ssh://') ? remote.port : port && Number(port)
  if (sshPort && !(Number(sshPort) <= 65535)) throw new Error(`has ${sshPort} for a port`)
  const name = safeName(basename(repository, '.git'))
  return {
    user,
    host,
    url: sshPort ? `ssh://${user}@${host}:${sshPort}${repository}` : `${user}@${host}:${repository}`,
    name,
    repository,
    workTree: posix.join(dirname(repository), basename(repository, '.git')),
    files: `${repository}/server`,
  }
}

/** sudo reads no file with a dot in its name. */
export const safeName = (name: string) => name.replace(/[^\w]+/g, '-').replace(/^[-_]+|-+$/g, '') || 'app'
