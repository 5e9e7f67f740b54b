import type { Origin } from '../protocol/origin.ts'

/** The CI that deploy runs in. */
export interface Ci extends Origin {
  /** Gitea and Forgejo speak GitHub's language. */
  readonly language: 'github' | 'gitlab' | 'none'
  /** How a clone with the whole history is asked for there. */
  readonly fullHistory: string
}

/** By the variables that each documents; ci-info takes Gitea for GitHub, and GITLAB_CI=false for GitLab. */
export function recognizeCi(env: NodeJS.ProcessEnv = process.env): Ci | undefined {
  const value = (name: string) => env[name] || undefined
  if (env.GITHUB_ACTIONS === 'true') {
    const { GITHUB_SERVER_URL, GITHUB_REPOSITORY, GITHUB_RUN_ID } = env
    return {
      language: 'github',
      by: value('GITHUB_TRIGGERING_ACTOR') ?? value('GITHUB_ACTOR'),
      run: GITHUB_RUN_ID && `${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}/actions/runs/${GITHUB_RUN_ID}`,
      fullHistory: 'actions/checkout with `fetch-depth: 0`',
    }
  }
  if (env.GITLAB_CI === 'true') {
    return {
      language: 'gitlab',
      by: value('GITLAB_USER_LOGIN'),
      run: value('CI_JOB_URL') ?? value('CI_PIPELINE_URL'),
      fullHistory: 'the variable `GIT_DEPTH: "0"` in this job',
    }
  }
  if (env.CI === 'woodpecker') {
    return {
      language: 'none',
      by: value('CI_COMMIT_AUTHOR'),
      run: value('CI_STEP_URL') ?? value('CI_PIPELINE_URL'),
      fullHistory: 'the clone plugin with `depth: 0` and `partial: false`',
    }
  }
  if (env.BITBUCKET_BUILD_NUMBER) {
    const { BITBUCKET_WORKSPACE, BITBUCKET_REPO_SLUG, BITBUCKET_BUILD_NUMBER } = env
    return {
      language: 'none',
      by: value('BITBUCKET_STEP_TRIGGERER_UUID'),
      run: `https://bitbucket.org/${BITBUCKET_WORKSPACE}/${BITBUCKET_REPO_SLUG}/pipelines/results/${BITBUCKET_BUILD_NUMBER}`,
      fullHistory: '`clone: depth: full` in this step',
    }
  }
  return undefined
}
