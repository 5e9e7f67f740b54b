import { type Kind, type Line, lines } from './kind.ts'
import { frontendBuild } from './node.ts'

const nothingToInstall: Line = { name: 'INSTALL_DEPS', value: '', comment: 'The build gets what it needs.' }
const noMigrations: Line = {
  name: 'UPGRADE_DB',
  value: '',
  comment: 'If the program does not migrate at its start, name the command here.',
}

export const go: Kind = {
  name: 'go',
  hasOwnPort: true,
  means: 'Go',
  starts: ['systemd', 'none'],
  fits: ({ has }) => has('go.mod'),
  application(project, { name }) {
    const { files, sources, has } = project
    const mains = files
      .filter(file => /^cmd\/[\w-]+\/main\.go$/.test(file))
      .map(file => `./${file.slice(0, -'/main.go'.length)}`)
    const main = has('main.go') || mains.length === 0 ? '.' : (mains.find(path => path === `./cmd/${name}`) ?? mains[0])
    const frontend = frontendBuild(project)
    return {
      settings: lines(
        ...frontend.settings,
        {
          name: 'PATH',
          value: '/usr/local/go/bin:/usr/local/bin:/usr/bin:/bin',
          comment: "Go's own packages are in /usr/local/go, Debian's in /usr/bin.",
        },
        nothingToInstall,
        { name: 'BUILD', value: [...frontend.commands, `go build -o bin/${name} ${main}`].join(' && ') },
        noMigrations,
      ),
      packages: ['golang-go', ...frontend.packages],
      process: {
        command: `bin/${name}`,
        takesSocket: sources.some(({ text }) => /LISTEN_FDS|go-systemd\/.*activation/.test(text)),
      },
      test: { image: 'golang:1', commands: ['go vet ./...', 'go test ./...'] },
    }
  },
}

export const rust: Kind = {
  name: 'rust',
  hasOwnPort: true,
  means: 'Rust',
  starts: ['systemd', 'none'],
  fits: ({ has }) => has('Cargo.toml'),
  application({ read, sources }, { user, name }) {
    const [, program = name] =
      /^\[\[bin\]\][^[]*?\bname\s*=\s*"([\w-]+)"/m.exec(read('Cargo.toml')) ??
      /^\[package\][^[]*?\bname\s*=\s*"([\w-]+)"/m.exec(read('Cargo.toml')) ??
      []
    const home = user === 'root' ? '/root' : `/home/${user}`
    return {
      settings: lines(
        {
          name: 'KEEP_PATHS',
          value: 'target',
          comment: "A release's folder is used again; what was compiled stays there.",
        },
        {
          name: 'PATH',
          value: `${home}/.cargo/bin:/usr/local/bin:/usr/bin:/bin`,
          comment: "rustup's are in ~/.cargo, Debian's in /usr/bin.",
        },
        nothingToInstall,
        { name: 'BUILD', value: 'cargo build --release --locked' },
        noMigrations,
      ),
      packages: ['cargo', 'pkg-config', 'libssl-dev'],
      process: {
        command: `target/release/${program}`,
        takesSocket: sources.some(({ text }) => /LISTEN_FDS|listenfd/.test(text)),
      },
      test: { image: 'rust:1', commands: ['cargo test --locked'] },
    }
  },
}
