import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { parse } from 'yaml'
import { questionsFor, readBefore } from '../../../scripts/lib/deploy/init/answers.ts'
import { ciFiles } from '../../../scripts/lib/deploy/init/ci.ts'
import { findKinds } from '../../../scripts/lib/deploy/init/kinds/kinds.ts'
import { findHealthPath, findShared, findVariables, lookAtProject } from '../../../scripts/lib/deploy/init/look.ts'
import { readPlace } from '../../../scripts/lib/deploy/init/place.ts'
import * as ciTexts from '../../../scripts/lib/deploy/init/texts/ci.ts'
import { djangoDowngrade } from '../../../scripts/lib/deploy/init/texts/django-downgrade.ts'
import { gunicornConfiguration, restartGunicorn } from '../../../scripts/lib/deploy/init/texts/gunicorn.ts'
import { pool, site } from '../../../scripts/lib/deploy/init/texts/php-fpm.ts'
import { ecosystem, start } from '../../../scripts/lib/deploy/init/texts/pm2.ts'
import { readHookEnvFile } from '../../../scripts/lib/hook/env-file.ts'
import { environmentWith } from '../../../scripts/lib/hook/environment.ts'
import { lookAtHookSettings } from '../../../scripts/lib/hook/settings.ts'
import { applications, exampleOf, examples, makeProject, plan, planIn } from './trees.ts'

const isInstalled = (program: string) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0
const run = (program: string, ...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' })
  return { status, output: `${stdout}${stderr}` }
}

for (const kind of Object.keys(applications)) {
  describe(`What init writes for ${kind}`, () => {
    it(`is examples/${kind}; \`node test/deploy/init/trees.ts ${kind}\` writes it`, async t => {
      const made = await exampleOf(t, kind)
      const folder = join(examples, kind)
      const there = globSync('**/*', { cwd: folder }).filter(path => statSync(join(folder, path)).isFile())
      assert.deepEqual(there.sort(), Object.keys(made).sort())
      for (const [path, text] of Object.entries(made))
        assert.equal(readFileSync(join(folder, path), 'utf8'), text, path)
    })

    it('is right for the hook, for sh, for systemd and for sudo', async t => {
      const folder = mkdtempSync(join(tmpdir(), 'kind-'))
      t.after(() => rmSync(folder, { recursive: true, force: true }))
      for (const [path, text] of Object.entries(await exampleOf(t, kind))) {
        const file = join(folder, 'files', path)
        mkdirSync(dirname(file), { recursive: true })
        writeFileSync(file, text.replaceAll('/home/seita', folder))
      }
      const files = join(folder, 'files/server')
      const { values, problems } = readHookEnvFile(join(folder, 'files/server.env'))
      const name = kind === 'flexmeasures' ? kind : 'shop'
      const looked = lookAtHookSettings(
        join(folder, `${name}.git`),
        environmentWith({ PATH: '/usr/bin:/bin', ...values }),
      )
      assert.deepEqual([...problems, ...looked.problems], [])
      assert.equal(looked.settings.RELEASES, 3)
      assert.ok(
        'HEALTH_CHECK_URL' in values && 'INSTALL_DEPS' in values && 'UPGRADE_DB' in values,
        'no default is Python',
      )

      assert.deepEqual(run('sh', '-n', join(files, 'root.sh')), { status: 0, output: '' })
      const sudoers = join(files, 'sudoers')
      if (statSync(sudoers, { throwIfNoEntry: false }) && isInstalled('visudo')) {
        chmodSync(sudoers, 0o440)
        assert.equal(run('visudo', '-cf', sudoers).status, 0)
      }
      const units = globSync('*.{service,socket}', { cwd: files }).map(unit => join(files, unit))
      if (units.length === 0 || !isInstalled('systemd-analyze')) return
      // It wants the programs to be there.
      for (const unit of units) {
        const [, program] = /^ExecStart=(\S+)/m.exec(readFileSync(unit, 'utf8')) ?? []
        if (!program?.startsWith(folder)) continue
        mkdirSync(dirname(program), { recursive: true })
        writeFileSync(program, '', { mode: 0o755 })
      }
      const { output } = run('systemd-analyze', 'verify', '--man=no', ...units)
      assert.deepEqual(
        output.split('\n').filter(line => line.includes(files)),
        [],
      )
    })
  })
}

