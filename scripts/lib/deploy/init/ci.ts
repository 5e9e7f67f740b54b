import type { Application } from './kinds/kind.ts'
import type { Project } from './look.ts'
import { bitbucket, forgejo, githubDeploy, githubTest, gitlab, woodpecker } from './texts/ci.ts'

export const ciNames = ['github', 'forgejo', 'gitlab', 'bitbucket', 'woodpecker', 'none'] as const
export type CiName = (typeof ciNames)[number]

/** By its files, or else by where the clone came from. */
export function findCi({ files, origin }: Project): CiName {
  const has = (pattern: RegExp) => files.some(file => pattern.test(file))
  if (has(/^\.(forgejo|gitea)\//)) return 'forgejo'
  if (has(/^\.woodpecker(\.ya?ml$|\/)/)) return 'woodpecker'
  if (has(/^\.gitlab-ci\.yml$/)) return 'gitlab'
  if (has(/^bitbucket-pipelines\.yml$/)) return 'bitbucket'
  if (has(/^\.github\/workflows\//)) return 'github'
  const [, host = ''] = /^(?:\w+:\/\/)?(?:[^@/]*@)?([^:/]+)/.exec(origin) ?? []
  if (host === 'github.com') return 'github'
  if (host === 'bitbucket.org') return 'bitbucket'
  if (host === 'codeberg.org') return 'forgejo'
  return /^gitlab\./.test(host) ? 'gitlab' : 'none'
}

export interface CiFiles {
  readonly files: Readonly<Record<string, string>>
  /** What is left to do about them. */
  readonly notes: readonly string[]
}

/** The examples, with the project's own branch and tests. Files that others wrote are not touched: ours go beside them. */
export function ciFiles(ci: CiName, project: Project, branch: string, test: Application['test']): CiFiles {
  const adapt = (text: string) => withTests(text, test).replace(/\bmain\b/g, () => branch)
  const getDeploy = "a release's deploy.cjs as ci/deploy.cjs"
  const getAction = (folder: string) => `a release's pushlive-action.tar.gz, unpacked in ${folder}/actions/pushlive`
  if (ci === 'none') return { files: {}, notes: [] }
  if (ci === 'github') {
    const folder = '.github/workflows'
    const deploy = { [`${folder}/deploy.yml`]: adapt(githubDeploy) }
    const others = project.files.filter(
      file =>
        file.startsWith(`${folder}/`) &&
        /\.ya?ml$/.test(file) &&
        !/\/(deploy|lint-and-test)\.ya?ml$/.test(file) &&
        /test/i.test(file + project.read(file)),
    )
    const isOurs = isLike(project.read(`${folder}/lint-and-test.yml`), githubTest)
    if (others.length === 0 || isOurs) {
      return {
        files: { ...deploy, [`${folder}/lint-and-test.yml`]: adapt(githubTest) },
        notes: [`Commit ${getAction('.github')}.`],
      }
    }
    const job = `  deploy:
    needs: test
    if: github.event_name == 'push' && github.ref == 'refs/heads/${branch}'
    uses: ./${folder}/deploy.yml
    secrets:
      SSH_DEPLOYMENT_KEY: \${{ secrets.SSH_DEPLOYMENT_KEY }}`
    return {
      files: deploy,
      notes: [
        `Commit ${getAction('.github')}.`,
        `Add this job to the workflow that tests (${others.slice(0, 3).join(', ')}), with its own job after needs:\n${job}`,
      ],
    }
  }
  const single = { forgejo, gitlab, bitbucket, woodpecker }[ci]
  const own = project.files.some(file => file.startsWith('.gitea/')) ? '.gitea' : '.forgejo'
  const path = {
    forgejo: `${own}/workflows/deploy.yml`,
    gitlab: '.gitlab-ci.yml',
    bitbucket: 'bitbucket-pipelines.yml',
    woodpecker: project.files.some(file => file.startsWith('.woodpecker/'))
      ? '.woodpecker/deploy.yml'
      : '.woodpecker.yml',
  }[ci]
  const note = `Commit ${ci === 'forgejo' ? getAction(own) : getDeploy}.`
  if (!project.has(path) || isLike(project.read(path), single))
    return { files: { [path]: adapt(single) }, notes: [note] }
  const beside = `deploy/${path.replace(/^\.|.*\//g, '')}`
  return {
    files: { [beside]: adapt(single) },
    notes: [note, `${path} is yours: take the job deploy from ${beside} into it.`],
  }
}

/** Whether a file began as ours. */
const isLike = (text: string, ours: string) => text !== '' && text.split(':')[0] === ours.split(':')[0]

/** The project's own commands, in place of those of the examples. */
function withTests(text: string, { image, commands }: Application['test']): string {
  const [comment] = /#\s*Your own checks: only what passes them goes live\./.exec(text) ?? ['']
  return text
    .replace(/python:3\.13/g, () => image)
    .replace(/^( *)- run: make install-deps\n[\s\S]*?- run: make test$/m, (_, indent: string) =>
      [`${indent}${comment}`, `${indent}- run: |`, ...commands.map(command => `${indent}    ${command}`)].join('\n'),
    )
    .replace(/^( *)- make install-deps\n[\s\S]*?- make test$/m, (_, indent: string) =>
      [`${indent}${comment}`, ...commands.map(command => `${indent}- ${command}`)].join('\n'),
    )
}
