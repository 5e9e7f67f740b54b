import type { PackageJson, Project } from '../look.ts'
import { type Kind, type Line, lines, type Process } from './kind.ts'

/** Frameworks whose programs serve. */
const servers =
  /^(express|fastify|koa|hono|@hapi\/hapi|@nestjs\/core|next|nuxt|@remix-run\/serve|@sveltejs\/kit|polka|restify|socket\.io|ws)$/

export const node: Kind = {
  name: 'node',
  means: 'Node',
  starts: ['systemd', 'pm2', 'none'],
  isBeside: true,
  fits: ({ packageJson }) => packageJson !== undefined,
  application(project) {
    const packageJson = project.packageJson ?? { scripts: {}, packages: [] }
    const { install, watched } = npmInstall(project)
    const build = packageJson.scripts.build && 'npm run build'
    const migrate = findMigration(packageJson)
    const process = findProcess(project, packageJson)
    return {
      settings: lines(
        keepModules,
        { name: 'INSTALL_DEPS', value: install },
        watched && { name: 'INSTALL_DEPS_IF_CHANGED', value: watched },
        build && { name: 'BUILD', value: build },
        migrate
          ? { name: 'UPGRADE_DB', value: migrate }
          : { name: 'UPGRADE_DB', value: '', comment: 'There are no migrations.' },
        process.script && {
          name: 'SMOKE_TEST',
          value: `node --check ${process.script}`,
          comment: 'More is found by a command that loads the code without listening.',
        },
      ),
      packages: ['nodejs', 'npm'],
      process,
      test: testOf(packageJson, install),
    }
  },
}

export const keepModules: Line = {
  name: 'KEEP_PATHS',
  value: 'node_modules',
  comment: "A release's folder is used again; these stay there.",
}

export const isServer = ({ packages }: PackageJson) => packages.some(name => servers.test(name))

const testOf = ({ scripts }: PackageJson, install: string) => ({
  image: 'node:24',
  commands: [
    install,
    ...(scripts.lint ? ['npm run lint'] : []),
    ...(scripts.test ? ['npm test'] : ['npm run build --if-present']),
  ],
})

/** The command that installs just what the lock file says, and the files that it depends on. */
export function npmInstall({ has, packageJson }: Project): { install: string; watched?: string } {
  const [, manager = '', version = ''] = /^(\w+)@([\d.]+)/.exec(packageJson?.packageManager ?? '') ?? []
  const pinned = (name: string, fallback: string) => `npx --yes ${name}@${manager === name ? version : fallback}`
  const watching = (lock: string, install: string) => ({ install, watched: `package.json ${lock}` })
  if (has('package-lock.json')) return watching('package-lock.json', 'npm ci --no-audit --no-fund')
  if (has('npm-shrinkwrap.json')) return watching('npm-shrinkwrap.json', 'npm ci --no-audit --no-fund')
  if (has('pnpm-lock.yaml')) return watching('pnpm-lock.yaml', `${pinned('pnpm', '10')} install --frozen-lockfile`)
  if (has('yarn.lock')) return watching('yarn.lock', `${pinned('yarn', '1')} install --frozen-lockfile`)
  return { install: 'npm install --no-audit --no-fund' }
}

/** What makes the style sheets and scripts of an application of another kind. */
export function frontendBuild(project: Project) {
  const script = project.packageJson?.scripts.build
  if (!script) return { settings: [], commands: [], packages: [] }
  const { install } = npmInstall(project)
  return { settings: [keepModules], commands: [install, 'npm run build'], packages: ['nodejs', 'npm'] }
}

function findMigration({ packages, scripts }: PackageJson): string | undefined {
  if (packages.includes('prisma')) return 'npx prisma migrate deploy'
  const script = ['db:migrate', 'migrate', 'migrate:up', 'migration:run'].find(name => scripts[name])
  if (script) return `npm run ${script}`
  return packages.includes('knex') ? 'npx knex migrate:latest' : undefined
}

/** What `npm start` does, by node itself: a shell or npm between it and systemd would keep the socket from it. */
function findProcess({ has }: Project, { main, scripts }: PackageJson): Process {
  const environment = { NODE_ENV: 'production' }
  const first = [main, 'server.js', 'index.js', 'app.js', 'src/index.js'].find(file => file !== undefined && has(file))
  const start = scripts.start?.trim() ?? (first ? `node ${first}` : '')
  const assigned = /^(?:cross-env\s+)?((?:[A-Z_]+=[\w./-]*\s+)*)(.*)$/.exec(start)
  const [program = '', ...rest] = (assigned?.[2] ?? '').split(/\s+/)
  if (program === '' || /[|&;<>()$`"'\\*]/.test(start)) {
    return { environment, command: '/usr/bin/npm start', ...(first && { script: first }) }
  }
  const given = Object.fromEntries(
    (assigned?.[1] ?? '')
      .split(/\s+/)
      .filter(Boolean)
      .map(pair => pair.split('=', 2) as [string, string]),
  )
  const isNode = program === 'node'
  const words = isNode ? rest : [`node_modules/.bin/${program}`, ...rest]
  const script = words.find(word => !word.startsWith('-'))
  return {
    environment: { ...environment, ...given },
    command: `/usr/bin/node ${words.join(' ')}`,
    takesSocket: true,
    ...(isNode && script && { script: /\.\w+$/.test(script) ? script : `${script}.js` }),
  }
}