describe('The texts of init', () => {
  for (const [path, text] of Object.entries({
    'django-downgrade.sh': djangoDowngrade,
    'gunicorn.conf.py': gunicornConfiguration,
    'restart-gunicorn.sh': restartGunicorn,
    'pm2/ecosystem.config.cjs': ecosystem,
    'pm2/start.cjs': start,
    'php-fpm/pool.conf': pool,
    'php-fpm/nginx.conf': site,
    'github/deploy.yml': ciTexts.githubDeploy,
    'github/lint-and-test.yml': ciTexts.githubTest,
    'forgejo/deploy.yml': ciTexts.forgejo,
    'gitlab/.gitlab-ci.yml': ciTexts.gitlab,
    'bitbucket/bitbucket-pipelines.yml': ciTexts.bitbucket,
    'woodpecker/.woodpecker.yml': ciTexts.woodpecker,
  })) {
    it(`are those that are tested: examples/${path}`, () =>
      assert.equal(text, readFileSync(join(examples, path), 'utf8')))
  }
})

describe('init takes', () => {
  const kindsOf = (files: Readonly<Record<string, string>>, t: Parameters<typeof makeProject>[0]) => {
    const { fitting, isClear } = findKinds(lookAtProject(makeProject(t, files)))
    return isClear ? fitting[0]?.name : fitting.map(({ name }) => name)
  }
  const packageJson = (...packages: string[]) =>
    JSON.stringify({ dependencies: Object.fromEntries(packages.map(name => [name, '1'])) })

  for (const [what, files, kind] of [
    ['a package.json beside Django for its style sheets', { 'manage.py': 'django', 'package.json': '{}' }, 'django'],
    ['a package.json with express for Node', { 'package.json': packageJson('express', 'vite') }, 'node'],
    ['vitepress for a static site', { 'package.json': packageJson('vitepress') }, 'static'],
    ['hugo for a static site', { 'hugo.toml': '' }, 'static'],
    ['a page for a static site', { 'index.html': '', Makefile: 'lint:\n' }, 'static'],
    ['Cargo.toml for Rust', { 'Cargo.toml': '' }, 'rust'],
    ['index.php for PHP', { 'index.php': '' }, 'php'],
    ['a Procfile for itself', { Procfile: 'web: ./run\n' }, 'make'],
    [
      'a WSGI file for an application like those of Flask',
      { 'requirements.txt': 'bottle', 'wsgi.py': 'application = 1\n' },
      'flask',
    ],
    ['two kinds of servers for a question', { 'go.mod': '', 'composer.json': '{}' }, ['php', 'go']],
    ['a text for nothing', { 'README.md': '' }, []],
  ] as const) {
    it(what, t => assert.deepEqual(kindsOf(files, t), kind))
  }
})

