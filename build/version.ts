import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { root } from './base.ts'

/** `0.1.0 (1a2b3c4)`, `0.1.0 (1a2b3c4-dirty)` with local changes, `0.1.0` without git or outside a repository. */
export function readVersion(): string {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const git = spawnSync('git', ['describe', '--always', '--dirty', '--abbrev=7', '--exclude=*'], {
    cwd: root,
    encoding: 'utf8',
    // If an unpacked archive is inside another repository, git must not describe that one.
    env: { ...process.env, GIT_CEILING_DIRECTORIES: dirname(root) },
  })
  return git.status === 0 ? `${version} (${git.stdout.trim()})` : version
}
