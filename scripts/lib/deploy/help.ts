/** What each command is for, and how it is called. `deploy --help` is made of this, and so is `deploy COMMAND --help`. */
const commands = {
  deploy: {
    usage: [
      'Usage: deploy [--again | --dry-run] [--json] [--verbose]',
      'Usage: deploy --force [COMMIT | BRANCH | TAG] [--again] [--json]',
    ],
    about: ['pushes BRANCH_NAME to STAGING_REMOTE_REPO, and shows what the server does with it'],
  },
  init: {
    usage: ['Usage: deploy init'],
    about: ['asks five questions, and writes what a project needs for a deployment'],
  },
  check: {
    usage: ['Usage: deploy check [--json]'],
    about: ['goes through all that a deployment needs, here and on the server, and deploys nothing'],
  },
  status: {
    usage: ['Usage: deploy status [--json]'],
    about: ['says what is live, what runs, and what failed since then'],
  },
  history: {
    usage: ['Usage: deploy history [-n NUMBER | --all] [--json]'],
    about: ['lists the deployments, the newest first: outcome, time, who, how long, subject'],
  },
  log: {
    usage: ['Usage: deploy log [COMMIT]'],
    about: ["shows what the server's steps printed in the newest deployment, or COMMIT's"],
  },
  report: { usage: ['Usage: deploy report [FILE]'], about: ['makes a web page of all of that, report.html or FILE'] },
  metrics: {
    usage: ['Usage: deploy metrics [FILE]'],
    about: ["prints the last deployment's figures for Prometheus, or writes them to FILE"],
  },
  rollback: {
    usage: ['Usage: deploy rollback [COMMIT] [--database] [--json] [--verbose]'],
    about: [
      'goes back to what was live before, or to COMMIT; the next push goes forward again.',
      "With --database the database goes back first, by the server's DOWNGRADE_DB.",
    ],
  },
} as const

export type CommandName = keyof typeof commands
export const commandNames = Object.keys(commands) as CommandName[]

const options = {
  again: ['--again', ['run all steps, even if the commit is already live']],
  'dry-run': ['--dry-run', ['show what would be pushed, and push nothing']],
  force: [
    '--force',
    [
      'for staging, if the server has ACCEPT=any: deploy what is checked out, or what is',
      'named, in place of what BRANCH_NAME is there, even if it does not contain that',
    ],
  ],
  database: ['--database', ['take the database back, too']],
  number: ['-n NUMBER', ['only the newest NUMBER deployments; at a terminal 20']],
  all: ['--all', ['all of them, also at a terminal']],
  json: ['--json', ['for programs: JSON on standard output, and nothing else there']],
  verbose: ['--verbose', ['at a terminal, too, all that git and the server print, as in a CI']],
  'env-file': ['--env-file FILE', ['settings, in place of .env and deploy/deploy.env']],
  version: ['--version', []],
  help: ['-h, --help', []],
} as const

export type OptionName = keyof typeof options

const exitCodes = `Exits with
  0  the commit is live, or a newer one that contains it is: the server's hook checked
  1  it is not live; the message says what is
  2  settings, usage or this clone are wrong; nothing was sent
  3  the server could not be reached or would not let us in; nothing was sent
  4  git refused the push; nothing was deployed
  5  no verdict: the connection broke, or no hook of pushlive answered; run it again to find out
 70  a bug in pushlive; 128 and more: a signal`

const usageOf = (names: readonly CommandName[]) =>
  names
    .flatMap(name => commands[name].usage)
    .map((usage, index) => (index === 0 ? usage : usage.replace('Usage:', '      ')))
    .join('\n')

const list = (entries: readonly (readonly [string, readonly string[]])[]) =>
  entries
    .flatMap(([name, lines]) =>
      (lines.length > 0 ? lines : ['']).map((line, n) => [n === 0 ? name : '', line] as const),
    )
    .map(([name, line]) => `  ${name.padEnd(17)} ${line}`.trimEnd())
    .join('\n')

/** For all commands. */
export const help = `${usageOf(commandNames)}
       deploy help COMMAND

Without a command it ${commands.deploy.about.join(' ')}.

${list(commandNames.filter(name => name !== 'deploy').map(name => [name, commands[name].about]))}

${exitCodes}

${list(Object.values(options))}`

/** @param names the options that the command takes; --env-file, --version and --help belong to each */
export const helpOf = (command: CommandName, names: readonly OptionName[]) => `${usageOf([command])}

${commands[command].about.map((line, n) => (n === 0 ? `It ${line}` : line)).join('\n')}${command === 'deploy' || command === 'rollback' ? `\n\n${exitCodes}` : ''}

${list([...names, 'env-file' as const, 'help' as const].map(name => options[name]))}`
