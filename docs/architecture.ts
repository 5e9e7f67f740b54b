// Makes the parts of docs/architecture.md that follow from the code: the picture of the rooms, from the imports of the three
// scripts, and the table of a deployment's steps.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buildSync } from 'esbuild'

const root = join(import.meta.dirname, '..')
export const page = join(import.meta.dirname, 'architecture.md')

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

function drawRooms(): string {
  const arrows = findArrows().map(([from, to]) => `  ${from} --> ${to}\n`)
  return `\`\`\`mermaid\nflowchart TD\n${arrows.join('')}\`\`\`\n`
}

/** The steps in the order in which scripts/post-receive.ts lists them. */
function listSteps(): string {
  const script = readFileSync(join(root, 'scripts/post-receive.ts'), 'utf8')
  const files = [...script.matchAll(/import\('\.\/(lib\/hook\/steps\/([\w-]+)\.ts)'\),$/gm)]
  const rows = files.map(([, file = '', name = '']) => {
    const source = readFileSync(join(root, 'scripts', file), 'utf8')
    const [, title = ''] =
      /(?:^export (?:const|function) name\b.*?|\bbegin\()['`]([A-Z][A-Z ]+[A-Z])/ms.exec(source) ?? []
    const marked = [...source.matchAll(/\btouches\b.*|\bmarkChanged\(.*/g)].join('')
    const touches = [...marked.matchAll(/'([a-z]+)'/g)].map(([, part]) => part).join(', ')
    return `| [${name}](../scripts/${file}) | ${title} | ${touches} |\n`
  })
  return `| step | is announced as | touches |\n|---|---|---|\n${rows.join('')}`
}

/** The page with these parts up to date. */
export function remake(text: string): string {
  const parts = { rooms: drawRooms, steps: listSteps }
  return Object.entries(parts).reduce((page, [name, make]) => {
    const part = new RegExp(`(?<=<!-- ${name}: made by docs/architecture.ts -->\n).*?(?=<!-- end -->)`, 's')
    return page.replace(part, () => `\n${make()}\n`)
  }, text)
}

if (import.meta.main) writeFileSync(page, remake(readFileSync(page, 'utf8')))
