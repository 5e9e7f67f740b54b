import { readlinkSync, rmSync, symlinkSync } from 'node:fs'
import { join, relative } from 'node:path'
import { readStateFile, replaceStateFile } from './state-file.ts'

/** A dangling link is as good as a missing file to git, and what git writes to it becomes the repository's. */
const shared = ['objects', 'refs', 'packed-refs', 'shallow']

/**
 * Makes a git directory one with a configuration and hooks of its own, and the repository's objects and refs, by links as
 * git-new-workdir makes them. Whatever a step's installer configures there, the repository that deploys does not see it.
 *
 * @throws Failure where it cannot be written
 */
export function separate(gitDir: string, repository: string): void {
  const way = relative(gitDir, repository)
  for (const name of shared) link(join(way, name), join(gitDir, name))
  const file = join(gitDir, 'config')
  const beginning = configuration(way, repository)
  if (!readStateFile(file)?.startsWith(beginning)) replaceStateFile(file, beginning)
  // By this file of earlier versions git goes by the repository's configuration, as long as it is there.
  rmSync(join(gitDir, 'commondir'), { recursive: true, force: true })
}

/** Takes away what steps have configured. Submodules stay, because they are updated and not made. */
export function forgetConfiguration(gitDir: string): void {
  for (const name of ['hooks', 'info', 'config', 'config.worktree']) {
    rmSync(join(gitDir, name), { recursive: true, force: true })
  }
}

/** What is the repository's comes first, so that a step can configure something else. */
function configuration(way: string, repository: string): string {
  const text = readStateFile(join(repository, 'config')) ?? ''
  // git asks the file itself how to read objects, and not what it includes.
  const [, version = '0'] = /^\s*repositoryformatversion\s*=\s*(\d+)/im.exec(text) ?? []
  const extensions = text.match(/^\s*\[extensions\][^[]*/gim) ?? []
  return `\
[include]
	path = ${way}/config
[lfs]
	storage = ${way}/lfs
${extensions.map(section => `${section.trim()}\n`).join('')}[core]
	bare = false
	repositoryformatversion = ${version}
`
}

function link(target: string, path: string): void {
  try {
    if (readlinkSync(path) === target) return
  } catch {
    // There is nothing, or no link.
  }
  rmSync(path, { recursive: true, force: true })
  symlinkSync(target, path)
}
