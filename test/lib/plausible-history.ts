import { computeFigures } from '../../scripts/lib/deploy/dora.ts'
import type { Report } from '../../scripts/lib/deploy/report-page.ts'
import type { DeploymentRecord } from '../../scripts/lib/protocol/record.ts'

const [minute, day] = [60_000, 86_400_000]
const subjects = [
  'Add a page for forecasts',
  'Show sensors on a map',
  'Fix the login of guests',
  'Update dependencies',
  'Keep reports for a year',
  'Add an index for beliefs',
  'Translate the mail to new users',
  'Remove Python 3.8',
]

/** A report of what a small team might have deployed, the same for the same arguments: made up, for a picture and for tests of the page. */
export function makePlausibleReport({ count, days, now }: { count: number; days: number; now: number }): Report {
  let seed = 1
  /** Evenly between 0 and 1: a linear congruential generator (Park and Miller). */
  const random = () => {
    seed = (seed * 48_271) % 2_147_483_647
    return seed / 2_147_483_647
  }
  const idOf = (index: number) =>
    ((index + 7) * 2_654_435_761).toString(16).padStart(13, 'c').slice(-10).padEnd(40, '9d0b7f')
  const records: DeploymentRecord[] = []
  const changes = new Map<string, { committed: number; parents: string[] }>()
  const names = new Map<string, string>()
  let live: DeploymentRecord | undefined
  for (let index = 0; index < count; index++) {
    const time = now - days * day + ((index + 0.2 + 0.6 * random()) * days * day) / count
    const isUndo = live?.request === undefined && live === records.at(-1) && index > 3 && random() < 0.06
    const commit = isUndo ? (live?.previous ?? '') : idOf(index)
    const fate = isUndo ? 'live' : random() < 0.07 ? 'stopped' : random() < 0.05 ? 'put back' : 'live'
    const steps = [
      { name: 'CHECKING OUT CODE TO GIT WORK TREE (/srv/shop)', seconds: 0.3 },
      { name: 'INSTALLING DEPENDENCIES', seconds: 6 + 5 * random() },
      { name: 'UPGRADING DATABASE STRUCTURE', seconds: 1 + (random() < 0.2 ? 9 : 1) * random() },
      { name: 'SWITCHING TO RELEASE 2', seconds: 0.2 },
      { name: 'RESTARTING APPLICATION', seconds: 2 + random() },
      { name: 'CHECKING HEALTH', seconds: 1 + random() },
    ].map(({ name, seconds }) => ({ name, seconds: Math.round(seconds * 1000) / 1000 }))
    const done = fate === 'stopped' ? steps.slice(0, 3) : isUndo ? steps.slice(3) : steps
    if (fate !== 'live') Object.assign(done.at(-1) ?? {}, { failed: true })
    const explanation =
      fate === 'stopped'
        ? 'UPGRADING DATABASE STRUCTURE failed: `make upgrade-db` exited with 2. What was live before is live as before.'
        : 'CHECKING HEALTH failed: http://127.0.0.1:8000/health answered 500. The previous code is back in place.'
    const record: DeploymentRecord = {
      commit,
      previous: live?.commit,
      live: fate === 'live',
      request: isUndo ? 'rollback' : undefined,
      who: 'deploy from 10.0.0.1',
      by: random() < 0.6 ? 'ada' : 'grace',
      run: `https://github.com/example/shop/actions/runs/${7_000_000 + index}`,
      started: time,
      ended: time + done.reduce((sum, { seconds }) => sum + seconds * 1000, 0),
      steps: done,
      explanation: fate === 'live' ? undefined : explanation,
      restored: fate === 'live' ? undefined : true,
    }
    if (!isUndo) {
      changes.set(commit, { committed: time - (20 + 3_000 * random() ** 3) * minute, parents: [idOf(index - 1)] })
      names.set(commit, subjects[Math.floor(random() * subjects.length)] ?? '')
    }
    if (record.live) live = record
    records.push(record)
  }
  const newestFirst = records.toReversed()
  const figures = computeFigures(newestFirst, changes, now)
  return {
    branch: 'main',
    records: newestFirst,
    live,
    subjects: names,
    figures,
    before: computeFigures(newestFirst, changes, figures.from - 1),
    url: 'https://shop.example.org',
    logOf: ({ live }) => (live ? 'Already up to date.' : 'OperationalError: relation "asset" already exists'),
  }
}
