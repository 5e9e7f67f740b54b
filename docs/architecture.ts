// Draws the picture of the rooms in docs/architecture.md, from the imports of the three scripts.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buildSync } from 'esbuild'

const root = join(import.meta.dirname, '..')
export const page = join(import.meta.dirname, 'architecture.md')
const picture = /(?<=<!-- rooms: made by docs\/architecture.ts -->\n).*?(?=<!-- end -->)/s

/** A script is a room of its own; a file below scripts/lib belongs to the folder there. */
const roomOf = (file: string) =>
  /^scripts\/(?:lib\/([^/]+)\/|([^/]+\.ts)$)/
    .exec(file)
    ?.slice(1)
    .find(name => name !== undefined)

/** Which rooms import which, without the arrows that others imply. */
function findArrows(): [string, string][] {
  const { metafile } = buildSync({
    absWorkingDir: root,
    entryPoints: ['scripts/deploy.ts', 'scripts/setup-ssh.ts', 'scripts/post-receive.ts'],
    bundle: true,
    platform: 'node',
    outdir: 'dist',
    write: false,
    metafile: true,
    logLevel: 'silent',
  })
  const below = new Map<string, Set<string>>()
  for (const [file, { imports }] of Object.entries(metafile.inputs)) {
    const from = roomOf(file)
    for (const { path } of imports) {
      const to = roomOf(path)
      if (from === undefined || to === undefined || from === to) continue
      below.set(from, (below.get(from) ?? new Set()).add(to))
    }
  }
  const reaches = (from: string, to: string): boolean =>
    [...(below.get(from) ?? [])].some(room => room === to || reaches(room, to))
  return [...below]
    .flatMap(([from, rooms]) => [...rooms].map(to => [from, to] as [string, string]))
    .filter(([from, to]) => ![...(below.get(from) ?? [])].some(room => room !== to && reaches(room, to)))
    .sort()
}

/** The page with a picture that is up to date. */
export function redraw(text: string): string {
  const arrows = findArrows().map(([from, to]) => `  ${from} --> ${to}\n`)
  return text.replace(picture, () => `\n\`\`\`mermaid\nflowchart TD\n${arrows.join('')}\`\`\`\n\n`)
}

if (import.meta.main) writeFileSync(page, redraw(readFileSync(page, 'utf8')))
