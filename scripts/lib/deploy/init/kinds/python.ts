import type { Project } from '../look.ts'
import { type Application, type Line, lines, type StartName } from './kind.ts'
import { frontendBuild } from './node.ts'

/** What all kinds of Python applications have. @param wsgi the module and its callable */
export function pythonApplication(
  project: Project,
  start: StartName,
  wsgi: string,
  { settings, build = [], test }: { settings: readonly Line[]; build?: readonly string[]; test: string },
): Application {
  const gunicorn = start === 'uwsgi' || names(project, 'gunicorn') ? '' : 'gunicorn'
  const frontend = frontendBuild(project)
  const commands = [...frontend.commands, ...build]
  const install = installCommand(project, gunicorn)
  return {
    settings: lines(
      ...frontend.settings,
      {
        name: 'PATH_TO_VENV',
        value: '.venv',
        comment: 'Each release has a virtual environment of its own, which uv makes.',
      },
      start === 'uwsgi' && {
        name: 'UV_PYTHON',
        value: '/usr/bin/python3',
        comment: "Debian's uWSGI has this Python built in.",
      },
      { name: 'UV_NO_PROGRESS', value: '1' },
      { name: 'INSTALL_DEPS', value: install },
      commands.length > 0 && { name: 'BUILD', value: commands.join(' && ') },
      ...settings,
      {
        name: 'SMOKE_TEST',
        value: `python -c "${loading(wsgi)}"`,
        comment: 'Code that cannot be loaded never gets a request.',
      },
    ),
    packages: ['python3-venv', ...frontend.packages],
    asRoot: [uv],
    process: { wsgi },
    test: { image: 'python:3.13', commands: ['pip install uv && uv venv && . .venv/bin/activate', install, test] },
  }
}

/** Debian has none. */
export const uv = `\
# uv makes virtual environments and installs packages.
[ -x /usr/local/bin/uv ] || {
  python3 -m venv /opt/uv
  /opt/uv/bin/pip install --quiet --disable-pip-version-check uv
  ln -sf /opt/uv/bin/uv /opt/uv/bin/uvx /usr/local/bin/
}`

/** Whether a package is among those that are installed. */
export const names = ({ pythonPackages }: Project, name: string) =>
  new RegExp(`(^|["'\\s])${name}(?![\\w-])`, 'm').test(pythonPackages)

function installCommand({ has, files }: Project, also: string): string {
  const andAlso = also && ` && uv pip install ${also}`
  if (has('uv.lock')) return `uv sync --locked --no-dev${andAlso}`
  if (has('poetry.lock')) return `uvx poetry install --only main --no-interaction${andAlso}`
  if (has('Pipfile.lock')) return `uvx pipenv sync${andAlso}`
  const requirements = [
    'requirements.txt',
    'requirements/production.txt',
    'requirements/prod.txt',
    'requirements/base.txt',
  ]
  const file = requirements.find(has) ?? files.find(file => /^requirements[^/]*\.txt$/.test(file))
  if (file) return `uv pip install -r ${file}${also && ` ${also}`}`
  if (has('pyproject.toml')) return `uv pip install -r pyproject.toml${also && ` ${also}`}`
  return has('setup.py') ? `uv pip install -e . ${also}`.trim() : `uv pip install ${also || 'pip'}`
}

/** Python that imports a module, and calls what makes its application. */
function loading(wsgi: string): string {
  const [module = '', callable = ''] = wsgi.split(':')
  const made = callable.endsWith(')') ? callable : ''
  return made ? `from ${module} import ${made.replace(/\(.*/, '')}; ${made}` : `import ${module}`
}

/** Alembic's commands, under the name by which the application calls them. */
export const alembicSettings = (alembic: string, upgrade = 'upgrade'): Line[] => [
  { name: 'UPGRADE_DB', value: alembic === 'alembic' ? `${alembic} ${upgrade} head` : `${alembic} ${upgrade}` },
  { name: 'DB_REVISION', value: `${alembic} current`, comment: 'For `deploy rollback --database`.' },
  { name: 'DOWNGRADE_DB', value: `${alembic} downgrade "\${DEPLOY_DB_REVISION:-base}"` },
]

export const noMigrations: Line = { name: 'UPGRADE_DB', value: '', comment: 'There are no migrations.' }

/** The application that a Procfile or a file at the top names, as gunicorn takes it. */
export function findWsgi({ processes, files, read }: Project): string | undefined {
  const [, named] = /\bgunicorn\b.*?\s([\w.]+:\w+(?:\(\))?)/.exec(processes.web ?? '') ?? []
  if (named) return named
  const first = ['wsgi.py', 'app.py', 'main.py', 'application.py', 'run.py', 'server.py']
  const top = files.filter(file => /^\w+\.py$/.test(file))
  for (const file of [...first.filter(file => top.includes(file)), ...top]) {
    const [, callable] = /^(application|app)\s*(?::[^=\n]+)?=/m.exec(read(file)) ?? []
    if (callable) return `${file.slice(0, -3)}:${callable}`
  }
  const packages = files.filter(file => /^(src\/)?\w+\/__init__\.py$/.test(file))
  for (const file of packages) {
    const module = file.replace(/^src\//, '').replace('/__init__.py', '')
    if (/^def create_app\(/m.test(read(file))) return `${module}:create_app()`
    const [, callable] = /^(application|app)\s*(?::[^=\n]+)?=/m.exec(read(file)) ?? []
    if (callable) return `${module}:${callable}`
  }
  return undefined
}
