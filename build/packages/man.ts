import { execFileSync } from 'node:child_process'

/** The man page: what each program says of itself, so that it is never another version's. @param pushlive its command */
export function manPage(pushlive: readonly string[], date: Date): string {
  const [program = '', ...args] = pushlive
  const help = (...command: string[]) =>
    execFileSync(program, [...args, ...command, '--help'], { encoding: 'utf8', env: {} })
  const month = date.toISOString().slice(0, 7)
  const sections = [
    ['deploy'],
    ['deploy', 'init'],
    ['setup-ssh'],
    ['post-receive', 'install'],
    ['post-receive', 'settings'],
  ].map(command => `.SH ${command.join(' ').toUpperCase()}\n.nf\n${roff(help(...command))}.fi\n`)
  return `.TH PUSHLIVE 1 ${month}
.SH NAME
pushlive \\- push a branch, go live
.SH SYNOPSIS
.B pushlive deploy
|
.B setup\\-ssh
|
.B post\\-receive install
\\&...
.SH DESCRIPTION
.B deploy
pushes a branch from CI to a bare repository on your server, where the hook
.B post\\-receive
puts it live. Its exit code says whether the commit is live.
.B deploy init
writes what a project needs for that.
.B setup\\-ssh
makes the deploy key that the CI needs, and with
.B \\-\\-hook
makes a repository on the server one that deploys what is pushed to it.
.B setup\\-ssh set
changes settings there.
.B post\\-receive install
and
.B post\\-receive settings
do the latter two on the server itself.
${sections.join('')}.SH FILES
.TP
.I .env
settings: of deploy and setup\\-ssh in the clone, where deploy/deploy.env may have some, too; of the hook in the bare repository.
/usr/share/doc/pushlive has them all.
.SH SEE ALSO
.BR git (1),
.BR ssh (1),
.BR githooks (5)
`
}

/** Text as roff shows it, whatever is in it. */
const roff = (text: string) =>
  text
    .replace(/\\/g, '\\e')
    .replace(/-/g, '\\-')
    .replace(/^(?=[.'])/gm, '\\&')
