import { type Kind, lines } from './kind.ts'
import { alembicSettings, findWsgi, names, noMigrations, pythonApplication } from './python.ts'

export const flask: Kind = {
  name: 'flask',
  means: 'Flask, or another application with WSGI',
  starts: ['systemd', 'uwsgi', 'gunicorn', 'none'],
  fits: project =>
    !project.has('manage.py') &&
    (names(project, 'flask') || (project.pythonPackages !== '' && findWsgi(project) !== undefined)),
  shared: project => (names(project, 'flask-sqlalchemy') ? ['instance'] : []),
  application(project, _place, start) {
    const wsgi = findWsgi(project) ?? 'wsgi:application'
    const usesFlaskMigrate =
      names(project, 'flask-migrate') && project.files.some(file => file.startsWith('migrations/'))
    const usesAlembic = project.has('alembic.ini')
    const [module = ''] = wsgi.split(':')
    return pythonApplication(project, start, wsgi, {
      test: 'uv pip install pytest && python -m pytest',
      settings: lines(
        usesFlaskMigrate && !project.has('.flaskenv') && { name: 'FLASK_APP', value: module },
        ...(usesFlaskMigrate ? alembicSettings('flask db') : usesAlembic ? alembicSettings('alembic') : [noMigrations]),
      ),
    })
  },
}
