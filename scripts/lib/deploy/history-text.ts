import { isRollback } from '../protocol/asks.ts'
import type { DeploymentRecord } from '../protocol/record.ts'
import { describeRevision } from '../protocol/revision.ts'
import type { Running } from '../protocol/running.ts'
import { flatten } from '../shared/foreign-text.ts'
import { findBefore, summarize } from './history.ts'
import { formatInstant } from './times.ts'

export function formatStatus(history: readonly DeploymentRecord[], running?: Running): string {
  const { live, failed } = summarize(history)
  const before = formatBefore(history)
  const lines = live ? [`live    ${formatDeployment(live)}`] : before
  if (lines.length === 0) lines.push('Nothing was ever live.')
  if (running) lines.push(formatRunning(running))
  if (failed) lines.push(`failed  ${formatDeployment(failed)}`)
  return [...lines, ...formatKept(history)].join('\n')
}

function formatBefore(history: readonly DeploymentRecord[]): string[] {
  const previous = findBefore(history)
  return previous === undefined ? [] : [`live    ${previous}  as before the first deployment`]
}

function formatRunning({ commit, seconds, by, who, step, stepSeconds }: Running): string {
  const begun = `running ${commit}  for ${seconds} s  by ${flatten(by ?? who)}`
  return step === undefined ? begun : `${begun}\n          ${flatten(step)} for ${stepSeconds} s`
}

/** The releases that a rollback can switch to, a line each. */
function formatKept([newest]: readonly DeploymentRecord[]): string[] {
  return (newest?.kept ?? []).map(({ release, commit, database }) => {
    const revision = database === undefined ? '' : `, database at ${describeRevision(database)}`
    return `kept    ${commit}  release ${release}${revision}`
  })
}

export const formatHistory = (history: readonly DeploymentRecord[]) =>
  history.map(record => `${record.live ? 'live  ' : 'failed'}  ${formatDeployment(record)}`).join('\n') ||
  'Nothing was ever deployed.'

/** Each text is flattened: anyone who may push can write a record, and a good one quotes file names and commands. */
function formatDeployment({
  commit,
  who,
  by,
  run,
  started,
  ended,
  steps,
  request,
  explanation,
  notChecked,
  live,
}: DeploymentRecord): string {
  const how = isRollback(request) ? ', rolled back' : ''
  return [
    `${commit}  ${formatInstant(ended) ?? 'at an unknown time'}  by ${by ? `${flatten(by)}, as ` : ''}${flatten(who)}${how}, took ${formatSeconds((ended - started) / 1000)}`,
    ...(run ? [run] : []),
    ...steps.map(
      step => `${flatten(step.name)} ${step.seconds === undefined ? 'not finished' : formatSeconds(step.seconds)}`,
    ),
    ...(live || !explanation ? [] : [flatten(explanation)]),
    ...(notChecked ? [`not checked: ${flatten(notChecked)}`] : []),
  ].join('\n          ')
}

const formatSeconds = (seconds: number) => (Number.isFinite(seconds) ? `${seconds} s` : 'an unknown time')
