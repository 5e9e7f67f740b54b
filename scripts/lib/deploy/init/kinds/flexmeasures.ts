import { type Kind, lines } from './kind.ts'
import { uv } from './python.ts'

/** FlexMeasures itself. Its example was tested with FlexMeasures' own releases. */
export const flexmeasures: Kind = {
  name: 'flexmeasures',
  means: 'FlexMeasures',
  starts: ['uwsgi', 'none'],
  fits: ({ has, read }) =>
    has('flexmeasures/__init__.py') && /^name\s*=\s*"flexmeasures"/m.test(read('pyproject.toml')),
  shared: () => ['instance'],
  variables: ['SECRET_KEY'],
  application: (_project, { user, workTree }) => ({
    settings: lines(
      {
        name: 'SQLALCHEMY_DATABASE_URI',
        value: 'postgresql:///flexmeasures',
        comment: `FlexMeasures' own settings: the steps, uWSGI and the worker read them here. PostgreSQL is asked through its socket,
where the login ${user} needs no password.`,
      },
      { name: 'FLEXMEASURES_REDIS_URL', value: '127.0.0.1' },
      {
        name: 'FLEXMEASURES_REDIS_PASSWORD',
        value: '',
        comment: 'If this is set, even empty, the health check asks Redis, too.',
      },
      {
        name: 'PATH_TO_VENV',
        value: '.venv',
        comment: 'Each release has a virtual environment of its own, which uv makes.',
      },
      {
        name: 'UV_PYTHON',
        value: '/usr/bin/python3',
        comment: 'uWSGI has this Python built in. Use it, whatever .python-version says.',
      },
      { name: 'UV_PYTHON_DOWNLOADS', value: 'never' },
      { name: 'UV_NO_PROGRESS', value: '1' },
      {
        name: 'INSTALL_DEPS',
        value: 'uv sync --locked --no-dev --reinstall-package flexmeasures',
        comment:
          '`make install-deps` would also install development packages. uv does not look at git tags: without --reinstall-package\n/api/ would report the version of an earlier tag.',
      },
      {
        name: 'UPGRADE_DB',
        value: 'flexmeasures db upgrade',
        comment: 'Not `make upgrade-db`, which exits with 0 if a migration fails.',
      },
      { name: 'UPGRADE_DB_IF_CHANGED', value: 'flexmeasures/data/migrations' },
      {
        name: 'DB_REVISION',
        value: 'psql --dbname="$SQLALCHEMY_DATABASE_URI" -XAtq -c "select version_num from alembic_version"',
        comment: '`flexmeasures db current` prints the same, but takes six seconds.',
      },
      { name: 'DOWNGRADE_DB', value: 'flexmeasures db downgrade "$DEPLOY_DB_REVISION"' },
      { name: 'PATH_TO_WSGI', value: 'wsgi.py', comment: 'The hook loads this file before the switch.' },
      { name: 'HEALTH_CHECK_TIMEOUT', value: '120' },
    ),
    packages: ['make', 'python3-venv', 'postgresql', 'redis-server', 'libgomp1'],
    asRoot: [
      uv,
      '# The database, which is asked through its socket, without a password.',
      `as_postgres() { (cd / && runuser -u postgres -- "$@"); }
[ "$(as_postgres psql -XAtqc "select 1 from pg_roles where rolname = '${user}'")" ] || as_postgres createuser ${user}
[ "$(as_postgres psql -XAtqc "select 1 from pg_database where datname = 'flexmeasures'")" ] ||
  as_postgres createdb --owner ${user} --encoding UTF8 --template template0 flexmeasures
as_postgres psql -Xq -d flexmeasures -c 'create extension if not exists cube' -c 'create extension if not exists earthdistance'`,
    ],
    process: {
      wsgi: 'wsgi:application',
      worker: `${workTree}/.venv/bin/flexmeasures jobs run-worker --queue forecasting|scheduling|ingestion`,
    },
    notes: [
      'Before FlexMeasures has a name on the web: setup-ssh set TRUSTED_HOSTS=NAME,127.0.0.1 (the health check asks 127.0.0.1). Without it, it takes any Host header.',
    ],
    test: { image: 'python:3.12', commands: ['make install-for-test', 'make test'] },
  }),
}
