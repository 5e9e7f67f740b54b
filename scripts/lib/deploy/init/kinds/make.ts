import { type Kind, lines } from './kind.ts'

export const make: Kind = {
  name: 'make',
  hasOwnPort: true,
  means: 'what a Makefile or a Procfile says',
  starts: ['systemd', 'none'],
  isBeside: true,
  fits: ({ makeTargets, processes }) => makeTargets.length > 0 || processes.web !== undefined,
  application({ makeTargets, processes }) {
    const find = (...targets: string[]) => targets.find(target => makeTargets.includes(target))
    const call = (target: string | undefined) => (target ? `make ${target}` : '')
    const install = call(find('install-deps', 'deps', 'install'))
    const build = call(find('build', 'all'))
    const upgrade = call(find('upgrade-db', 'migrate'))
    const test = call(find('test', 'check'))
    const start = processes.web ?? call(find('serve', 'start', 'run'))
    return {
      settings: lines(
        {
          name: 'INSTALL_DEPS',
          value: install,
          ...(!install && { comment: 'No target of the Makefile looks like it.' }),
        },
        build !== '' && { name: 'BUILD', value: build },
        {
          name: 'UPGRADE_DB',
          value: upgrade,
          ...(!upgrade && { comment: 'No target of the Makefile looks like it.' }),
        },
      ),
      packages: ['make'],
      process: start === '' ? {} : { command: start },
      test: { image: 'debian:12', commands: [install, test || 'true'].filter(Boolean) },
    }
  },
}
