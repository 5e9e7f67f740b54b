import type { Project } from '../look.ts'
import { type Kind, lines } from './kind.ts'
import { isServer, keepModules, npmInstall } from './node.ts'

/** Generators from npm, their command, and where their pages come to lie. */
const generators: Readonly<Record<string, { readonly build: string; readonly pages: string }>> = {
  '@11ty/eleventy': { build: 'npx @11ty/eleventy', pages: '_site' },
  vitepress: { build: 'npx vitepress build', pages: '.vitepress/dist' },
  astro: { build: 'npx astro build', pages: 'dist' },
  '@docusaurus/core': { build: 'npx docusaurus build', pages: 'build' },
  vite: { build: 'npx vite build', pages: 'dist' },
}

export const staticSite: Kind = {
  name: 'static',
  means: 'a static site',
  starts: ['nginx', 'none'],
  isBeside: true,
  fits: project => findGenerator(project) !== undefined || usesHugo(project) || project.has('index.html'),
  application(project) {
    const noDatabase = { name: 'UPGRADE_DB', value: '', comment: 'There is no database.' }
    const testing = (page: string) => ({
      name: 'SMOKE_TEST',
      value: `test -s ${page}`,
      comment: 'Without this page it does not go live.',
    })
    const generator = findGenerator(project)
    if (generator) {
      const { install, watched } = npmInstall(project)
      return {
        settings: lines(
          keepModules,
          { name: 'INSTALL_DEPS', value: install },
          watched && { name: 'INSTALL_DEPS_IF_CHANGED', value: watched },
          { name: 'BUILD', value: generator.build },
          noDatabase,
          testing(`${generator.pages}/index.html`),
        ),
        packages: ['nodejs', 'npm'],
        process: { documents: generator.pages },
        test: { image: 'node:24', commands: [install, generator.build] },
      }
    }
    const isHugo = usesHugo(project)
    const documents = isHugo ? 'public' : ''
    return {
      settings: lines(
        { name: 'INSTALL_DEPS', value: '', comment: 'Nothing is to be installed.' },
        isHugo && { name: 'BUILD', value: 'hugo --minify' },
        noDatabase,
        testing(isHugo ? 'public/index.html' : 'index.html'),
      ),
      packages: isHugo ? ['hugo'] : [],
      process: { documents },
      test: isHugo
        ? { image: 'hugomods/hugo:std', commands: ['hugo --minify'] }
        : { image: 'debian:12', commands: ['test -s index.html'] },
    }
  },
}

const usesHugo = ({ has, files }: Project) =>
  has('hugo.toml') || has('hugo.yaml') || (has('config.toml') && files.some(file => file.startsWith('content/')))

function findGenerator({ packageJson }: Project) {
  if (packageJson === undefined || isServer(packageJson)) return undefined
  const name = Object.keys(generators).find(name => packageJson.packages.includes(name))
  const generator = name === undefined ? undefined : generators[name]
  if (generator === undefined) return undefined
  const [script, text] =
    ['build', 'docs:build'].map(name => [name, packageJson.scripts[name]] as const).find(([, text]) => text) ?? []
  // `vitepress build docs` has its pages below docs.
  const [, folder] = /vitepress build ([\w./-]+)/.exec(text ?? '') ?? []
  return {
    build: script ? `npm run ${script}` : generator.build,
    pages: folder ? `${folder}/${generator.pages}` : generator.pages,
  }
}
