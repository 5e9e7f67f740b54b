import { execFile, execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { copyPackage } from './base.ts'

/** Adds to a folder of binaries what a release has besides: each compressed, what is in them, and all checksums. */
export async function completeRelease(folder: string, work: string): Promise<void> {
  // One thread: the blocks of more would show in the result.
  const compress = (binary: string) => promisify(execFile)('xz', ['--keep', '-6', '--threads=1', join(folder, binary)])
  await Promise.all(readdirSync(folder).map(compress))
  writeFileSync(join(folder, 'sbom.cdx.json'), listComponents(work))
  const files = readdirSync(folder).sort()
  writeFileSync(join(folder, 'SHA256SUMS'), files.map(file => `${sha256(join(folder, file))}  ${file}\n`).join(''))
}

const sha256 = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex')

/** CycloneDX, without what differs at each run; both are optional there. */
function listComponents(work: string): string {
  const npm = ['sbom', '--sbom-format=cyclonedx', '--omit=dev', '--package-lock-only']
  const sbom = JSON.parse(execFileSync('npm', npm, { cwd: copyPackage(work), encoding: 'utf8' }))
  sbom.serialNumber = undefined
  sbom.metadata.timestamp = undefined
  return `${JSON.stringify(sbom, null, 2)}\n`
}