describe('The server', () => {
  for (const [answer, url, workTree, name] of [
    ['ada@example.org', 'ada@example.org:/home/ada/my-shop.git', '/home/ada/my-shop', 'my-shop'],
    [' root@example.org ', 'root@example.org:/root/my-shop.git', '/root/my-shop', 'my-shop'],
    ['ada@example.org:2222', 'ssh://ada@example.org:2222/home/ada/my-shop.git', '/home/ada/my-shop', 'my-shop'],
    ['ada@example.org:/srv/x.y.git', 'ada@example.org:/srv/x.y.git', '/srv/x.y', 'x-y'],
    ['ada@example.org:a/b.git', 'ada@example.org:/home/ada/a/b.git', '/home/ada/a/b', 'b'],
    ['ada@example.org:22:~/b.git', 'ssh://ada@example.org:22/home/ada/b.git', '/home/ada/b', 'b'],
    ['ssh://ada@[::1]:22/srv/b.git', undefined, undefined, undefined],
    ['ssh://ada@example.org/srv/b.git', 'ada@example.org:/srv/b.git', '/srv/b', 'b'],
    ['ssh://ada@example.org:22/srv/b.git', 'ssh://ada@example.org:22/srv/b.git', '/srv/b', 'b'],
  ] as const) {
    if (url === undefined) continue
    it(`${answer} is ${url}`, () => {
      const place = readPlace(answer, 'my shop')
      assert.deepEqual([place.url, place.workTree, place.name], [url, workTree, name])
    })
  }
  for (const answer of [
    '',
    'example.org',
    '-o@example.org',
    'ada@-example.org',
    'ada@example.org:99999',
    'ada@example.org:/srv/shop',
    'ada@example.org:/srv/.git',
    'ada@example.org:/srv/a b.git',
    'ada@example.org:/srv/$(x).git',
    'ada@example.org:/srv/a;b.git',
    'a"b@example.org',
    'https://example.org/a.git',
    '/srv/a.git',
  ]) {
    it(`is not ${JSON.stringify(answer)}`, () => assert.throws(() => readPlace(answer, 'shop'), Error))
  }
})

describe('What outlives a release', () => {
  const shared = (t: Parameters<typeof makeProject>[0], files: Readonly<Record<string, string>>) =>
    findShared(lookAtProject(makeProject(t, files)))

  it('is guessed from .gitignore, from databases and from folders for uploads', t => {
    const files = {
      '.gitignore': '__pycache__/\n/media/\nvar\ninstance\nThumbs.db\ndata/files/*\n*.log\n!x\n.env\nnode_modules\n',
      'docs/conf.py': 'exclude_patterns = ["_build", "Thumbs.db"]\n',
      'config.py': "URL = 'sqlite:///shop.db'\nUPLOAD_FOLDER = 'files/in'\n",
    }
    assert.deepEqual(shared(t, files), ['media', 'data', 'shop.db', 'files/in'])
  })

  it('is nothing that is committed, but for files that only keep a folder', t => {
    const files = {
      '.gitignore': 'data\n',
      'data/table.csv': '',
      'storage/.gitkeep': '',
      'app.py': "UPLOAD_DIR = 'storage'",
    }
    // git does not commit what it ignores.
    assert.deepEqual(shared(t, { ...files, '.gitignore': 'data/*.db\n' }), ['storage'])
  })

  it('has nothing in it that lies in another path', t => {
    assert.deepEqual(shared(t, { '.gitignore': 'data\ndata/uploads\n' }), ['data'])
  })
})

