import type { MutantByHand } from './mutant.ts'

const hook = 'scripts/lib/hook'

/** Of the hook's course, and of its parts up to its releases. */
export const mutantsOfHookA: readonly MutantByHand[] = [
  // find-answer
  {
    breaks: 'a rollback to the live commit does nothing, although what serves is half of another',
    file: `${hook}/find-answer.ts`,
    from: "const mayServe = isAtRest && ask.verb === 'rollback' &&",
    to: "const mayServe = ask.verb === 'rollback' &&",
    tests: ['test/hook/find-answer.test.ts'],
  },
  {
    breaks: 'a deploy that waited behind a rollback undoes it',
    file: `${hook}/find-answer.ts`,
    from: 'if (rollback && (rollback.tip ?? refs.tip) === refs.tip) return { verdict: await verdict(rollback) }',
    to: '',
    tests: ['test/hook/find-answer.test.ts'],
  },
  {
    breaks: '--again is answered by a deployment that began before it',
    file: `${hook}/find-answer.ts`,
    from: "(ask.verb === 'again' ? hasBegunSince : hasEndedSince)",
    to: 'hasEndedSince',
    tests: ['test/hook/find-answer.test.ts'],
  },
  {
    breaks: 'for a commit that the branch does not contain, its tip is deployed',
    file: `${hook}/find-answer.ts`,
    from: 'if (refs.tip === undefined || (asked !== refs.tip && !(await repository.contains(refs.tip, asked)))) {',
    to: 'if (refs.tip === undefined) {',
    tests: ['test/hook/find-answer.test.ts'],
  },
  {
    breaks: 'a commit counts as live though a failed restore has left it half changed',
    file: `${hook}/find-answer.ts`,
    from: 'isConsistent(touched) &&\n    !mayBeBehind',
    to: '!mayBeBehind',
    tests: ['test/hook/find-answer.test.ts'],
  },
  {
    breaks: 'a commit that was overtaken counts as live without a look',
    file: `${hook}/find-answer.ts`,
    from: 'if (found.serves) return partOf(commit, previous, found.notChecked)',
    to: 'return partOf(commit, previous, found.notChecked)',
    tests: ['test/hook/find-answer.test.ts'],
  },

  // The course of a deployment.
  {
    breaks: 'the hook exits with 0 where the commit is not live',
    file: 'scripts/post-receive.ts',
    from: 'return isLive ? exitCode.live : exitCode.failed',
    to: 'return exitCode.live',
    tests: ['test/hook/deployment.test.ts'],
  },
  {
    breaks: 'VERIFY is asked after the folder was converted to another layout',
    file: 'scripts/post-receive.ts',
    from: "() => import('./lib/hook/steps/verify.ts'),\n  () => import('./lib/hook/steps/convert-layout.ts'),",
    to: "() => import('./lib/hook/steps/convert-layout.ts'),\n  () => import('./lib/hook/steps/verify.ts'),",
    tests: ['test/hook/commands.test.ts'],
  },
  {
    breaks: 'a release that a step has moved goes live, and only then fails',
    file: 'scripts/post-receive.ts',
    from: "() => import('./lib/hook/steps/verify-unmoved.ts'),\n  () => import('./lib/hook/steps/switch-release.ts'),",
    to: "() => import('./lib/hook/steps/switch-release.ts'),",
    tests: ['test/hook/files.sweep.ts'],
  },
  {
    breaks: 'RESTART may move the work tree to another commit, which then counts as this one',
    file: 'scripts/post-receive.ts',
    from: "() => import('./lib/hook/steps/verify-unmoved.ts'),\n  () => import('./lib/hook/steps/settle.ts'),",
    to: "() => import('./lib/hook/steps/settle.ts'),",
    tests: ['test/hook/files.sweep.ts'],
  },
  {
    breaks: 'locks and half-written refs of a killed git stay in the repository',
    file: `${hook}/wait-for-turn.ts`,
    from: 'repository.cleanUp(branch)\n',
    to: '\n',
    tests: ['test/hook/wait-for-turn.test.ts'],
  },
  {
    breaks: 'a push waits for one whose turn is over, and whose pusher takes nothing',
    file: `${hook}/wait-for-turn.ts`,
    from: '[Symbol.dispose]: endTurn',
    to: '[Symbol.dispose]: () => {}',
    tests: ['test/hook/wait-for-turn.test.ts'],
  },
  {
    breaks: 'what the last deployment has left uncertain is forgotten by the next one',
    file: `${hook}/begin.ts`,
    from: 'touched: last ? { ...last.touched } : unknown',
    to: 'touched: last ? {} : unknown',
    tests: ['test/hook/wait-for-turn.test.ts'],
  },
  {
    breaks: 'a release counts as complete for its commit, which could not be installed there again',
    file: `${hook}/steps/check-out.ts`,
    from: 'release.updateState({ complete: undefined, ',
    to: 'release.updateState({ ',
    tests: ['test/hook/build.sweep.ts'],
  },
  {
    breaks: 'UPGRADE_DB is left out after a comparison with what was checked out by hand',
    file: `${hook}/plan.ts`,
    from: 'last.commit === previous && ',
    to: '',
    tests: ['test/hook/steps.test.ts'],
  },
  {
    breaks: 'after a power cut a release that went live is not known to be complete',
    file: `${hook}/steps/switch-release.ts`,
    from: 'release.updateState({ complete: commit }, true)',
    to: 'release.updateState({ complete: commit })',
    tests: ['test/hook/synced.test.ts'],
  },
  {
    breaks: 'a release goes live before its files are on the disk',
    file: `${hook}/steps/switch-release.ts`,
    from: "shell.run('sync --file-system .')",
    to: "shell.run('true')",
    tests: ['test/hook/synced.test.ts'],
  },
  {
    breaks: 'the link is switched before that is written down',
    file: `${hook}/steps/switch-release.ts`,
    from: "deployment.markChanged('code', 'application')\n  releases.switchTo(release)",
    to: "releases.switchTo(release)\n  deployment.markChanged('code', 'application')",
    tests: ['test/hook/synced.test.ts'],
  },
  {
    breaks: 'the health check of a restore looks for the commit that has failed',
    file: `${hook}/steps/check-health.ts`,
    from: 'verifyAnswer({ settings, commit, repository }: StepContext)',
    to: 'verifyAnswer({ settings, deployment: { entry: { commit } }, repository }: StepContext)',
    tests: ['test/hook/health.test.ts'],
  },
  {
    breaks: 'the old code answers the health check, before a server has seen the touched file',
    file: `${hook}/steps/check-health.ts`,
    from: 'if (context.settings.RESTART === undefined) await sleep(noticeMilliseconds)\n',
    to: '\n',
    tests: ['test/hook/health.test.ts'],
  },
  {
    breaks: 'a health check that the old release has answered is the last one',
    file: `${hook}/steps/check-processes.ts`,
    from: 'if (replaced !== undefined) await checkHealth.verifyAnswer(context)\n',
    to: '\n',
    tests: ['test/hook/taking-over.sweep.ts'],
  },
  {
    breaks: 'a WSGI file of another user is not touched, though the hook may write it',
    file: `${hook}/wsgi.ts`,
    from: `await shell.run('touch -- "$PATH_TO_WSGI"')\n`,
    to: '\n',
    tests: ['test/hook/wsgi.test.ts'],
  },

  // database
  {
    breaks: 'DOWNGRADE_DB runs where the database is already at the revision that it goes to',
    file: `${hook}/steps/take-database-back.ts`,
    from: 'if (way && way.found !== revision) {',
    to: 'if (way) {',
    tests: ['test/hook/database.test.ts'],
  },
  {
    breaks: 'DOWNGRADE_DB that ends well, and does not get there, is believed',
    file: `${hook}/steps/take-database-back.ts`,
    from: 'if (found !== revision) {',
    to: 'if (found === undefined) {',
    tests: ['test/hook/database.test.ts'],
  },

  // deployment
  {
    breaks: 'after a power cut the journal knows nothing of the deployment that had begun',
    file: `${hook}/deployment.ts`,
    from: 'journal.write(entry, true)',
    to: 'journal.write(entry)',
    tests: ['test/hook/synced.test.ts'],
  },
  {
    breaks: 'a step begins after the hook was told to end',
    file: `${hook}/deployment.ts`,
    from: 'if (this.shutdown?.aborted) {',
    to: 'if (this.shutdown?.aborted === undefined) {',
    tests: ['test/hook/processes.test.ts'],
  },
  {
    breaks: 'a command begins before it is written down',
    file: `${hook}/deployment.ts`,
    from: `    try {
      this.#journal.write(this.entry)
    } catch (error) {
      // What is written next may fit without it.
      this.entry.command = before
      abandon(command)
      throw error
    }
    return go(command, { text, timeout: this.#timeout, signal: this.shutdown })`,
    to: `    const going = go(command, { text, timeout: this.#timeout, signal: this.shutdown })
    try {
      this.#journal.write(this.entry)
    } catch (error) {
      this.entry.command = before
      abandon(command)
      throw error
    }
    return going`,
    tests: ['test/hook/processes.test.ts'],
  },

  // swap, health
  {
    breaks: 'a folder becomes a link by two renames, between which there is neither',
    file: `${hook}/swap.ts`,
    from: "if (spawnSync('python3', ['-I', '-c', swapScript, link, folder]).status === 0) return\n",
    to: '\n',
    tests: ['test/hook/swap.test.ts'],
  },
  {
    breaks: 'the health check asks over a kept connection, which leads to the old code',
    file: `${hook}/health.ts`,
    from: 'agent: false, ',
    to: '',
    tests: ['test/hook/health-requests.test.ts'],
  },
  {
    breaks: 'an answer that never ends fills the memory',
    file: `${hook}/health.ts`,
    from: 'if (body.length > readCharacters) break\n',
    to: '\n',
    tests: ['test/hook/health-requests.test.ts'],
  },

  // install
  {
    breaks: 'install keeps settings that others can read',
    file: `${hook}/install/install.ts`,
    from: 'if (statSync(env).uid === process.getuid?.()) chmodSync(env, 0o600)\n',
    to: '\n',
    tests: ['test/hook/install.test.ts'],
  },
  {
    breaks: 'no push is taken once somebody has checked the branch out on the server',
    file: `${hook}/install/install.ts`,
    from: "['receive.denyCurrentBranch', 'ignore'],\n",
    to: '\n',
    tests: ['test/hook/install.test.ts'],
  },
  {
    breaks: 'after a power cut the branch may name a commit that is not on the disk',
    file: `${hook}/install/install.ts`,
    from: "['core.fsync', 'committed'],\n",
    to: '\n',
    tests: ['test/hook/install.test.ts'],
  },
  {
    breaks: 'install places a hook that does not run there',
    file: `${hook}/install/hook-files.ts`,
    from: 'if (status === 0) return\n',
    to: 'if (status !== undefined) return\n',
    tests: ['test/hook/install.test.ts'],
  },
  {
    breaks: 'hooks/update takes an ask with something else in it',
    file: 'scripts/lib/protocol/asks.ts',
    from: '[ "$1" = "$verb-$commit-$unique" ] || return 1\n',
    to: '\n',
    tests: ['test/protocol/asks.test.ts'],
  },
  {
    breaks: 'hooks/update lets the branch be deleted',
    file: `${hook}/install/hook-files.ts`,
    from: '! is_zero "$new" || refuse',
    to: 'true || refuse',
    tests: ['test/hook/update.sweep.ts'],
  },

  // journal
  {
    breaks: 'a journal of any content is believed',
    file: `${hook}/journal.ts`,
    from: 'return isEntry(entry) ? entry : undefined',
    to: 'return entry as JournalEntry',
    tests: ['test/hook/journal.test.ts'],
  },
  {
    breaks: 'a journal without a list of steps is believed',
    file: `${hook}/journal.ts`,
    from: 'Array.isArray(entry.steps) &&\n',
    to: '\n',
    tests: ['test/hook/journal.test.ts'],
  },
  {
    breaks: 'a push that came during a deployment of its commit deploys it once more',
    file: `${hook}/journal.ts`,
    from: 'hasEnded: last.outcome !== undefined',
    to: 'hasEnded: true',
    tests: ['test/hook/journal.test.ts'],
  },

  // lock, log, notify
  {
    breaks: 'a Ctrl-C of the pusher ends what waits for the lock',
    file: `${hook}/lock.ts`,
    from: 'detached: true,',
    to: 'detached: false,',
    tests: ['test/hook/lock.test.ts'],
  },
  {
    breaks: 'two deployments run at once where flock fails',
    file: `${hook}/lock.ts`,
    from: 'if (tried.code !== 0) throw',
    to: 'if (tried.code === undefined) throw',
    tests: ['test/hook/lock.test.ts'],
  },
  {
    breaks: 'on a full disk a line that does not fit into the log ends the restore',
    file: `${hook}/log.ts`,
    from: '} catch {\n      // On a full disk',
    to: '} catch (error) {\n      throw error\n      // On a full disk',
    tests: ['test/hook/log.test.ts'],
  },
  {
    breaks: 'NOTIFY may run for ever',
    file: `${hook}/notify.ts`,
    from: "spawn('timeout', ['--kill-after=5', String(limitSeconds), 'bash', '-c', command], options)",
    to: "spawn('bash', ['-c', command], options)",
    tests: ['test/hook/log.test.ts'],
  },
  {
    breaks: 'the hook waits for NOTIFY',
    file: `${hook}/notify.ts`,
    from: "import { type SpawnOptions, spawn } from 'node:child_process'",
    to: "import { type SpawnOptions, spawnSync as spawn } from 'node:child_process'",
    tests: ['test/hook/commands.test.ts'],
  },

  // processes
  {
    breaks: 'a command runs though the hook was killed before it had written that down',
    file: `${hook}/processes.ts`,
    from: "'read -r go <&3 || exit 125; exec 3<&-; '",
    to: "'read -r go <&3 || true; exec 3<&-; '",
    tests: ['test/hook/processes.test.ts'],
  },
  {
    breaks: 'a deployment waits for a process that has the number of one that was killed',
    file: `${hook}/processes.ts`,
    from: 'readProcess(pid)?.started === started',
    to: '(readProcess(pid)?.started ?? started) !== undefined && readProcess(pid) !== undefined',
    tests: ['test/hook/processes.test.ts'],
  },
  {
    breaks: 'a step that ignores SIGTERM runs for ever',
    file: `${hook}/processes.ts`,
    from: "of ['SIGTERM', 'SIGKILL'] as const",
    to: "of ['SIGTERM'] as const",
    tests: ['test/hook/processes.test.ts'],
  },

  // pushed-refs
  {
    breaks: 'the deletion of an ask is taken for an ask',
    file: `${hook}/pushed-refs.ts`,
    from: 'isAskRef(ref) && !isZeroId(id))\n',
    to: 'isAskRef(ref))\n',
    tests: ['test/hook/pushed-refs.test.ts'],
  },
  {
    breaks: 'of two asks in one push the first is taken',
    file: `${hook}/pushed-refs.ts`,
    from: 'asks.length === 1 ?',
    to: 'asks.length >= 1 ?',
    tests: ['test/hook/pushed-refs.test.ts'],
  },

  // relay
  {
    breaks: 'the pusher is shown half a character, or half an escape sequence',
    file: `${hook}/relay.ts`,
    from: "const end = read === 0 || text.length >= 2 * chunkBytes ? text.length : text.lastIndexOf('\\n') + 1",
    to: 'const end = text.length',
    tests: ['test/hook/relay.test.ts'],
  },
  {
    breaks: 'a log is still relayed to a pusher that has gone away',
    file: `${hook}/relay.ts`,
    from: "this.#output.on('error', () => this.#giveUp())",
    to: "this.#output.on('error', () => {})",
    tests: ['test/hook/relay.test.ts'],
  },
  {
    breaks: "control characters in a name reach the pusher in the hook's own lines",
    file: `${hook}/relay.ts`,
    from: "text.replace(/[^\\P{Cc}\\n]/gu, '')",
    to: 'text',
    tests: ['test/hook/relay.test.ts'],
  },
  {
    breaks: 'the hook waits for ever for a pusher that takes nothing',
    file: `${hook}/relay.ts`,
    from: 'if (now() - this.#progress >= patience) this.#giveUp()\n',
    to: '\n',
    tests: ['test/hook/relay.test.ts'],
  },
]
