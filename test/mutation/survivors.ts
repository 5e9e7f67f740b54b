/** Changes that no test can notice, and why. A mutant is named as the run names it, or by a part that stands for a class. */
export const survivors: readonly { readonly reason: string; readonly mutants: readonly (string | RegExp)[] }[] = [
  {
    reason: 'it is there for the types: where the expression does not match, all its parts are undefined',
    mutants: [
      "scripts/lib/ssh/remote.ts: export function knownHostsName({ host = ['' -> \"Stryker was here!\"], port = 22 }: Pick<Remote, 'host' | 'port'>): string {",
      'scripts/lib/ssh/remote.ts: if (([user !== undefined -> true] && !isUser(user)) || !isHost(host)) return undefined',
      'scripts/lib/hook/find-answer.ts: const rollback = hasEndedSince && [last?.outcome -> last.outcome] && isRollback(last.verb) ? last : undefined',
      'scripts/lib/hook/find-answer.ts: if ([refs.tip === undefined -> false] || (asked !== refs.tip && !(await repository.contains(refs.tip, asked)))) {',
      'scripts/lib/hook/find-answer.ts: const commit = [ask.commit !== undefined -> true] && !isRollback(ask.verb) ? ask.commit : done',
      'scripts/lib/hook/find-answer.ts: [previous !== undefined -> true] &&',
      'scripts/lib/hook/find-answer.ts: const problem = [last?.touched -> last.touched].database ? last.databaseProblem : undefined',
      /^scripts\/lib\/ssh\/known-hosts\.ts: const \[, marker, .*\['' -> "Stryker was here!"\].* = entry\.exec\(/,
      /\.exec\(.*\?\? \[\[\] -> \["Stryker was here"\]\]$/,
      /^scripts\/lib\/ssh\/private-key\.ts: const \{ .*\b[dx] = \['' -> "Stryker was here!"\].* \} = key\.export\(/,
      /^scripts\/lib\/protocol\/.*const \[.* = \['' -> "Stryker was here!"\].*\] = .*\.exec\(/,
    ],
  },
  {
    reason: 'a colon and a slash are never at the same place, and where there is no colon the last character is none',
    mutants: [
      'scripts/lib/ssh/remote.ts: if (colon === -1 || (slash !== -1 && [slash < colon -> slash <= colon])) return parseLocalPath(url)',
      String.raw`scripts/lib/ssh/remote.ts: if (afterName.length < 2 && [colon !== -1 -> true] && (brackets ? /^:\d+$/ : /^:\d*$/).test(name.slice(colon))) {`,
    ],
  },
  {
    reason: 'a function that ends returns undefined, too',
    mutants: [/: \} catch \[\{ return undefined \} -> \{\}\]$/],
  },
  {
    reason: 'nobody reads this message: what catches it says in its own words what is wrong',
    mutants: [/\bthrow new RangeError\(\['.*' -> ""\]\)$/],
  },
  {
    reason: 'it is there for the types: a match has all its parts',
    mutants: [
      `scripts/lib/ssh/known-hosts.ts: const [, marker, hosts = '', type = '', blob = ['' -> "Stryker was here!"]] = match`,
      `scripts/lib/ssh/known-hosts.ts: const [, marker, hosts = '', type = ['' -> "Stryker was here!"], blob = ''] = match`,
      `scripts/lib/shared/settings.ts: .filter(([, name = ['' -> "Stryker was here!"], value]) => values[name] === value)`,
      `scripts/lib/shared/settings.ts: .map(([, name = ['' -> "Stryker was here!"]]) => name)`,
    ],
  },
  {
    reason: 'where no folder was made, there is none to remove by this name either',
    mutants: [
      `scripts/lib/ssh/session.ts: let folder = ['' -> "Stryker was here!"]`,
      'scripts/lib/ssh/session.ts: if ([folder -> true]) rmSync(folder, { recursive: true, force: true })',
      `scripts/lib/ssh/private-folder.ts: let folder = ['' -> "Stryker was here!"]`,
      'scripts/lib/ssh/private-folder.ts: if ([folder -> true]) rmSync(folder, { recursive: true, force: true })',
    ],
  },
  {
    reason: 'in a folder that is new and private no file is there before',
    mutants: [
      `scripts/lib/ssh/private-folder.ts: writeFileSync(join(folder, name), text, { mode: 0o600, flag: ['wx' -> ""] })`,
    ],
  },
  {
    reason: 'it is for systems without /proc or user ids, which the tests do not run on',
    mutants: [
      'scripts/lib/ssh/private-folder.ts: if (uid !== [process.getuid?.() -> process.getuid()] || (mode & 0o170777) !== 0o040700) continue',
      'scripts/lib/ssh/private-folder.ts: if ([here === undefined -> false] || placeOf(run) !== placeOf(here) || identify(Number(pid)) === run) continue',
    ],
  },
  {
    reason:
      'what is compared is made in the same way on both sides, and no process has the number of a name without one',
    mutants: [
      `scripts/lib/ssh/private-folder.ts: const [, , pid = ['' -> "Stryker was here!"]] = run.split(' ')`,
      "scripts/lib/ssh/private-folder.ts: const boot = [readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim() -> readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')]",
      `scripts/lib/ssh/private-folder.ts: const placeOf = (run: string) => run.split(' ').slice(0, 2).join([' ' -> ""])`,
    ],
  },
  {
    reason: 'what is left of it is passed over like any other word before an entry',
    mutants: [
      /^scripts\/lib\/ssh\/known-hosts\.ts: const lines = pasted\.replace\(.*(SSH-2\\\.0-\\S\/g\]|\[' ' -> ""\])/,
    ],
  },
  {
    reason: 'no line of base64 has a colon',
    mutants: [
      /^scripts\/lib\/ssh\/private-key\.ts: const base64 = marks\.body\.replace\(\[\/\^\[\\t \]\*\[A-Za-z-\]\+:\.\*\/gm -> \/\[/,
    ],
  },
  {
    reason: 'ssh does not run for a user who is not in /etc/passwd, and says so itself',
    mutants: [/^scripts\/lib\/ssh\/session\.ts: const usersConfiguration = .*\?\? \['~' -> ""\]/],
  },
  {
    reason: 'it is there for the types: Node gives each key these details',
    mutants: [
      'scripts/lib/ssh/private-key.ts: const curve = [key.asymmetricKeyDetails?.namedCurve -> key.asymmetricKeyDetails.namedCurve]',
    ],
  },
  {
    reason: 'only elliptic curves have these names, and no other has one of them in its own',
    mutants: [
      /^scripts\/lib\/ssh\/private-key\.ts: if \(type === 'rsa' \|\| \(.*\[(type === 'ec' -> true|\/\^\(prime256v1.*)\]/,
    ],
  },
  {
    reason: 'nobody reads it where there is no BEGIN line',
    mutants: [/^scripts\/lib\/ssh\/private-key\.ts: if \(begin === null\) return /],
  },
  {
    reason: 'only a build puts a version there',
    mutants: [
      "scripts/lib/shared/program.ts: export const version = [typeof PUSHLIVE_VERSION === 'string' -> false] ? PUSHLIVE_VERSION : 'source'",
      "scripts/lib/shared/program.ts: export const version = typeof PUSHLIVE_VERSION === ['string' -> \"\"] ? PUSHLIVE_VERSION : 'source'",
    ],
  },
  {
    reason: 'what has no code or message is told by neither',
    mutants: [/^scripts\/lib\/shared\/program\.ts: const \{ code = .*'' -> "Stryker was here!"\]/],
  },
  {
    reason: 'only another run that removes the same at the same instant would show it',
    mutants: [
      'scripts/lib/ssh/session.ts: if (folder) rmSync(folder, { recursive: true, force: [true -> false] })',
      'scripts/lib/ssh/private-folder.ts: if (folder) rmSync(folder, { recursive: true, force: [true -> false] })',
      'scripts/lib/ssh/private-folder.ts: rmSync(folder, { recursive: true, force: [true -> false] })',
      'scripts/lib/shared/replace-file.ts: if (pid === process.pid || !isAlive(pid)) rmSync(join(dirname(file), name), { recursive: true, force: [true -> false] })',
    ],
  },
  {
    reason: 'nothing is as good as false here',
    mutants: ['scripts/lib/hook/find-answer.ts: const unknown: Serving = [{ serves: false } -> {}]'],
  },
  {
    reason: 'it only saves a process of git, whose answer would be the same',
    mutants: [
      'scripts/lib/hook/find-answer.ts: if (refs.tip === undefined || ([asked !== refs.tip -> true] && !(await repository.contains(refs.tip, asked)))) {',
    ],
  },
  {
    reason: 'no text but the empty one is tried in place of a missing one, and neither is a name here',
    mutants: [/\?\? \['' -> "Stryker was here!"\]/],
  },
  {
    reason: 'a ref and a line hold no line break, so that "." matches up to the end',
    mutants: [
      `scripts/lib/ssh/known-hosts.ts: .map(line => line.replace(/["'\`]/g, '').replace([/#.*$/ -> /#.*/], '').trim())`,
      String.raw`scripts/lib/protocol/asks.ts: [/^refs\/heads\/(.+)$/ -> /^refs\/heads\/(.+)/].exec(ref)?.[1] ?? /^refs\/deploy-ask\/(.+)\/[^/]+$/.exec(ref)?.[1]`,
      'scripts/lib/protocol/verdict.ts: const unchecked = live ? [/^(?:(.*?), )?not checked: (.*)$/ -> /^(?:(.*?), )?not checked: (.*)/].exec(explanation) : null',
    ],
  },
]
