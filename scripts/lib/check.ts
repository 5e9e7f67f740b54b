import type { Shell } from 'zx/core'
import { readRefs, showOurHook } from './history.ts'
import { exit, Failure } from './program.ts'
import { explainPushFailure } from './push-failure.ts'
import { type Check, endOfChecks, greeting, liveRef, parseCheck, parseVerdict, requestRef } from './verdict.ts'

interface Target {
  readonly remote: string
  readonly url: string
  readonly branch: string
  readonly commit: string
  /** What the settings say of the ssh session. */
  readonly secrets: readonly string[]
  readonly connected: Promise<void>
}

/**
 * Goes through all that a deployment needs, from here and then from the server's side, and deploys nothing: a line for
 * each, in the order in which a deployment meets them. What comes after the first that is wrong here is not tried.
 *
 * @returns the exit code
 * @throws Failure for the first that is wrong here
 */
export async function check($: Shell, { remote, url, branch, commit, secrets, connected }: Target): Promise<number> {
  for (const secret of secrets) show({ what: 'settings', isWell: true, found: secret })
  show({ what: 'commit', isWell: true, found: commit })
  await step('connection', async () => {
    await connected
    return url
  })
  const refs = await step('repository', async () => readRefs($, remote, branch), describeRefs)
  const refspec = `${commit}:refs/heads/${branch}`
  await step('branch', async () => {
    const pushed = await $`git push --porcelain --dry-run --follow-tags ${remote} ${refspec}`.nothrow()
    if (!pushed.ok) throw explainPushFailure(pushed.stderr + pushed.stdout)
    return `${branch} can be pushed`
  })

  // Whoever deploys with another hook must not find that looking has deployed: a bash hook runs at any push.
  if (!showOurHook(refs)) {
    console.log(
      `?      hook: not asked, because pushlive has deployed nothing there yet, and another hook would deploy now`,
    )
    return exit.live
  }
  const { checks } = await step('hook', () => askHook($, remote, branch, commit), describeHook)
  for (const check of checks) show(check)
  return checks.every(({ isWell }) => isWell) ? exit.live : exit.failed

  function describeRefs(refs: ReadonlyMap<string, string>): string {
    const live = refs.get(liveRef(branch))
    return live === undefined ? 'it is there, and nothing is live yet' : `it is there, and ${live} is live`
  }
}

/** Makes the hook look around. @throws Failure where it gives no answer */
async function askHook($: Shell, remote: string, branch: string, commit: string) {
  const ref = requestRef('check', branch)
  const asked = await $`git push --porcelain ${remote} ${`${commit}:${ref}`}`.nothrow()
  const said = asked.stderr.split('\n').flatMap(line => /^remote: (.*?) *$/.exec(line)?.[1] ?? [])
  if (/deny updating a hidden ref/.test(asked.stdout)) {
    throw new Failure(exit.refused, 'The server does not let its hook be asked.', { fix: 'make install-hook' })
  }
  if (!asked.ok) throw explainPushFailure(asked.stderr + asked.stdout)
  const refusal = said.map(parseVerdict).find(verdict => verdict !== undefined)
  // What answers is not ours, or the hook of another branch: nobody else takes the ref away.
  if (!said.includes(endOfChecks)) await $`git push --quiet ${remote} ${`:${ref}`}`.nothrow()
  if (refusal) throw new Failure(exit.failed, `The hook does not deploy this branch: ${refusal.explanation}.`)
  if (!said.includes(endOfChecks)) {
    throw new Failure(exit.unknown, 'The hook on the server gave no answer.', {
      why: said.join('\n'),
      fix: `make install-hook, which renews it; if it is new, on the server: git update-ref -d ${ref}`,
    })
  }
  return {
    version: said.find(line => line.startsWith(greeting)) ?? '',
    checks: said.map(parseCheck).filter(check => check !== undefined),
  }
}

const describeHook = ({ version }: { version: string }) => version

async function step<T>(what: string, action: () => Promise<T>, describe: (result: T) => string = String): Promise<T> {
  try {
    const result = await action()
    show({ what, isWell: true, found: describe(result) })
    return result
  } catch (error) {
    show({ what, isWell: false, found: error instanceof Failure ? error.message : String(error) })
    throw error
  }
}

function show({ what, isWell, found }: Check): void {
  console.log(`${isWell ? 'ok    ' : 'WRONG '} ${what}: ${found}`)
}
