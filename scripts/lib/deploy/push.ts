import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Ask, askRef, isRollback } from '../protocol/asks.ts'
import { emptyTrees } from '../protocol/ids.ts'
import { formatOrigin } from '../protocol/origin.ts'
import { type Greeting, parseGreeting, parseVerdict, type Verdict } from '../protocol/verdict.ts'
import { harmless, quote } from '../shared/foreign-text.ts'
import { isLostRace } from '../ssh/explain-failure.ts'
import { newUnique, type Session } from './clone.ts'

/** What is pushed: a commit to the branch, a question to the hook, or both at once. */
export interface Push {
  readonly commit?: string
  readonly ask?: Ask
  /** The branch need not grow: then the server takes all that is pushed, or nothing. */
  readonly isForced?: boolean | undefined
  /** Nothing is sent, so the hook does not run. */
  readonly dryRun?: boolean
}

/** The result of one `git push`. */
export interface Pushed {
  readonly push: Push
  /** The ask's name. */
  readonly askedAs: string | undefined
  /** Whether git reported a result for each ref. */
  readonly isComplete: boolean
  /** Whether the server has something now that it did not have. */
  readonly hasMoved: boolean
  /** Where the branch was before, where it has moved: a part of an id. */
  readonly movedFrom: string | undefined
  /** Why the branch, or the ask, was not taken. */
  readonly rejected: { readonly branch?: string | undefined; readonly ask?: string | undefined }
  /** What git and ssh print here. The lines of the server's programs are not among them. */
  readonly messages: string
  /** Absent where no hook of ours has answered. */
  readonly greeting: Greeting | undefined
  /** The hook's last line, if it is about the commit that was asked for. */
  readonly verdict: Verdict | undefined
}

/** What is done with the lines that come while a push lasts. */
export interface Listener {
  /** A line of the server's programs. */
  serverPrinted(line: string): void
  /** A line of git's, or an indented one of ssh's. */
  clientPrinted(line: string): void
}

export const terminal: Listener = {
  serverPrinted: line => process.stderr.write(`remote: ${harmless(line)}\n`),
  clientPrinted: line => process.stderr.write(`${harmless(line)}\n`),
}

/** Without the clone's pre-push hook, signature, push options, submodules and fetches of its own. */
const plainly = '--porcelain --no-verify --no-signed --no-recurse-submodules'.split(' ')
const withoutOptions = ['-c', 'push.pushOption=', '-c', 'push.negotiate=false']

/** Pushes, by default showing what git and the server print as it comes. */
export async function push(session: Session, what: Push, listener = terminal): Promise<Pushed> {
  const { $, git, server, settings, takeSshMessages } = session
  const { commit, ask, dryRun, isForced } = what
  const branchRef = commit && `refs/heads/${settings.BRANCH_NAME}`
  const askedAs = ask && askRef(settings.BRANCH_NAME, ask, newUnique())
  const refspecs = [
    ...(branchRef ? [`${isForced ? '+' : ''}${commit}:${branchRef}`] : []),
    ...(ask && askedAs ? [`${await findObject(session, ask)}:${askedAs}`] : []),
  ]
  const tags = commit ? '--follow-tags' : '--no-follow-tags'
  const options = [...plainly, tags, ...(dryRun ? ['--dry-run'] : []), ...(isForced ? ['--atomic'] : [])]
  // exec: a signal must reach git, not bash.
  const pushing = $`exec ${git} ${withoutOptions} push ${options} ${server} ${refspecs}`.nothrow()

  let sshMessages = ''
  const gitMessages: string[] = []
  /** Behind a verdict, git can only repeat that a ref was not taken, and advise what is wrong then. */
  const behindVerdict: string[] = []
  const showSshMessages = () => {
    const messages = takeSshMessages()
    sshMessages += messages
    if (messages) for (const line of quote(messages).split('\n')) listener.clientPrinted(line)
  }
  const showing = setInterval(showSshMessages, 100)
  let greeting: Greeting | undefined
  let verdict: Verdict | undefined
  for await (const line of createInterface({ input: pushing.stderr })) {
    // git adds blanks to the server's lines, which would wipe the rest of a progress bar.
    const [, serverLine] = /^remote: (.*?) *$/.exec(line) ?? []
    if (serverLine === undefined) {
      gitMessages.push(line)
      if (verdict) behindVerdict.push(line)
      else listener.clientPrinted(line)
      continue
    }
    listener.serverPrinted(serverLine)
    greeting ??= parseGreeting(serverLine)
    const readVerdict = parseVerdict(serverLine)
    if (readVerdict && (isRollback(ask?.verb) || readVerdict.commit === ask?.commit)) verdict = readVerdict
  }
  const { stdout, signal } = await pushing
  const answers = parsePorcelain(stdout)
  clearInterval(showing)
  showSshMessages()
  if (signal) {
    // Then git has said nothing, and it is not the connection that has ended.
    const ended = `git push was ended by ${signal}.`
    gitMessages.push(ended)
    listener.clientPrinted(ended)
  }
  const answerTo = (ref = '') => answers.get(ref)
  const ours = [branchRef, askedAs].filter(ref => ref !== undefined)
  if (!answerTo(askedAs)?.isTaken) verdict = undefined
  if (!verdict) for (const line of behindVerdict) listener.clientPrinted(line)
  return {
    push: what,
    askedAs,
    isComplete: ours.every(ref => answers.has(ref)),
    hasMoved: ours.some(ref => ref !== askedAs && answerTo(ref)?.isTaken),
    movedFrom: answerTo(branchRef)?.movedFrom,
    rejected: { branch: answerTo(branchRef)?.rejection, ask: answerTo(askedAs)?.rejection },
    messages: sshMessages + gitMessages.join('\n'),
    // What the server takes, it runs its hook for. Anything else that looks like the hook's lines is something else.
    greeting: ours.some(ref => answerTo(ref)?.isTaken) ? greeting : undefined,
    verdict,
  }
}