describe('Before it writes, init', () => {
  it('names what the code reads from its environment', t => {
    const files = {
      'a.py': 'os.environ["SECRET_KEY"], os.getenv("PORT"), os.environ.get(\'DATABASE_URL\')',
      'b.js': 'process.env.COLOUR + process.env.API_TOKEN',
      'tests/c.py': 'os.environ["ONLY_IN_TESTS"]',
    }
    assert.deepEqual(findVariables(lookAtProject(makeProject(t, files))), [
      'API_TOKEN',
      'DATABASE_URL',
      'SECRET_KEY',
      'COLOUR',
    ])
  })

  for (const [what, files, path] of [
    ["a server's own page", { 'server.js': "app.get('/healthz', answer)" }, '/healthz'],
    [
      "Django's",
      { 'manage.py': '', 'urls.py': 'path("ping/<x>/", a), path("up/", include(b)), path("health/", c)' },
      '/health/',
    ],
    ['the first page where there is none', { 'server.js': "app.get('/', answer)" }, '/'],
  ] as const) {
    it(`guesses what answers: ${what}`, t => {
      assert.equal(findHealthPath(lookAtProject(makeProject(t, files))), path)
    })
  }

  it('guesses where a program listens that nothing tells', t => {
    const project = lookAtProject(makeProject(t, { 'main.go': 'Port int `default:"3000"`', 'go.mod': '' }))
    const questions = questionsFor(project, {})
    assert.equal(questions.health(questions.kind.read('go')).guess, 'http://127.0.0.1:3000/')
    assert.equal(questions.health(questions.kind.read('make')).guess, 'http://127.0.0.1:3000/')
    assert.equal(questions.health(questions.kind.read('flask')).guess, 'http://127.0.0.1:8000/')
  })

  it('takes answers from the files that it wrote before', t => {
    const before = readBefore(
      path =>
        ({
          'deploy/deploy.env': 'STAGING_REMOTE_REPO=a@b:/c.git\nBRANCH_NAME=live\n',
          'deploy/server.env':
            '# Written by deploy init --kind go --start none --ci gitlab\nPATH_TO_GIT_WORK_TREE=/c\nHEALTH_CHECK_URL=\n',
        })[path] ?? '',
    )
    const questions = questionsFor(lookAtProject(makeProject(t, { 'go.mod': '' })), before)
    const { server, kind, ci } = questions
    const guessed = kind.read(kind.guess ?? '')
    assert.deepEqual(
      [
        server.guess,
        kind.guess,
        questions.start(guessed).guess,
        questions.health(guessed).guess,
        ci.guess,
        before.branch,
      ],
      ['a@b:/c.git', 'go', 'none', 'none', 'gitlab', 'live'],
    )
    assert.equal(questions.shared(guessed).guess, '')
  })

  it('finds the CI by its files, or by the origin', t => {
    const ciOf = (files: Readonly<Record<string, string>>, origin = '') => {
      const root = makeProject(t, { a: '', ...files })
      if (origin) run('git', '-C', root, 'remote', 'add', 'origin', origin)
      return questionsFor(lookAtProject(root), {}).ci.guess
    }
    assert.equal(ciOf({ '.woodpecker.yml': '' }, 'git@github.com:a/b.git'), 'woodpecker')
    assert.equal(ciOf({}, 'git@github.com:a/b.git'), 'github')
    assert.equal(ciOf({}, 'https://gitlab.example.org/a/b.git'), 'gitlab')
    assert.equal(ciOf({}, 'https://token@codeberg.org/a/b.git'), 'forgejo')
    assert.equal(ciOf({}), 'none')
  })
})

describe("The CI's file", () => {
  const test = { image: 'node:24', commands: ['npm ci', 'npm test'] }
  const of = (t: Parameters<typeof makeProject>[0], ci: Parameters<typeof ciFiles>[0], files = {}) =>
    ciFiles(ci, lookAtProject(makeProject(t, { a: '', ...files })), 'live', test)

  for (const [ci, path] of [
    ['github', '.github/workflows/lint-and-test.yml'],
    ['forgejo', '.forgejo/workflows/deploy.yml'],
    ['gitlab', '.gitlab-ci.yml'],
    ['bitbucket', 'bitbucket-pipelines.yml'],
    ['woodpecker', '.woodpecker.yml'],
  ] as const) {
    it(`of ${ci} has the project's branch and tests`, t => {
      const { files } = of(t, ci)
      const text = files[path] ?? ''
      assert.match(text, /npm ci\n *-? ?npm test\n/)
      assert.doesNotMatch(text, /\bmain\b|make |python/)
      assert.match(text, /\blive\b/)
    })
  }

  it('is YAML for each kind, with each of its commands', async t => {
    for (const { files, given } of Object.values(applications)) {
      const project = lookAtProject(makeProject(t, files))
      for (const ci of ['github', 'forgejo', 'gitlab', 'bitbucket', 'woodpecker'] as const) {
        const made = Object.entries(await planIn(project, { ...given, ci })).filter(([path]) => /\.ya?ml$/.test(path))
        assert.ok(made.length > 0)
        for (const [, text] of made) assert.equal(typeof parse(text), 'object')
      }
    }
  })

  it('that the project has is left alone: ours lies beside it', t => {
    const { files, notes } = of(t, 'gitlab', { '.gitlab-ci.yml': 'test: {}\n' })
    assert.deepEqual(Object.keys(files), ['deploy/gitlab-ci.yml'])
    assert.match(notes.join('\n'), /\.gitlab-ci\.yml is yours: take the job deploy from deploy\/gitlab-ci\.yml/)
  })

  it('that tests already at GitHub gets a job, and no second one that tests', t => {
    const { files, notes } = of(t, 'github', { '.github/workflows/test.yml': 'jobs: {}\n' })
    assert.deepEqual(Object.keys(files), ['.github/workflows/deploy.yml'])
    assert.match(notes.join('\n'), /Add this job to the workflow that tests \(\.github\/workflows\/test\.yml\)/)
  })
})

