import type { RecognizeCi } from './ci.ts'

export const bitbucket: RecognizeCi = env => {
  const { BITBUCKET_WORKSPACE, BITBUCKET_REPO_SLUG, BITBUCKET_BUILD_NUMBER } = env
  if (!BITBUCKET_BUILD_NUMBER) return undefined
  return {
    by: env.BITBUCKET_STEP_TRIGGERER_UUID || undefined,
    run: `https://bitbucket.org/${BITBUCKET_WORKSPACE}/${BITBUCKET_REPO_SLUG}/pipelines/results/${BITBUCKET_BUILD_NUMBER}`,
    fullHistory: '`clone: depth: full` in this step',
  }
}