/** How often a push is repeated that another one overtook: with so many at once, one of them gets through each time. */
const mostRaces = 20

/** Repeats a push for as long as git says that the ref has changed in the moment between looking and writing. */
export async function repeatLostRaces(pushOnce: () => Promise<Pushed>, listener = terminal): Promise<Pushed> {
  for (let race = 1; ; race++) {
    const pushed = await pushOnce()
    const { branch = '', ask = '' } = pushed.rejected
    const isLost = !pushed.verdict?.live && (isLostRace(branch) || isLostRace(ask))
    if (!isLost || race === mostRaces) return pushed
    await sleep(50 + 200 * Math.random())
    listener.clientPrinted('ANOTHER PUSH CAME FIRST, PUSHING AGAIN ...')
  }
}

/** Where the clone cannot be written, the hook is not told who asks. A check looks into the commit itself. */
async function findObject({ $, ci }: Session, { verb, commit: id = '' }: Ask): Promise<string> {
  if (verb === 'check') return id
  if (ci?.by || ci?.run) {
    const origin = formatOrigin({ by: ci.by, run: ci.run })
    const written = await $`git hash-object -w --stdin <<< ${origin}`.nothrow()
    if (written.ok) return written.stdout.trim()
  }
  return (
    emptyTrees.find(tree => tree.length === id.length) ??
    (await $`git hash-object -t tree --stdin </dev/null`).stdout.trim()
  )
}

interface RefStatus {
  /** Whether the server has something now that it did not have. */
  readonly isTaken: boolean
  readonly rejection: string | undefined
  readonly movedFrom: string | undefined
}

/** What git says of each ref (git-push(1), OUTPUT), less those of which it says that it does not know. */
function parsePorcelain(stdout: string): Map<string, RefStatus> {
  const lines = [...stdout.matchAll(/^(.)\t[^\t\n]*:([^\t\n]+)\t(.*)$/gm)]
  return new Map(
    lines
      .filter(([, , , summary = '']) => !summary.startsWith('[remote failure]'))
      .map(([, flag, ref = '', summary]) => [
        ref,
        {
          isTaken: flag !== '!' && flag !== '=',
          rejection: flag === '!' && !isBecauseOfAnother(summary) ? summary : undefined,
          movedFrom: /^([0-9a-f]+)\.{2,3}[0-9a-f]+/.exec(summary ?? '')?.[1],
        },
      ]),
  )
}

/** Whether a ref was not taken only because another one of the push was not. */
const isBecauseOfAnother = (summary = '') => /\(atomic push (failure|failed)\)$/.test(summary)
