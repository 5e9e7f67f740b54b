import type { Project } from '../look.ts'
import { type Kind, lines } from './kind.ts'
import { frontendBuild } from './node.ts'

export const php: Kind = {
  name: 'php',
  means: 'PHP',
  starts: ['php-fpm', 'none'],
  fits: ({ has, files }) =>
    has('composer.json') || files.some(file => /^((public|web|htdocs|www)\/)?index\.php$/.test(file)),
  shared: project => [
    ...(project.has('artisan') ? ['storage'] : []),
    // What php-fpm starts has no environment of its own: frameworks read this file.
    ...(project.files.some(file => /^\.env(\.example|\.dist)?$/.test(file)) ? ['.env'] : []),
  ],
  application(project) {
    const { has } = project
    const documents = findDocuments(project)
    const frontend = frontendBuild(project)
    const composer = 'composer install --no-dev --no-interaction --no-progress --optimize-autoloader'
    const migrate = has('artisan')
      ? 'php artisan migrate --force'
      : has('bin/console') && project.files.some(file => file.startsWith('migrations/'))
        ? 'php bin/console doctrine:migrations:migrate --no-interaction --allow-no-migration'
        : ''
    return {
      settings: lines(
        ...frontend.settings,
        has('composer.json')
          ? { name: 'INSTALL_DEPS', value: composer }
          : { name: 'INSTALL_DEPS', value: '', comment: 'There is no composer.json: nothing is to be installed.' },
        frontend.commands.length > 0 && { name: 'BUILD', value: frontend.commands.join(' && ') },
        migrate
          ? { name: 'UPGRADE_DB', value: migrate }
          : { name: 'UPGRADE_DB', value: '', comment: 'There are no migrations.' },
        {
          name: 'SMOKE_TEST',
          value: `php -l ${documents ? `${documents}/` : ''}index.php`,
          comment: 'More is found by a command that loads the application.',
        },
      ),
      packages: [
        'php-cli',
        ...(has('composer.json') ? ['composer', 'unzip'] : []),
        ...extensions(project),
        ...frontend.packages,
      ],
      process: { documents },
      test: {
        image: 'composer:2',
        commands: has('composer.json')
          ? ['composer install --no-interaction', 'vendor/bin/phpunit']
          : ['php -l index.php'],
      },
    }
  },
}

/** The folder of index.php, relative to the release. */
const findDocuments = ({ has }: Project) =>
  ['public', 'web', 'htdocs', 'www'].find(folder => has(`${folder}/index.php`)) ?? ''

/** Debian's packages of what composer.json requires; most others are in php-common. */
function extensions({ read }: Project): string[] {
  const packages: Record<string, string> = {
    dom: 'xml',
    simplexml: 'xml',
    xml: 'xml',
    xmlreader: 'xml',
    xmlwriter: 'xml',
    mbstring: 'mbstring',
    curl: 'curl',
    gd: 'gd',
    intl: 'intl',
    zip: 'zip',
    bcmath: 'bcmath',
    pdo_mysql: 'mysql',
    mysqli: 'mysql',
    pdo_pgsql: 'pgsql',
    pgsql: 'pgsql',
    pdo: 'sqlite3',
    pdo_sqlite: 'sqlite3',
    sqlite3: 'sqlite3',
    redis: 'redis',
    ldap: 'ldap',
    soap: 'soap',
    gmp: 'gmp',
    apcu: 'apcu',
    imagick: 'imagick',
  }
  const required = [...read('composer.json').matchAll(/"ext-([\w-]+)"/g)].map(([, name = '']) => packages[name])
  const all = [...required, ...(read('artisan') ? ['xml', 'mbstring', 'curl', 'sqlite3'] : [])]
  return [...new Set(all.filter(name => name !== undefined))].sort().map(name => `php-${name}`)
}
