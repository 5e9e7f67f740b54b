import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { after, describe, it, type TestContext } from 'node:test'
import { $ as zx } from 'zx/core'
import {
  getSources,
  lastRevision,
  makeVirtualEnvironment,
  migration,
  release,
  template,
  withTitle,
} from '../flexmeasures/application.ts'
import { assertExit } from '../lib/exit.ts'
import { holdPort } from '../lib/ports.ts'
import { program } from '../lib/programs.ts'
import { environmentOf } from '../lib/site.ts'
import { ask } from '../lib/web-server.ts'
import { newMachine } from './machine.ts'

interface Kind {
  /** Puts the application, where it is none of apps/, into its folder; the other one is for what that takes. */
  readonly get?: (project: string, folder: string) => Promise<void>
  /** Of the first commit. */
  readonly tag?: string
  /** What the health check asks, and people; by default the first page. */
  readonly health?: string
  readonly page?: string
  /** Options of `deploy init`, beside where the server is and what answers. */
  readonly answers?: readonly string[]
  /** Of the application, which no file has. */
  readonly secrets?: readonly string[]
  /** Makes the page say `version 2`. */
  readonly change: Change
  /** What makes a deployment red before it serves, and which step says so. */
  readonly breaks: readonly (readonly [change: Change, step: RegExp])[]
  /** A change with a migration, for a rollback with the database. */
  readonly migration?: Change
}

/** Files, by what they have in them; a function changes what is there. */
type Change = Readonly<Record<string, string | ((text: string) => string)>>

const version2 = (text: string) => text.replace(/(?<=version (?:= )?|VERSION = )1/i, '2')
const brokenBuild = /(INSTALLING DEPENDENCIES|BUILDING) failed/
const noPackage = (text: string) => `${text}no-such-package-of-pushlive==1\n`

const kinds: Readonly<Record<string, Kind>> = {
  django: {
    secrets: ['SECRET_KEY=not known to git'],
    change: { 'notes/version.py': version2 },
    breaks: [
      [{ 'requirements.txt': noPackage }, brokenBuild],
      [{ 'notes/migrations/0002_broken.py': 'raise Exception("broken")\n' }, /UPGRADING DATABASE STRUCTURE failed/],
      [{ 'notes/views.py': 'broken(' }, /TESTING RELEASE failed|CHECKING HEALTH failed|BUILDING failed|UPGRADING/],
    ],
    migration: {
      'notes/migrations/0002_seen.py': `from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("notes", "0001_initial")]
    operations = [migrations.AddField("note", "seen", models.BooleanField(default=False))]
`,
      'notes/models.py': (text: string) => `${text}    seen = models.BooleanField(default=False)\n`,
    },
  },
  flask: {
    secrets: ['SECRET_KEY=not known to git'],
    change: { 'notes/version.py': version2 },
    breaks: [
      [{ 'requirements.txt': noPackage }, brokenBuild],
      [{ 'migrations/versions/0002_broken.py': 'raise Exception("broken")\n' }, /UPGRADING DATABASE STRUCTURE failed/],
    ],
    migration: {
      'migrations/versions/0002_seen.py': `import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade():
    op.add_column("note", sa.Column("seen", sa.Boolean))


def downgrade():
    with op.batch_alter_table("note") as table:
        table.drop_column("seen")
`,
    },
  },
  flexmeasures: {
    async get(project, folder) {
      const venv = join(folder, 'venv')
      await makeVirtualEnvironment(venv)
      await getSources(project, venv)
      const file = join(project, template)
      writeFileSync(file, withTitle(readFileSync(file, 'utf8'), 'version 1'))
    },
    tag: `v${release}`,
    health: 'api/v3_0/health/ready',
    page: 'login',
    secrets: ['SECRET_KEY=not known to git'],
    change: { [template]: version2 },
    breaks: [
      [{ 'pyproject.toml': text => text.replace('dependencies = [', '$&"no-such-package-of-pushlive",') }, brokenBuild],
      [migration('aaaa00000001', lastRevision, 'raise ValueError("broken")'), /UPGRADING DATABASE STRUCTURE failed/],
    ],
    migration: migration('aaaa00000001', lastRevision),
  },
  node: {
    change: { 'version.txt': '2\n' },
    breaks: [[{ 'build.js': 'throw new Error("broken")\n' }, brokenBuild]],
  },
  php: {
    change: { 'src/Page.php': version2 },
    breaks: [[{ 'composer.json': '{ "require": { "no/such-package-of-pushlive": "*" } }\n' }, brokenBuild]],
  },
  go: {
    change: { 'main.go': version2 },
    breaks: [[{ 'main.go': 'package main\n\nbroken\n' }, brokenBuild]],
  },
  static: {
    change: { 'index.md': 'version 2\n' },
    breaks: [[{ '.eleventy.js': 'throw new Error("broken")\n' }, brokenBuild]],
  },
  make: {
    change: { 'version.txt': 'version 2\n' },
    breaks: [[{ Makefile: (text: string) => text.replace('build:\n', 'build:\n\tfalse\n') }, brokenBuild]],
  },
}

const table: Record<string, Record<string, string | number>> = {}
const only = process.env.PUSHLIVE_KINDS?.split(',')

