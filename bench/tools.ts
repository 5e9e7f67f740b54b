import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Site } from '../test/lib/site.ts'
import { binaries } from './sites.ts'

const here = join(import.meta.dirname, 'peers')
const venv = join(import.meta.dirname, '../dist/peers/bin')

const read = (command: string, ...args: string[]) => execFileSync(command, args, { encoding: 'utf8' })
const versionIn = (text: string) => /\d+(\.\d+)+/.exec(text)?.[0] ?? ''

/** What a peer's deployment gets. */
export interface Target {
  readonly site: Site
  readonly port: number
  readonly key: string
  readonly knownHosts: string
  /** A bare repository on the server's disk, for those that fetch. */
  readonly forge: string
  /** Where those that fetch deploy to. */
  readonly folder: string
}

interface Command {
  readonly command: string
  readonly args?: readonly string[]
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
}

export interface Peer {
  readonly version: () => string
  /** Whether it gets the commit from here, and fetches nothing. */
  readonly isPushed?: boolean
  readonly setUp?: (site: Site) => void
  readonly deploy: (target: Target) => Command
  readonly rollback?: (target: Target) => Command
  /** Where the files are served from. */
  readonly live: (target: Target) => string
}

const pushlive = (settings: Record<string, string>): Peer => {
  const program = (args: readonly string[]) => (target: Target) => {
    const KNOWN_DEPLOYMENT_HOSTS = readFileSync(target.knownHosts, 'utf8')
    const env = { ...target.site.deployEnvironment, STAGING_REMOTE_REPO: urlOf(target), KNOWN_DEPLOYMENT_HOSTS }
    return { command: join(binaries, 'deploy'), args, cwd: target.site.clone, env }
  }
  return {
    version: () => versionIn(read(join(binaries, 'deploy'), '--version')),
    isPushed: true,
    setUp: site => {
      site.configure(settings)
      cpSync(join(binaries, 'post-receive'), join(site.repository, 'hooks/post-receive'))
    },
    deploy: program([]),
    rollback: program(['rollback']),
    live: ({ site }) => site.workTree,
  }
}

const urlOf = ({ site, port }: Target) => site.url.replace(/:\d+\//, `:${port}/`)
const fetching = ({ site, port, key, knownHosts, forge, folder }: Target) => ({
  ...site.deployEnvironment,
  FORGE: forge,
  DEPLOY_TO: folder,
  SSH_USER: new URL(site.url).username,
  SSH_PORT: `${port}`,
  SSH_KEY: key,
  SSH_KNOWN_HOSTS: knownHosts,
})
const inFolder = ({ folder }: Target) => folder

/** Each as its own documentation sets it up, with the same four steps: code, install-deps, upgrade-db, touch. */
export const peers: Record<string, Peer> = {
  'plain bash': {
    version: () => versionIn(read('bash', '--version')),
    isPushed: true,
    setUp: site => {
      rmSync(join(site.repository, 'hooks/update'))
      cpSync(join(here, '../bash/post-receive'), join(site.repository, 'hooks/post-receive'))
      mkdirSync(site.workTree)
    },
    deploy: target => {
      const options = ['-i', target.key, '-o', `UserKnownHostsFile=${target.knownHosts}`, '-o', 'IdentitiesOnly=yes']
      const GIT_SSH_COMMAND = ['ssh', ...options].join(' ')
      const env = { ...target.site.deployEnvironment, GIT_SSH_COMMAND, STAGING_REMOTE_REPO: urlOf(target) }
      return { command: join(here, '../bash/DEPLOY.sh'), cwd: target.site.clone, env }
    },
    live: ({ site }) => site.workTree,
  },
  pushlive: pushlive({}),
  'pushlive, RELEASES=3': pushlive({ RELEASES: '3', SMOKE_TEST: '' }),
  Capistrano: {
    version: () => versionIn(read('cap', '--version')),
    // It writes a log beside its configuration.
    setUp: site => cpSync(join(here, 'capistrano'), join(site.folder, 'capistrano'), { recursive: true }),
    deploy: target => ({
      command: 'cap',
      args: ['production', 'deploy'],
      cwd: join(target.site.folder, 'capistrano'),
      env: fetching(target),
    }),
    rollback: target => ({
      command: 'cap',
      args: ['production', 'deploy:rollback'],
      cwd: join(target.site.folder, 'capistrano'),
      env: fetching(target),
    }),
    live: ({ folder }) => join(folder, 'current'),
  },
  Ansible: {
    version: () => versionIn(read(join(venv, 'ansible'), '--version')),
    deploy: target => {
      const { site, key, knownHosts, port, folder } = target
      const options = `-o UserKnownHostsFile=${knownHosts} -o IdentitiesOnly=yes -o ControlMaster=auto -o ControlPersist=60s`
      const env = {
        ...fetching(target),
        LC_ALL: 'C.UTF-8',
        ANSIBLE_PIPELINING: '1',
        ANSIBLE_SSH_ARGS: options,
        // In a CI each job makes a new connection.
        ANSIBLE_SSH_CONTROL_PATH_DIR: join(folder, `../cp-${performance.now()}`),
        ANSIBLE_PYTHON_INTERPRETER: '/usr/bin/python3',
      }
      const host = ['--inventory', '127.0.0.1,', '--user', new URL(site.url).username]
      const args = [...host, '--key-file', key, '-e', `ansible_port=${port}`, join(here, 'playbook.yml')]
      return { command: join(venv, 'ansible-playbook'), args, env }
    },
    live: inFolder,
  },
  Fabric: {
    version: () => versionIn(read(join(venv, 'fab'), '--version')),
    deploy: target => ({ command: join(venv, 'fab'), args: ['deploy'], cwd: here, env: fetching(target) }),
    live: inFolder,
  },
  pyinfra: {
    version: () => versionIn(read(join(venv, 'pyinfra'), '--version')),
    deploy: target => ({
      command: join(venv, 'pyinfra'),
      args: ['-y', 'inventory.py', 'deploy.py'],
      cwd: here,
      env: fetching(target),
    }),
    live: inFolder,
  },
}
