import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { accessSync, constants, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ProcessPromise, $ as zx } from 'zx/core'
import type { Site } from '../lib/site.ts'

/** The release of FlexMeasures. */
export const release = '1.0.1'
/** Its newest migration. */
export const lastRevision = '3bc1e29ca1f4'
const sha256 = '89b3d189482165cfbf4c951128d40a3da6f05ba3435182f07c668bb99b058ce0'
/** Debian's Python, which its uWSGI is made for. Another one may come first on PATH. */
const python = '/usr/bin/python3'

const $ = zx({ quiet: true, stdio: ['ignore', 'pipe', 'pipe'] })

/** With the uv that FlexMeasures' Makefile asks for; `uv sync` leaves it there. */
export async function makeVirtualEnvironment(venv: string) {
  await $`${python} -m venv ${venv}`
  await fromPyPI('uv', $`${venv}/bin/pip install --quiet uv`)
}

/** FlexMeasures' source distribution, in a folder. */
export async function getSources(folder: string, venv: string) {
  const options = ['--quiet', '--no-deps', '--no-binary', 'flexmeasures', '--dest', venv]
  await fromPyPI(`FlexMeasures ${release}`, $`${venv}/bin/pip download ${options} flexmeasures==${release}`)
  const archive = join(venv, `flexmeasures-${release}.tar.gz`)
  assert.equal(createHash('sha256').update(readFileSync(archive)).digest('hex'), sha256)
  // With PKG-INFO the version would come from there, and not from git's tag.
  await $`tar --extract --file ${archive} --directory ${folder} --strip-components 1 --exclude PKG-INFO`
}

/** The same as the clone's first commit, with an annotated tag. */
export async function getRepository(site: Site, venv: string) {
  await getSources(site.clone, venv)
  site.write({ 'page.txt': undefined })
  await commitAndTag(site, `v${release}`)
}

async function fromPyPI(what: string, download: ProcessPromise) {
  const { ok, stderr } = await download.nothrow()
  if (!ok) throw new Error(`This test needs ${what} from PyPI, and pip cannot get it:\n${stderr}`)
}

export async function commitAndTag(site: Site, tag: string) {
  await site.commit()
  await site.git`git tag --annotate --message ${tag} ${tag}`
}

export function uvSettings(folder: string, venv: string) {
  const config = join(folder, 'uv.toml')
  // Without this the version would stay that of an earlier tag, because uv does not look at git.
  writeFileSync(config, 'reinstall-package = ["flexmeasures"]\n')
  return {
    UV_CACHE_DIR: uvCache() ?? join(folder, 'uv-cache'),
    UV_CONFIG_FILE: config,
    // uv does not look at VIRTUAL_ENV either.
    UV_PROJECT_ENVIRONMENT: venv,
    UV_PYTHON: python,
    UV_PYTHON_DOWNLOADS: 'never',
    UV_NO_PROGRESS: '1',
    // It writes its lock files there.
    TMPDIR: folder,
  }
}

/** The cache of the user who runs this. It may hold most of a gigabyte already. */
function uvCache(): string | undefined {
  const { UV_CACHE_DIR, XDG_CACHE_HOME, HOME } = process.env
  const cache = UV_CACHE_DIR ?? (XDG_CACHE_HOME ? join(XDG_CACHE_HOME, 'uv') : HOME && join(HOME, '.cache/uv'))
  try {
    if (!cache) return undefined
    mkdirSync(cache, { recursive: true })
    accessSync(cache, constants.W_OK)
    return cache
  } catch {
    return undefined
  }
}

/** The login page. */
export const template = 'flexmeasures/ui/templates/admin/login_user.html'

export const withTitle = (text: string, title: string) => text.replace(/<h1>.*<\/h1>/, `<h1>${title}</h1>`)

export const newTitle = (site: Site, title: string) => ({
  [template]: withTitle(readFileSync(join(site.clone, template), 'utf8'), title),
})

const stylesheet = 'flexmeasures/ui/static/css/flexmeasures.css'

/** The same in a stylesheet, which the web server reads from disk each time. */
export function newStyle(site: Site, name: string) {
  const old = readFileSync(join(site.clone, stylesheet), 'utf8')
  return { [stylesheet]: `${old.replace(styledName, '')}.release { content: "${name}" }\n` }
}

export const styledName = /^\.release { content: "(.*)" }\n/m

export function migration(revision: string, previous: string, more = 'pass') {
  const text = `\
"""A table of its own: ${revision}."""

from alembic import op

revision = "${revision}"
down_revision = "${previous}"
branch_labels = None
depends_on = None


def upgrade():
    op.execute("CREATE TABLE test_${revision} (id integer)")
    ${more}


def downgrade():
    op.execute("DROP TABLE test_${revision}")
`
  return { [`flexmeasures/data/migrations/versions/${revision}_test.py`]: text }
}

export async function installedVersion(venv: string): Promise<string> {
  const program = 'import importlib.metadata as m; print(m.version("flexmeasures"))'
  return (await $`${venv}/bin/python -c ${program}`).stdout.trim()
}
