import { bitbucket } from './bitbucket.ts'
import type { Ci } from './ci.ts'
import { github } from './github.ts'
import { gitlab } from './gitlab.ts'
import { woodpecker } from './woodpecker.ts'

/** By the variables that each documents. The package ci-info takes GITLAB_CI=false for GitLab. */
const cis = [github, gitlab, woodpecker, bitbucket]

export function recognizeCi(env: NodeJS.ProcessEnv = process.env): Ci | undefined {
  for (const recognize of cis) {
    const ci = recognize(env)
    if (ci) return ci
  }
  return undefined
}

/** Whether this is a job of any CI: most set CI. */
export const isInCi = (env: NodeJS.ProcessEnv = process.env) =>
  recognizeCi(env) !== undefined || !/^(0|false)?$/i.test(env.CI ?? '')
