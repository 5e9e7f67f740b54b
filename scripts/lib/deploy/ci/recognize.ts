import { bitbucket } from './bitbucket.ts'
import type { Ci } from './ci.ts'
import { github } from './github.ts'
import { gitlab } from './gitlab.ts'
import { woodpecker } from './woodpecker.ts'

/** Each tells by its own variables: ci-info takes Gitea for GitHub, and GITLAB_CI=false for GitLab. */
const all = [github, gitlab, woodpecker, bitbucket]

export function recognizeCi(env: NodeJS.ProcessEnv = process.env): Ci | undefined {
  for (const recognize of all) {
    const ci = recognize(env)
    if (ci) return ci
  }
  return undefined
}
