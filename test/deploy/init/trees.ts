import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { questionsFor, readBefore } from '../../../scripts/lib/deploy/init/answers.ts'
import { type Given, takeAnswers } from '../../../scripts/lib/deploy/init/ask.ts'
import { lookAtProject, type Project } from '../../../scripts/lib/deploy/init/look.ts'
import { makePlan } from '../../../scripts/lib/deploy/init/plan.ts'
import { environmentOf } from '../../lib/site.ts'
import type { CleansUp } from '../../lib/sshd.ts'

type Files = Readonly<Record<string, string>>

export const examples = join(import.meta.dirname, '../../../examples')

/** A small application of each kind, and where it goes: from these init makes examples/KIND. */
export const applications: Readonly<Record<string, { readonly files: Files; readonly given: Given }>> = {
  django: {
    given: { server: 'seita@ssh.our-server.com', health: '/health/' },
    files: {
      'manage.py': 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")\n',
      'mysite/wsgi.py': 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")\n',
      'mysite/settings.py': `import os
SECRET_KEY = os.environ["SECRET_KEY"]
STATIC_ROOT = BASE_DIR / "static"
MEDIA_ROOT = BASE_DIR / "media"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
`,
      'requirements.txt': 'Django==5.2\n',
    },
  },
  flask: {
    given: { server: 'seita@ssh.our-server.com' },
    files: {
      'microblog.py': 'from app import create_app\n\napp = create_app()\n',
      'app/__init__.py': 'from flask import Flask\ndef create_app():\n    app = Flask(__name__)\n',
      'app/health.py': '@app.get("/health")\ndef health(): return "ok"\n',
      'migrations/env.py': '',
      'migrations/alembic.ini': '',
      'requirements.txt': 'Flask==3.1\nFlask-Migrate==4.1\nFlask-SQLAlchemy==3.1\ngunicorn==23.0\n',
      '.gitignore': 'instance/\n__pycache__/\n',
    },
  },
  flexmeasures: {
    given: { server: 'seita@ssh.our-server.com', health: 'http://127.0.0.1:5000/api/v3_0/health/ready' },
    files: {
      'pyproject.toml': '[project]\nname = "flexmeasures"\n',
      'uv.lock': '',
      'wsgi.py': 'application = None\n',
      'flexmeasures/__init__.py': '',
    },
  },
  node: {
    given: { server: 'seita@ssh.our-server.com' },
    files: {
      'package.json':
        '{"scripts": {"start": "node server.js", "test": "node --test"}, "dependencies": {"express": "5"}}',
      'package-lock.json': '{}',
      'server.js': "require('express')().get('/health', (_, answer) => answer.end()).listen(process.env.PORT)\n",
      '.gitignore': 'node_modules/\nuploads/\n',
    },
  },
  php: {
    given: { server: 'seita@ssh.our-server.com' },
    files: {
      'composer.json': '{"require": {"php": ">=8.2", "ext-mbstring": "*", "ext-pdo_sqlite": "*"}}',
      'public/index.php': "<?php if ($_SERVER['REQUEST_URI'] === '/health') exit('ok');\n",
      '.env.example': 'APP_SECRET=\n',
      '.gitignore': '/vendor/\n/.env\n/data/\n',
    },
  },
  go: {
    given: { server: 'seita@ssh.our-server.com' },
    files: {
      'go.mod': 'module example.org/shop\n\ngo 1.22\n',
      'main.go':
        'package main\n\n// The socket of the unit is file 3 (LISTEN_FDS).\nfunc main() { http.HandleFunc("/health", ok) }\n',
    },
  },
  static: {
    given: { server: 'seita@ssh.our-server.com' },
    files: {
      'package.json': '{"scripts": {"build": "eleventy"}, "devDependencies": {"@11ty/eleventy": "3"}}',
      'package-lock.json': '{}',
      'index.md': '# Hello\n',
    },
  },
}

/** A repository with one commit of these files, in a folder of this name. Without files there is no commit. */
export function makeProject(t: CleansUp, files: Files, name = 'shop'): string {
  const folder = mkdtempSync(join(tmpdir(), 'init-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const root = join(folder, name)
  mkdirSync(root)
  write(root, files)
  const git = (...args: string[]) => execFileSync('git', args, { cwd: root, env: environmentOf(folder) })
  git('init', '--quiet', '--initial-branch=main')
  if (Object.keys(files).length === 0) return root
  git('add', '--all')
  git('commit', '--quiet', '--message=A change')
  return root
}

export function write(root: string, files: Files): void {
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, file)), { recursive: true })
    writeFileSync(join(root, file), text)
  }
}

/** What `init --yes` with these options would write in such a project. */
export const plan = (t: CleansUp, files: Files, given: Given, name?: string) =>
  planIn(lookAtProject(makeProject(t, files, name)), given)

export async function planIn(project: Project, given: Given): Promise<Files> {
  const questions = questionsFor(
    project,
    readBefore(() => ''),
  )
  return makePlan(project, await takeAnswers({ ci: 'none', ...given }, questions, project.branch, true)).files
}

/** The files of examples/KIND, as init writes them. */
export async function exampleOf(t: CleansUp, kind: string): Promise<Files> {
  const { files = {}, given = {} } = applications[kind] ?? {}
  const planned = await plan(t, files, given, kind === 'flexmeasures' ? kind : 'shop')
  return Object.fromEntries(Object.entries(planned).map(([path, text]) => [path.replace(/^deploy\//, ''), text]))
}

// `node test/deploy/init/trees.ts` writes the examples.
if (import.meta.main) {
  const all: (() => void)[] = []
  const kinds = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(applications)
  for (const kind of kinds)
    write(join(examples, kind), await exampleOf({ after: fn => void all.push(fn as () => void) }, kind))
  for (const clean of all) clean()
}
