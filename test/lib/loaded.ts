import { join } from 'node:path'
import { buildSync } from 'esbuild'

/** What a script loads at its start, and all that it may load: paths in this project, and names of Node's modules. */
export function whatIsLoadedBy(script: string) {
  const { metafile } = buildSync({
    absWorkingDir: join(import.meta.dirname, '../..'),
    entryPoints: [script],
    bundle: true,
    platform: 'node',
    write: false,
    metafile: true,
    logLevel: 'silent',
  })
  const atStart = new Set([script])
  for (const file of atStart) {
    for (const { path, kind } of metafile.inputs[file]?.imports ?? []) {
      if (kind !== 'dynamic-import') atStart.add(path)
    }
  }
  return { atStart: [...atStart], inAll: Object.keys(metafile.inputs) }
}