describe('Ways to start', () => {
  const files = applications.flask?.files ?? {}

  it('uWSGI runs as a service, with the files that setup-ssh copies', async t => {
    const made = await plan(t, files, { server: 'ada@example.org', start: 'uwsgi', health: 'http://127.0.0.1:9000/x' })
    assert.match(
      made['deploy/server/shop.service'] ?? '',
      /^ExecStart=\/usr\/bin\/uwsgi --ini \/home\/ada\/shop\.git\/server\/uwsgi\.ini$/m,
    )
    assert.match(made['deploy/server/uwsgi.ini'] ?? '', /^http-socket = 127\.0\.0\.1:9000$/m)
    assert.match(made['deploy/server/uwsgi.ini'] ?? '', /^module = microblog:app$/m)
    assert.match(
      made['deploy/server.env'] ?? '',
      /^RESTART="sudo -n \/usr\/bin\/systemctl --no-block reload-or-restart shop"$/m,
    )
  })

  it('gunicorn without systemd needs no root to restart', async t => {
    const made = await plan(t, files, { server: 'ada@example.org', start: 'gunicorn' })
    assert.match(
      made['deploy/server.env'] ?? '',
      /^RESTART="\/bin\/sh \/home\/ada\/shop\.git\/server\/restart-gunicorn\.sh"$/m,
    )
    assert.match(made['deploy/server/gunicorn.conf.py'] ?? '', /^wsgi_app = "microblog:app"$/m)
    assert.equal(made['deploy/server/sudoers'], undefined)
    assert.doesNotMatch(Object.values(made).join(''), /seita/)
  })

  it('pm2 starts the script that npm would', async t => {
    const made = await plan(t, applications.node?.files ?? {}, { server: 'ada@example.org', start: 'pm2' })
    assert.match(made['deploy/server/start.cjs'] ?? '', /server\.js/)
    assert.match(
      made['deploy/server/ecosystem.config.cjs'] ?? '',
      /script: '\/home\/ada\/shop\.git\/server\/start\.cjs'/,
    )
    assert.match(
      made['deploy/server/ecosystem.config.cjs'] ?? '',
      /^ +env: { NODE_ENV: 'production', PORT: '8000' },$/m,
    )
    assert.doesNotMatch(Object.values(made).join(''), /seita/)
  })

  it('root needs neither sudo nor sudoers', async t => {
    const made = await plan(t, files, { server: 'root@example.org' })
    assert.match(made['deploy/server.env'] ?? '', /^RESTART="\/usr\/bin\/systemctl restart shop"$/m)
    assert.equal(made['deploy/server/sudoers'], undefined)
    assert.doesNotMatch(made['deploy/server/root.sh'] ?? '', /sudo(?! sh root)|visudo/)
  })

  it('where nothing is asked, the setting is there and empty', async t => {
    const made = await plan(t, files, { server: 'ada@example.org', health: 'none', start: 'none' })
    assert.match(made['deploy/server.env'] ?? '', /^HEALTH_CHECK_URL=$/m)
    assert.match(made['deploy/server.env'] ?? '', /^RESTART=$/m)
  })

  it('a Procfile is run by a shell, whatever it has', async t => {
    const made = await plan(
      t,
      { Procfile: 'web: FOO="a b" ./run --port $PORT --ratio 50%\n' },
      { server: 'ada@example.org', shared: 'none' },
    )
    assert.match(
      made['deploy/server/shop.service'] ?? '',
      /^ExecStart=\/bin\/sh -c "exec FOO=\\"a b\\" \.\/run --port \$\$PORT --ratio 50%%"$/m,
    )
  })
})
