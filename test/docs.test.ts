import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, globSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { parse } from 'yaml'
import { $ as zx } from 'zx/core'
import { page, remake } from '../docs/architecture.ts'
import { jsonPage, remakeJsonPage } from '../docs/json.ts'
import { makePage, page as messages } from '../docs/messages.ts'
import { settings } from '../scripts/lib/deploy/settings.ts'
import { settingNames } from '../scripts/lib/hook/settings.ts'
import { parseEnvLines } from '../scripts/lib/shared/settings.ts'
import { type ProgramName, program } from './lib/programs.ts'

const root = join(import.meta.dirname, '..')
const pages = globSync('**/*.md', { cwd: root, exclude: ['**/node_modules', 'dist'] })
const read = (page: string) => readFileSync(join(root, page), 'utf8').replace(/^```.*?^```/gms, '')

/** The anchor that GitHub gives a heading. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')
const anchorsOf = (page: string) => [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => anchorOf(heading))

describe('The links of', () => {
  for (const page of pages) {
    it(`${page} lead to files and headings that are there`, () => {
      const targets = [...read(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target)
      const broken = targets.filter(target => {
        if (/^[a-z]+:/.test(target)) return false
        const [path = '', anchor] = target.split('#')
        const file = path === '' ? page : join(dirname(page), path)
        if (!existsSync(join(root, file))) return true
        return anchor !== undefined && (statSync(join(root, file)).isDirectory() || !anchorsOf(file).includes(anchor))
      })
      assert.deepEqual(broken, [])
    })
  }
})

it('README.md has at most 900 words', () => {
  assert.ok(readFileSync(join(root, 'README.md'), 'utf8').split(/\s+/).length <= 900)
})

it('docs/architecture.md shows rooms and steps as they are; `node docs/architecture.ts` brings it up to date', () => {
  const text = readFileSync(page, 'utf8')
  assert.equal(text, remake(text))
})

it('docs/messages.md has the messages as the sources say them; `node docs/messages.ts` brings it up to date', () => {
  assert.equal(readFileSync(messages, 'utf8'), makePage())
})

it('docs/json.md describes every field of docs/json.schema.json; `node docs/json.ts` brings it up to date', () => {
  const text = readFileSync(jsonPage, 'utf8')
  assert.equal(text, remakeJsonPage(text))
  assert.doesNotMatch(text, /\|\s*\|\n/)
})

const places = {
  '.env.example': (name: string) => new RegExp(`^#?${name}=`, 'm'),
  'docs/settings.md': (name: string) => new RegExp(`^\\|[^|]*\`${name}\`[^|]*\\|`, 'm'),
}
for (const [file, place] of Object.entries(places)) {
  it(`${file} has every setting of deploy and of the hook`, () => {
    const text = readFileSync(join(root, file), 'utf8')
    const names = [...Object.keys(settings), ...settingNames]
    assert.deepEqual(
      names.filter(name => !place(name).test(text)),
      [],
    )
  })
}

/** Blocks of a page that are marked as this, such as `sh` for what people type. */
const blocks = (page: string, mark: string) =>
  [...readFileSync(join(root, page), 'utf8').matchAll(new RegExp(`^\`\`\`${mark}\\n(.*?)^\`\`\``, 'gms'))].map(
    ([, text = '']) => text,
  )
/** What a text has in backquotes. */
const spans = (text: string) => [...text.matchAll(/(`+)(.*?)\1/gs)].map(([, , code = '']) => code.replace(/\s+/g, ' '))
// What was true of a version stays as it was, and what the programs say is in the sources.
const present = pages.filter(page => !/(CHANGELOG|messages)\.md$/.test(page))
const readAll = (pattern: string) =>
  globSync(pattern, { cwd: root, exclude: ['**/node_modules'] }).filter(file => statSync(join(root, file)).isFile())
const sources = readAll('scripts/**/*.ts').map(file =>
  readFileSync(join(root, file), 'utf8').replace(/\\(['`])/g, '$1'),
)
const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

