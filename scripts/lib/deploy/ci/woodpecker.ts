import type { RecognizeCi } from './ci.ts'

export const woodpecker: RecognizeCi = env => {
  if (env.CI !== 'woodpecker') return undefined
  return {
    by: env.CI_COMMIT_AUTHOR || undefined,
    run: env.CI_STEP_URL || env.CI_PIPELINE_URL || undefined,
    fullHistory: 'the clone plugin with `depth: 0` and `partial: false`',
  }
}
