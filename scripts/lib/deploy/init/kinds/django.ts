import type { Project } from '../look.ts'
import { fill } from '../starts/fill.ts'
import { djangoDowngrade } from '../texts/django-downgrade.ts'
import { type Kind, lines } from './kind.ts'
import { noMigrations, pythonApplication } from './python.ts'

export const django: Kind = {
  name: 'django',
  means: 'Django',
  starts: ['systemd', 'uwsgi', 'gunicorn', 'none'],
  fits: ({ has, read }) => has('manage.py') && /DJANGO_SETTINGS_MODULE|django/.test(read('manage.py')),
  shared: project => (/["']db\.sqlite3["']/.test(settingsText(project)) ? ['db.sqlite3'] : []),
  application(project, place, start) {
    const { has, read } = project
    const file = findWsgiFile(project)
    const module = file.slice(0, -3).replaceAll('/', '.')
    const [, settingsModule] =
      /DJANGO_SETTINGS_MODULE["'],\s*["']([\w.]+)["']/.exec(read(file) || read('manage.py')) ?? []
    const settings = settingsText(project)
    const hasMigrations = /["']?ENGINE["']?\s*:|\bdj_database_url\b|env\.db/.test(settings)
    const test =
      has('pytest.ini') || /\[tool\.pytest/.test(read('pyproject.toml'))
        ? 'uv pip install pytest pytest-django && python -m pytest'
        : 'python manage.py test'
    const application = pythonApplication(project, start, `${module}:application`, {
      build: /^\s*STATIC_ROOT\s*=/m.test(settings) ? ['python manage.py collectstatic --noinput'] : [],
      test,
      settings: lines(
        settingsModule !== undefined && {
          name: 'DJANGO_SETTINGS_MODULE',
          value: settingsModule,
          comment: `For the steps, too: ${file} has it.`,
        },
        ...(hasMigrations
          ? [
              { name: 'UPGRADE_DB', value: 'python manage.py migrate --noinput' },
              {
                name: 'DB_REVISION',
                value: 'python manage.py showmigrations --plan',
                comment: 'For `deploy rollback --database`.',
              },
              { name: 'DOWNGRADE_DB', value: `bash ${place.files}/django-downgrade.sh` },
            ]
          : [noMigrations]),
      ),
    })
    const allows = /^ALLOWED_HOSTS\s*=.*(?:\n[ \t\])].*)*/m.exec(settings)?.[0] ?? ''
    const isAllowed = /127\.0\.0\.1|localhost|\*/.test(allows)
    return {
      ...application,
      ...(hasMigrations && { files: { 'django-downgrade.sh': fill(djangoDowngrade, place) } }),
      ...(!isAllowed && {
        notes: ['ALLOWED_HOSTS needs 127.0.0.1, for the health check: without it Django answers 400.'],
      }),
    }
  },
}

/** Beside the settings, or wherever there is one. */
function findWsgiFile({ files, read }: Project): string {
  const [, settings = 'config.settings'] =
    /DJANGO_SETTINGS_MODULE["'],\s*["']([\w.]+)["']/.exec(read('manage.py')) ?? []
  const folder = settings.replace(/\.settings\b.*$/, '').replaceAll('.', '/')
  const all = files.filter(file => /(^|\/)wsgi\.py$/.test(file))
  return all.find(file => file === `${folder}/wsgi.py`) ?? all[0] ?? `${folder}/wsgi.py`
}

const settingsText = ({ sources }: Project) =>
  sources
    .filter(({ path }) => /(^|\/)settings(\/\w+|_\w+)?\.py$/.test(path))
    .map(({ text }) => text)
    .join('\n')