describe('docs/troubleshooting.md', () => {
  const text = readFileSync(join(root, 'docs/troubleshooting.md'), 'utf8')
  const exitCodes = (text: string) => /^\| exit code \|.*?\n\n/ms.exec(text)?.[0]

  it('quotes messages as the programs print them', () => {
    const rows = [...text.matchAll(/^\| (`.*?) \| /gm)].flatMap(([, cell = '']) => spans(cell))
    assert.ok(rows.length > 25)
    const isSaid = (message: string) => {
      // What differs from case to case is filled in close by; and of a step that failed the hook puts the name before it.
      const pieces = message.split(/ ?\.\.\. ?|^[A-Z ]+(?= failed: )/).filter(Boolean)
      const said = new RegExp(pieces.map(escaped).join('[^]{0,200}?'))
      const [, step] = /^([A-Z ]+) failed: /.exec(message) ?? []
      return (
        sources.some(source => said.test(source)) && (!step || sources.some(source => source.includes(`'${step}'`)))
      )
    }
    assert.deepEqual(
      rows.filter(message => !isSaid(message)),
      [],
    )
  })

  it('has the exit codes of docs/deploy.md', () => {
    assert.equal(exitCodes(text), exitCodes(readFileSync(join(root, 'docs/deploy.md'), 'utf8')))
  })
})

describe('What the pages tell people to type', () => {
  const typed = present.flatMap(page => blocks(page, 'sh'))
  const lines = typed.flatMap(text => text.replace(/\\\n/g, ' ').split('\n'))
  /** Each command by itself, with the words of a line that is for another machine's shell. */
  const commands = [...lines, ...present.flatMap(page => spans(read(page)))]
    .flatMap(line =>
      line
        .replace(/^ssh \S+ '(.*)'$/, '$1')
        .replace(/\s+# .*/, '')
        .split(/ (?:&&|\||;) /),
    )
    .map((command): readonly string[] => command.match(/'[^']*'|"[^"]*"|\S+/g) ?? [])

  it('is what bash reads, and dotenv', () => {
    for (const text of typed)
      assert.equal(spawnSync('bash', ['-n'], { input: text, encoding: 'utf8' }).stderr, '', text)
    for (const text of present.flatMap(page => blocks(page, 'ini'))) {
      assert.equal(spawnSync('bash', ['-n'], { input: text, encoding: 'utf8' }).stderr, '', text)
      const names = [...text.matchAll(/^(\w+)=/gm)].map(([, name = '']) => name)
      const { values, cut } = parseEnvLines('a block', text)
      assert.deepEqual([Object.keys(values), cut], [names, []])
    }
  })

  it('has commands and options of the programs', async () => {
    const asked = new Map<string, { name: ProgramName; args: readonly string[] }>()
    for (const words of commands.filter(words => !words.includes('...'))) {
      const [first = '', ...rest] = words[0] === 'npx' ? words.slice(1) : words
      const [called = '', ...args] = first === 'pushlive' ? rest : [first, ...rest]
      const name = (['deploy', 'setup-ssh', 'post-receive'] as const).find(
        name => called.replace(/^\.\/|-linux-x64$/g, '') === name,
      )
      if (name) asked.set([name, ...args].join(' '), { name, args })
    }
    assert.ok(asked.size > 30)
    const wrong: string[] = []
    const verbs = new Map<ProgramName, Promise<string>>()
    const help = async (name: ProgramName, args: readonly string[]) => {
      const $ = zx({ quiet: true, nothrow: true })
      const { exitCode, stdout, stderr } = await $`${program(name)} ${args} --help`
      // A value that is not named is one to think of.
      if (exitCode !== 0 && !/needs a value/.test(stderr)) wrong.push(`${name} ${args.join(' ')}: ${stderr}`)
      return stdout.split('\n\n')[0] ?? ''
    }
    const ask = async ({ name, args }: { name: ProgramName; args: readonly string[] }) => {
      if (!verbs.has(name)) verbs.set(name, help(name, []))
      const [verb = ''] = args
      const isVerb = /^[a-z]+$/.test(verb)
      if (isVerb && !new RegExp(`[ |]${verb}\\b`).test((await verbs.get(name)) as string)) wrong.push(`${name} ${verb}`)
      if (args.some(arg => arg.startsWith('-'))) await help(name, args)
    }
    const each = asked.values()
    await Promise.all(
      Array.from({ length: 4 }, async () => {
        for (const command of each) await ask(command)
      }),
    )
    assert.deepEqual(wrong, [])
  })

  it('is said for each package', () => {
    const typing = present.filter(page => blocks(page, 'sh').some(text => /^(deploy|setup-ssh)\b/m.test(text)))
    const links = (page: string) => readFileSync(join(root, page), 'utf8').includes('install.md#what-you-type')
    assert.deepEqual(
      typing.filter(page => page !== 'docs/install.md' && !links(page)),
      [],
    )
  })

  it('has playbooks and variables of the Ansible collection, and files of the versions of now', () => {
    const text = readFileSync(join(root, 'docs/fleet.md'), 'utf8')
    const collection = readAll('ansible/{playbooks,roles}/**/*.yml').map(file => readFileSync(join(root, file), 'utf8'))
    const [inventory] = blocks('docs/fleet.md', 'yaml').map(block => parse(block))
    assert.equal(Object.keys(inventory.pushlive.hosts).length, 3)
    const names = text.match(/\b(server|pushlive)_\w+/g) ?? []
    assert.ok(names.length > 10)
    assert.deepEqual(
      names.filter(name => !collection.join('\n').includes(name)),
      [],
    )
    const called = [...text.matchAll(/\bpushlive\.pushlive\.(\w+)/g)].map(([, name]) => `ansible/playbooks/${name}.yml`)
    assert.deepEqual(
      called.filter(file => !existsSync(join(root, file))),
      [],
    )
    const ofCollection = parse(readFileSync(join(root, 'ansible/galaxy.yml'), 'utf8')).version
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    const files = present.flatMap(
      page => [read(page), ...blocks(page, 'sh')].join('').match(/\bpushlive[-_][\w-]*\d+\.\d+\.\d+/g) ?? [],
    )
    assert.ok(files.length > 5)
    assert.deepEqual(
      files.filter(file => !file.endsWith(file.startsWith('pushlive-pushlive-') ? ofCollection : version)),
      [],
    )
  })

  it('has targets of the Makefile', () => {
    const targets = [...readFileSync(join(root, 'Makefile'), 'utf8').matchAll(/^([a-z-]+):/gm)].map(([, name]) => name)
    // Those of a project, which deployments call.
    targets.push('install-deps', 'upgrade-db')
    const made = commands
      .filter(([program]) => program === 'make')
      .flatMap(([, ...words]) => words.filter(word => /^[a-z-]+$/.test(word)))
    assert.deepEqual(
      made.filter(target => !targets.includes(target)),
      [],
    )
  })

  it('has names that the sources know, and files that are there', () => {
    const known = ['{scripts,build,examples,test,ansible}/**/*', 'Makefile', '.env.example'].flatMap(readAll)
    const text = known.map(file => readFileSync(join(root, file), 'latin1')).join('\n')
    const code = present
      .flatMap(page => [...spans(read(page)), ...blocks(page, 'sh'), ...blocks(page, 'ini')])
      .join('\n')
    const names = new Set(code.match(/\b[A-Z][A-Z\d]*_[A-Z\d_]*[A-Z\d]\b/g))
    assert.ok(names.size > 50)
    // Of docker compose.
    names.delete('COMPOSE_PROJECT_NAME')
    assert.deepEqual(
      [...names].filter(name => !text.includes(name)),
      [],
    )
    const files = [...code.matchAll(/(?<![\w./-])(?:docs|examples|test|scripts|build|bench|ansible)\/[\w./*-]*\w/g)]
    assert.deepEqual(
      files.filter(([file]) => globSync(file, { cwd: root }).length === 0).map(([file]) => file),
      [],
    )
  })
})