describe('From a bare Debian login to green, with no file written by hand:', { timeout: 60 * 60_000 }, () => {
  after(() => console.table(table))

  for (const [name, kind] of Object.entries(kinds)) {
    if (only && !only.includes(name)) continue
    it(name, { timeout: 30 * 60_000 }, async t => {
      const user = await newUser(t, name, kind)
      const began = performance.now()
      await user.type(['deploy', 'init', ...user.answers, ...(kind.answers ?? []), '--yes'])
      await user.commit({})
      await user.type(['setup-ssh', '--as-root'])
      for (const secret of kind.secrets ?? []) await user.type(['setup-ssh', 'set', secret])
      await user.type(['deploy'])
      const seconds = Math.round((performance.now() - began) / 1000)
      assert.match(await user.page(), /version 1\b/)
      table[name] = { commands: user.typed(), answers: user.answers.length / 2, 'seconds to green': seconds }

      const first = await user.commit(kind.change)
      await user.asking(async () => {
        await user.type(['deploy'])
        assert.match(await user.page(), /version 2\b/)
        for (const [change, step] of kind.breaks) {
          await user.commit(change)
          const { stdout, stderr, exitCode } = await user.type(['deploy'], { mayFail: true })
          assert.equal(exitCode, 1, stdout + stderr)
          assert.match(stdout + stderr, step)
          assert.match(await user.page(), /version 2\b/)
          await user.goBackTo(first)
        }
      })
      if (kind.migration) {
        await user.commit(kind.migration)
        await user.type(['deploy'])
        await user.type(['deploy', 'rollback', '--database'])
      } else await user.type(['deploy', 'rollback'])
      assert.match(await user.page(), kind.migration ? /version 2\b/ : /version 1\b/)
    })
  }

  /** Somebody with a clone of an application, and a login at a server. */
  async function newUser(t: TestContext, name: string, kind: Kind) {
    const machine = await newMachine(t)
    const home = join(machine.folder, 'home')
    // ssh looks up its user's home, whatever HOME says.
    const ssh = join(userInfo().homedir, '.ssh')
    mkdirSync(ssh, { recursive: true, mode: 0o700 })
    await zx`mount -t tmpfs -o mode=700 tmpfs ${ssh}`.quiet()
    t.after(() => zx`umount --lazy ${ssh}`.quiet())
    writeFileSync(join(ssh, 'config'), `Host 127.0.0.1\n  IdentityFile ${machine.key.file}\n`)
    mkdirSync(home)
    const project = join(machine.folder, 'notes')
    const own = join(import.meta.dirname, 'apps', name)
    if (existsSync(own)) cpSync(own, project, { recursive: true })
    else mkdirSync(project)
    await kind.get?.(project, machine.folder)
    const url = `http://127.0.0.1:${await holdPort()}/`
    const fingerprint = readFileSync(join(machine.root, 'etc/ssh/ssh_host_ed25519_key.pub'), 'utf8')
    writeFileSync(join(machine.folder, 'host-key.pub'), fingerprint)
    const plain = zx({ cwd: project, env: environmentOf(home), quiet: true, nothrow: true })
    const [, sha256 = ''] = (await plain`ssh-keygen -lf ${join(machine.folder, 'host-key.pub')}`).stdout.split(' ')
    const $ = plain({ env: { ...environmentOf(home), HOST_FINGERPRINT: sha256 } })
    await $`git init --quiet --initial-branch=main . && git add --all && git commit --quiet --message ${'The first'}`
    if (kind.tag) await $`git tag --annotate --message ${kind.tag} ${kind.tag}`
    let typed = 0
    const changed = new Set<string>()

    const user = {
      answers: ['--server', `seita@127.0.0.1:${machine.port}`, '--kind', name, '--health', url + (kind.health ?? '')],
      typed: () => typed,
      /** Runs a command as somebody at a prompt. */
      async type([command, ...args]: readonly ['deploy' | 'setup-ssh', ...string[]], { mayFail = false } = {}) {
        typed++
        const ended = await $`exec ${program(command)} ${args}`
        const told = `$ ${command} ${args.join(' ')}\n${ended.stdout}${ended.stderr}(exit code ${ended.exitCode})\n`
        if (process.env.PUSHLIVE_SHOW) console.log(told.replace(/^/gm, '  | '))
        assert.doesNotMatch(told, /fatal:/)
        return mayFail ? ended : assertExit(ended, 0, told)
      },
      async commit(change: Change): Promise<string> {
        for (const [path, text] of Object.entries(change)) {
          const file = join(project, path)
          const is = typeof text === 'string' ? text : text(readFileSync(file, 'utf8'))
          writeFileSync(file, is)
          changed.add(path)
        }
        await $`git add --all && git commit --quiet --allow-empty --message ${'A change'}`
        return (await $`git rev-parse HEAD`).stdout.trim()
      },
      /** The files of a commit again, in a new one. */
      async goBackTo(commit: string) {
        await $`git read-tree -u --reset ${commit} && git commit --quiet --message ${'As before'}`
      },
      page: async () => (await ask(url + (kind.page ?? '')))?.text ?? 'no answer',
      /** Asks for the page all the while. Each answer has to be one of the two versions. */
      async asking(action: () => Promise<void>) {
        let isDone = false
        const done = action().finally(() => {
          isDone = true
        })
        let wrong = 0
        while (!isDone) if (!/version [12]\b/.test(await user.page())) wrong++
        await done
        table[name] = { ...table[name], 'requests that failed': wrong }
      },
    }
    return user
  }
})
