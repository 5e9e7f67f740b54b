import { lstatSync, type StatsBase, statfsSync } from 'node:fs'
import type { Check } from '../protocol/checks.ts'
import { inside, namesIn } from './git-paths.ts'
import { existingFolder } from './place.ts'
import type { Releases } from './releases.ts'
import type { Size } from './repository.ts'
import { type HookSettings, lockedFolder } from './settings.ts'

/** Looking takes no longer, however many files there are. */
const mostMilliseconds = 5_000

/**
 * Whether the disk has room for what a deployment adds at least: a release like the one that serves, less the one whose
 * folder is used again. What an install needs meanwhile is not known.
 *
 * @param commit its files, where they are known
 */
export function checkRoom(settings: HookSettings, releases: Releases, commit: Size | undefined): Check {
  const what = 'room'
  const folder = existingFolder(lockedFolder(settings))
  const { bavail, bsize, files, ffree } = statfsSync(folder)
  const free = bavail * bsize
  const end = performance.now() + mostMilliseconds
  const serving = releases.serving()
  const isServed = serving !== undefined && !serving.workTree.isEmpty()
  let needed = commit ?? nothing
  if (isServed) {
    const others = releases.present().filter(({ path }) => path !== serving.path)
    const isNew = others.length + 1 < settings.RELEASES
    const reused = isNew ? [] : others.map(({ path }) => measure(path, end))
    const live = releases.isInPlace ? nothing : measure(serving.path, end)
    needed = {
      bytes: Math.max(0, live.bytes - Math.max(0, ...reused.map(({ bytes }) => bytes))),
      files: Math.max(0, live.files - Math.max(0, ...reused.map(({ files }) => files))),
    }
  }
  const [has, takes] = [`${show(free)} are free in ${folder}`, `a deployment adds ${show(needed.bytes)}`]
  const fix = 'make room there'
  if (free < needed.bytes) return { what, isOk: false, found: `${has}, and ${takes} at least`, fix }
  // Some file systems count no files.
  if (files > 0 && ffree < needed.files) {
    const found = `${ffree} more files can be made in ${folder}, and a deployment adds ${needed.files} at least`
    return { what, isOk: false, found, fix }
  }
  return { what, isOk: true, found: has }
}

const nothing: Size = { bytes: 0, files: 0 }
const show = (bytes: number) => (bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`)

/** What a folder takes on its disk by itself, less files that have other names, too, as in the cache of an installer. */
function measure(folder: string, end: number): Size {
  let bytes = 0
  let files = 0
  const rest: (string | Buffer)[] = [folder]
  const isMore = (found: StatsBase<number>) => found.isDirectory() || found.nlink === 1
  for (let path = rest.pop(); path !== undefined && performance.now() < end; path = rest.pop()) {
    try {
      const found = lstatSync(path)
      if (isMore(found)) {
        bytes += found.blocks * 512
        files++
      }
      if (found.isDirectory()) for (const name of namesIn(path)) rest.push(inside(path, name))
    } catch {
      // It was removed meanwhile, or is another user's.
    }
  }
  return { bytes, files }
}
