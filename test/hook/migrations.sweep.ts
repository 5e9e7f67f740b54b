import assert from 'node:assert/strict'
import { readFileSync, rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, describe, it } from 'node:test'
import { $ as zx } from 'zx/core'
import { assertExit } from '../lib/exit.ts'
import { type Site, startServer } from '../lib/site.ts'

const root = resolve(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/rollback.md'), 'utf8')

/** The settings that the documentation gives after these words. */
function documented(words: string) {
  const [, block = ''] = /^```ini\n(.*?)^```/ms.exec(page.slice(page.indexOf(words))) ?? []
  const settings = Object.fromEntries([...block.matchAll(/^(\w+)='(.*)'$/gm)].map(([, name, value]) => [name, value]))
  assert.deepEqual(Object.keys(settings), ['DB_REVISION', 'DOWNGRADE_DB'])
  return settings
}

describe('The database of a real framework', async () => {
  const { newSite } = await startServer({ after })
  const folder = await mkdtemp(join(tmpdir(), 'frameworks-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  const venv = join(folder, 'venv')
  await zx({ quiet: true })`python3 -m venv ${venv} && ${venv}/bin/pip install --quiet alembic==1.16.5 django==5.2.7`

  async function newSiteWith(t: Parameters<typeof newSite>[0], settings: Record<string, string | undefined>) {
    const site = await newSite(t)
    site.configure({
      RELEASES: '3',
      SMOKE_TEST: '',
      INSTALL_DEPS: '',
      RESTART: 'true',
      PATH: `${venv}/bin:${process.env.PATH}`,
      DATABASE: join(site.folder, 'db.sqlite'),
      ...settings,
    })
    return site
  }

  async function deployFiles(site: Site, files: Record<string, string>) {
    const commit = await site.commit(files)
    assertExit(await site.deploy(), 0)
    return commit
  }

  const tables = async (site: Site) => {
    const query =
      'import sqlite3, sys; print(*[name for name, in sqlite3.connect(sys.argv[1]).execute("select name from sqlite_master where type = \'table\' order by name")])'
    return (await zx({ quiet: true })`${venv}/bin/python -c ${query} ${join(site.folder, 'db.sqlite')}`).stdout
      .trim()
      .split(' ')
  }

  /** Alembic, which commits each migration by itself. */
  const alembic = {
    'alembic.ini': '[alembic]\nscript_location = migrations\n',
    'migrations/env.py': `\
import os
from alembic import context
from sqlalchemy import create_engine

with create_engine('sqlite:///' + os.environ['DATABASE']).connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
`,
  }
  const upgradeAll = { UPGRADE_DB: 'alembic upgrade heads' }
  const migration = (id: string, down: string | undefined, undo = `op.execute("drop table ${id}")`) => ({
    [`migrations/versions/${id}.py`]: `\
from alembic import op
revision = '${id}'
down_revision = ${down ? `'${down}'` : 'None'}
def upgrade(): op.execute('create table ${id} (i int)')
def downgrade(): ${undo}
`,
  })

  it('goes back by Alembic, as documented, also to no revision at all', async t => {
    const site = await newSiteWith(t, { ...upgradeAll, ...documented('For Alembic with one head') })
    const none = await deployFiles(site, alembic)
    await deployFiles(site, migration('a1', undefined))
    await deployFiles(site, { ...migration('a2', 'a1'), ...migration('a3', 'a2') })
    assertExit(await site.deploy(['rollback', '--database']), 0)
    assert.deepEqual(await tables(site), ['a1', 'alembic_version'])
    assertExit(await site.deploy(['rollback', none, '--database']), 0)
    assert.deepEqual(await tables(site), ['alembic_version'])
  })

  it('goes back by Alembic with two heads, of which one or both have moved', async t => {
    const site = await newSiteWith(t, { ...upgradeAll, ...documented('If there are several heads') })
    await deployFiles(site, { ...alembic, ...migration('a1', undefined), ...migration('b1', undefined) })
    await deployFiles(site, migration('a2', 'a1'))
    await deployFiles(site, { ...migration('a3', 'a2'), ...migration('b2', 'b1') })
    assertExit(await site.deploy(['rollback', '--database']), 0)
    assert.deepEqual(await tables(site), ['a1', 'a2', 'alembic_version', 'b1'])
    assertExit(await site.deploy(['rollback', '--database']), 0)
    assert.deepEqual(await tables(site), ['a1', 'alembic_version', 'b1'])
  })

  it('goes forward again by Alembic where one of two migrations cannot be undone', async t => {
    const site = await newSiteWith(t, { ...upgradeAll, ...documented('For Alembic with one head') })
    await deployFiles(site, { ...alembic, ...migration('a1', undefined) })
    const second = await deployFiles(site, {
      ...migration('a2', 'a1', 'raise NotImplementedError()'),
      ...migration('a3', 'a2'),
    })
    const { output } = assertExit(await site.deploy(['rollback', '--database']), 1)
    assert.match(output, /TAKING DATABASE BACK failed/)
    assert.deepEqual(await tables(site), ['a1', 'a2', 'a3', 'alembic_version'])
    assert.equal(await site.live(), second)
    assert.match(assertExit(await site.deploy(), 0).output, /already live/)
  })

  it('goes back by Django, as documented, also where an app is new', async t => {
    const script = join(root, 'examples/django-downgrade.sh')
    const { DB_REVISION, DOWNGRADE_DB } = documented('For Django')
    const site = await newSiteWith(t, {
      UPGRADE_DB: 'python manage.py migrate --noinput',
      DB_REVISION,
      DOWNGRADE_DB: DOWNGRADE_DB?.replace('/home/seita/django-downgrade.sh', script),
      // As a project of Django's has it, the default smoke test loads it.
      PATH_TO_WSGI: 'mysite/wsgi.py',
      SMOKE_TEST: undefined,
    })
    await deployFiles(site, {
      'manage.py': `\
import os, sys
os.environ['DJANGO_SETTINGS_MODULE'] = 'mysite.settings'
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
`,
      'mysite/__init__.py': '',
      'mysite/wsgi.py': `\
import os
from django.core.wsgi import get_wsgi_application
os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'mysite.settings')
application = get_wsgi_application()
`,
      'mysite/settings.py': `\
import os
SECRET_KEY = 'x'
INSTALLED_APPS = ['django.contrib.contenttypes', 'shop', *(['news'] if os.path.exists('news') else [])]
DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': os.environ['DATABASE']}}
`,
      ...app('shop', '0001_initial', undefined),
    })
    await deployFiles(site, { ...app('shop', '0002_alpha', '0001_initial'), ...app('news', '0001_initial', undefined) })
    assert.deepEqual(await ownTables(), ['news_0001_initial', 'shop_0001_initial', 'shop_0002_alpha'])
    const { output } = assertExit(await site.deploy(['rollback', '--database']), 0)
    assert.match(output, /TAKING DATABASE BACK/)
    assert.deepEqual(await ownTables(), ['shop_0001_initial'])

    async function ownTables() {
      return (await tables(site)).filter(name => /^(shop|news)_/.test(name))
    }
  })

  /** A migration of a Django app, which makes a table of its name. */
  const app = (app: string, name: string, before: string | undefined) => ({
    [`${app}/__init__.py`]: '',
    [`${app}/migrations/__init__.py`]: '',
    [`${app}/migrations/${name}.py`]: `\
from django.db import migrations
class Migration(migrations.Migration):
    dependencies = [${before ? `('${app}', '${before}')` : ''}]
    operations = [migrations.RunSQL('create table "${app}_${name}" (i int)', 'drop table "${app}_${name}"')]
`,
  })
})
