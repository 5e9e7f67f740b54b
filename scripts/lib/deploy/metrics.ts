import type { DeploymentRecord } from '../protocol/record.ts'
import { flatten } from '../shared/foreign-text.ts'
import { kindOfStep } from './charts.ts'
import { summarize } from './history.ts'

type Labels = Readonly<Record<string, string>>
type Sample = readonly [labels: Labels, value: number]

/**
 * Figures of the deployments in Prometheus' text format, version 0.0.4.
 *
 * @param common labels that tell this application's figures from those of others
 * @param newestFirst the branch's records
 * @param subjects of the commits that this clone has
 */
export function formatMetrics(
  common: Labels,
  newestFirst: readonly DeploymentRecord[],
  subjects: ReadonlyMap<string, string>,
): string {
  const [last] = newestFirst
  const { live } = summarize(newestFirst)
  const about = ({ commit, subject = subjects.get(commit) ?? '' }: DeploymentRecord): Sample => [{ commit, subject }, 1]
  const count = (isLive: boolean) => newestFirst.filter(({ live }) => live === isLive).length
  const metrics: readonly (readonly [name: string, help: string, samples: readonly Sample[]])[] = [
    ['live_info', 'The commit that is live.', live ? [about(live)] : []],
    ['live_timestamp_seconds', 'When that went live.', live ? [[{}, live.ended / 1000]] : []],
    ['last_deployment_info', 'The commit that was deployed last, live or not.', last ? [about(last)] : []],
    ['last_deployment_success', 'Whether it went live.', last ? [[{}, Number(last.live)]] : []],
    ['last_deployment_timestamp_seconds', 'When it ended.', last ? [[{}, last.ended / 1000]] : []],
    ['last_deployment_duration_seconds', 'How long it took.', last ? [[{}, (last.ended - last.started) / 1000]] : []],
    ['last_deployment_step_duration_seconds', 'How long each of its steps took.', last ? samplesOfSteps(last) : []],
    [
      'deployments_total',
      'How many deployments there were.',
      [
        [{ outcome: 'live' }, count(true)],
        [{ outcome: 'failed' }, count(false)],
      ],
    ],
  ]
  return metrics
    .map(([name, help, samples]) => {
      // A damaged record has no times.
      const lines = samples
        .filter(([, value]) => Number.isFinite(value))
        .map(([labels, value]) => `pushlive_${name}{${formatLabels({ ...common, ...labels })}} ${value}\n`)
      const type = name.endsWith('_total') ? 'counter' : 'gauge'
      return `# HELP pushlive_${name} ${help}\n# TYPE pushlive_${name} ${type}\n${lines.join('')}`
    })
    .join('')
}

/** Prometheus takes no two samples of one name: where the previous code is put back, steps come twice. */
function samplesOfSteps({ steps }: DeploymentRecord): Sample[] {
  const sums = new Map<string, number>()
  for (const { name, seconds } of steps) {
    if (seconds === undefined) continue
    const step = kindOfStep(name)
    sums.set(step, (sums.get(step) ?? 0) + seconds)
  }
  return [...sums].map(([step, seconds]) => [{ step }, Math.round(seconds * 1000) / 1000])
}

/** What people from outside have written has no line break after `flatten`. */
const formatLabels = (labels: Labels) =>
  Object.entries(labels)
    .map(([name, value]) => `${name}="${flatten(value).replace(/[\\"]/g, '\\$&')}"`)
    .join(',')
