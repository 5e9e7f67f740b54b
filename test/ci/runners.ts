import { appendFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parse } from 'yaml'
import { type ProcessPromise, $ as zx } from 'zx/core'
import type { Outputs } from '../../scripts/lib/deploy/ci/ci.ts'
import type { Site } from '../lib/site.ts'

const root = join(import.meta.dirname, '../..')
export const examples = join(root, 'examples')
export const installed = join(root, 'dist/runners')

/** The address of the tests' application, which later jobs get. */
export const appUrl = 'https://app.example.org'

/** A CI that runs on one machine. */
export interface Runner {
  /** Where the example's files belong in a repository, and the action's or deploy.cjs's folder. */
  readonly files: Readonly<Record<string, string>>
  readonly action: string
  /** Runs the pipeline of a push to main, in the clone. */
  start(site: Site): ProcessPromise
  /** Whether the outputs, such as the commit, reach later jobs. */
  readonly hasOutputs: boolean
  readonly language?: 'github'
  /** The origin of a deployment, as far as this runner tells it. */
  readonly origin: { readonly by?: string; readonly run?: RegExp }
}

/** Puts an example into a clone, as the README and the example itself say. */
export function use({ files, action }: Runner, site: Site): void {
  for (const [file, example] of Object.entries(files)) {
    mkdirSync(dirname(join(site.clone, file)), { recursive: true })
    cpSync(join(examples, example), join(site.clone, file))
  }
  cpSync(join(root, 'dist/action'), join(site.clone, action), { recursive: true })
  // The files that a CI gives deploy are gone with the job.
  appendFileSync(
    join(site.clone, action, 'deploy.cjs'),
    `
process.once('exit', exitCode => {
  const { existsSync, readFileSync, writeFileSync } = require('node:fs')
  const { GITHUB_STEP_SUMMARY: summary = '', GITHUB_OUTPUT: outputs = 'deploy.env' } = process.env
  const read = file => (existsSync(file) ? readFileSync(file, 'utf8') : '')
  writeFileSync(${JSON.stringify(seenFile(site))}, JSON.stringify({ exitCode, summary: read(summary), outputs: read(outputs) }))
})
`,
  )
}

const seenFile = (site: Site) => join(site.folder, 'seen.json')

/** How deploy ended in the job, and what it left in the CI's files for the run's summary and for later jobs. */
export function readSeen(site: Site) {
  const seen = JSON.parse(readFileSync(seenFile(site), 'utf8')) as {
    exitCode: number
    summary: string
    outputs: string
  }
  const values = [...seen.outputs.matchAll(/^(?:DEPLOY_)?(\w+)=(.*)$/gm)].map(([, name = '', value]) => [
    name.toLowerCase(),
    value,
  ])
  return { ...seen, outputs: Object.fromEntries(values) as Partial<Outputs> }
}

/** The job's machine: it has its own home, and the pinned Node. */
const machineOf = (site: Site) => ({
  ...site.deployEnvironment,
  STEPS: '/dev/null',
  PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
})

const inClone = (site: Site, env: Record<string, string | undefined>) => {
  const { STAGING_REMOTE_REPO, KNOWN_DEPLOYMENT_HOSTS, SSH_DEPLOYMENT_KEY, BRANCH_NAME, ...machine } = machineOf(site)
  return zx({ cwd: site.clone, env: { ...machine, ...env }, quiet: true, nothrow: true })
}

/** nektos/act, and Gitea's engine, which comes from it. */
const act = (program: string, label: string, workflows: string, files: Runner['files'], action: string): Runner => ({
  files,
  action,
  start(site) {
    const { STAGING_REMOTE_REPO, KNOWN_DEPLOYMENT_HOSTS, SSH_DEPLOYMENT_KEY } = machineOf(site)
    const variables = { STAGING_REMOTE_REPO, KNOWN_DEPLOYMENT_HOSTS, APP_URL: appUrl }
    const vars = Object.entries(variables).flatMap(([name, value]) => ['--var', `${name}=${value}`])
    const where = ['-W', workflows, '-P', `${label}=-self-hosted`, '--defaultbranch', 'main', '--actor', 'ada']
    // A secret without a value comes from the environment.
    return inClone(site, { SSH_DEPLOYMENT_KEY })`exec ${program} push ${where} ${vars} -s SSH_DEPLOYMENT_KEY`
  },
  hasOutputs: true,
  language: 'github',
  origin: { by: 'ada', run: /\/actions\/runs\/\d+$/ },
})

export const runners: Readonly<Record<string, Runner>> = {
  'GitHub, by act': act(
    join(installed, 'bin/act'),
    'ubuntu-latest',
    '.github/workflows/lint-and-test.yml',
    {
      '.github/workflows/lint-and-test.yml': 'github/lint-and-test.yml',
      '.github/workflows/deploy.yml': 'github/deploy.yml',
    },
    '.github/actions/pushlive',
  ),
  'Forgejo and Gitea, by the engine of Gitea': act(
    join(installed, 'gitea/act'),
    'docker',
    '.forgejo/workflows/deploy.yml',
    { '.forgejo/workflows/deploy.yml': 'forgejo/deploy.yml' },
    '.forgejo/actions/pushlive',
  ),
  'GitLab, by gitlab-ci-local': {
    files: { '.gitlab-ci.yml': 'gitlab/.gitlab-ci.yml' },
    action: 'ci',
    start(site) {
      const { STAGING_REMOTE_REPO, KNOWN_DEPLOYMENT_HOSTS, SSH_DEPLOYMENT_KEY } = machineOf(site)
      const asFile = (value: string) => ({ type: 'file', values: { '*': value } })
      const variables = {
        STAGING_REMOTE_REPO: { type: 'variable', values: { '*': STAGING_REMOTE_REPO } },
        KNOWN_DEPLOYMENT_HOSTS: asFile(KNOWN_DEPLOYMENT_HOSTS),
        SSH_DEPLOYMENT_KEY: asFile(SSH_DEPLOYMENT_KEY),
        APP_URL: { type: 'variable', values: { '*': appUrl } },
        GITLAB_USER_LOGIN: 'ada',
        CI_JOB_URL: 'https://gitlab.example/ada/app/-/jobs/17',
      }
      // JSON is YAML.
      const file = join(site.home, 'variables.yml')
      writeFileSync(file, JSON.stringify(variables), { mode: 0o600 })
      const program = join(root, 'node_modules/gitlab-ci-local/dist/index.js')
      // It says GITLAB_CI=false of itself.
      const asGitlab = ['--ignore-predefined-vars', 'GITLAB_CI', '--variable', 'GITLAB_CI=true']
      const how = ['--force-shell-executor', '--shell-isolation', '--variables-file', file, '--home', site.home]
      return inClone(site, {})`exec ${process.execPath} ${program} ${how} ${asGitlab}`
    },
    hasOutputs: true,
    origin: { by: 'ada', run: /^https:\/\/gitlab\.example\/ada\/app\/-\/jobs\/17$/ },
  },
  'Bitbucket, by bb-run': {
    files: { 'bitbucket-pipelines.yml': 'bitbucket/bitbucket-pipelines.yml' },
    action: 'ci',
    start(site) {
      const { STAGING_REMOTE_REPO, KNOWN_DEPLOYMENT_HOSTS, SSH_DEPLOYMENT_KEY } = machineOf(site)
      const inOneLine = (value: string) => Buffer.from(value).toString('base64')
      const variables = {
        STAGING_REMOTE_REPO,
        KNOWN_DEPLOYMENT_HOSTS: inOneLine(KNOWN_DEPLOYMENT_HOSTS),
        SSH_DEPLOYMENT_KEY: inOneLine(SSH_DEPLOYMENT_KEY),
        BITBUCKET_WORKSPACE: 'ada',
        BITBUCKET_REPO_SLUG: 'app',
      }
      const file = join(site.home, 'variables')
      const lines = Object.entries(variables).map(([name, value]) => `${name}=${value}\n`)
      writeFileSync(file, lines.join(''), { mode: 0o600 })
      return inClone(site, {})`exec ${join(installed, 'bin/bb-run')} --mode host --branch main --env-file ${file}`
    },
    hasOutputs: false,
    origin: { run: /^https:\/\/bitbucket\.org\/ada\/app\/pipelines\/results\/\d+$/ },
  },
  // Its command line is in no registry. This runs a step as its agent does.
  'Woodpecker, by its steps': {
    files: { '.woodpecker.yml': 'woodpecker/.woodpecker.yml' },
    action: 'ci',
    start(site) {
      const { steps } = parse(readFileSync(join(site.clone, '.woodpecker.yml'), 'utf8')) as { steps: WoodpeckerStep[] }
      const secrets = machineOf(site) as Record<string, string | undefined>
      const script = steps.flatMap(({ environment = {}, commands }) => {
        const names = Object.entries(environment).map(([name, value]) => {
          const known = typeof value === 'string' ? quote(value) : `"$SECRET_${value.from_secret}"`
          return `export ${name}=${known}`
        })
        return ['(', 'set -e', ...names, ...commands, ') || exit']
      })
      const given = ['STAGING_REMOTE_REPO', 'KNOWN_DEPLOYMENT_HOSTS', 'SSH_DEPLOYMENT_KEY'].map(
        name => [`SECRET_${name.toLowerCase()}`, secrets[name]] as const,
      )
      const woodpecker = {
        CI: 'woodpecker',
        CI_COMMIT_AUTHOR: 'ada',
        CI_PIPELINE_URL: 'https://woodpecker.example/repos/1/pipeline/17',
      }
      return inClone(site, { ...woodpecker, ...Object.fromEntries(given) })`exec bash -c ${script.join('\n')}`
    },
    hasOutputs: false,
    origin: { by: 'ada', run: /^https:\/\/woodpecker\.example\/repos\/1\/pipeline\/17$/ },
  },
}

interface WoodpeckerStep {
  readonly commands: readonly string[]
  readonly environment?: Readonly<Record<string, string | { readonly from_secret: string }>>
}

const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`
