import { isRollback } from '../protocol/asks.ts'
import type { DeploymentRecord } from '../protocol/record.ts'
import { flatten } from '../shared/foreign-text.ts'
import { type Html, html } from './html.ts'
import { formatDuration, formatMinute } from './times.ts'

const mostBars = 60
/** How many the page's style has. Further steps share the last. */
const colours = 8
/** Percent of the width: names of months would run into each other. */
const leastGap = 9

const percent = (part: number) => `${Math.round(part * 10_000) / 100}%`

/**
 * When deployments ended: upwards those that went live, downwards those that failed. All places are parts of the whole, so
 * that it stretches to any width, and its text does not.
 *
 * @param oldestFirst those whose time is known
 */
export function drawTimeLine(oldestFirst: readonly DeploymentRecord[], now: number): Html {
  const first = oldestFirst[0]?.ended ?? now
  const partOf = (time: number) => (time - first) / Math.max(1, now - first)
  const marks = oldestFirst.map(record => {
    const { ended, commit } = record
    const kind = kindOf(record)
    const [from, to] = kind === 'failed' ? ['43%', '78%'] : ['2%', '37%']
    const x = percent(partOf(ended))
    const what = `${words[kind]}, ${commit.slice(0, 10)}, ${formatMinute(ended)} UTC`
    return html`<line class="${kind}" x1="${x}" x2="${x}" y1="${from}" y2="${to}"><title>${what}</title></line>`
  })
  const months = monthsBetween(first, now).map(({ name, time }) => {
    const x = percent(partOf(time))
    return html`<line class="axis" x1="${x}" x2="${x}" y1="0" y2="82%"/><text x="${x}" y="97%">${name}</text>`
  })
  const count = (wanted: Kind) => oldestFirst.filter(record => kindOf(record) === wanted).length
  const label = `${count('live')} deployments went live, ${count('failed')} failed, and ${count('rollback')} were rollbacks.`
  return html`<svg class="times" role="img" aria-label="${label}">${months}<line class="axis" x1="0" x2="100%" y1="40%" y2="40%"/>${marks}</svg>
<ul class="legend">${(Object.keys(words) as Kind[]).map(kind => html`<li><svg class="key" aria-hidden="true"><line class="${kind}" x1="50%" x2="50%" y1="0" y2="100%"/></svg>${words[kind]}: ${count(kind)}</li>`)}</ul>`
}

type Kind = keyof typeof words
const words = { live: 'live', rollback: 'rollback', failed: 'failed' } as const
const kindOf = ({ live, request }: DeploymentRecord): Kind =>
  live ? (isRollback(request) ? 'rollback' : 'live') : 'failed'

/** The beginnings of months, or of days where there are no two months: as many as there is room for. */
function monthsBetween(from: number, to: number) {
  const start = new Date(from)
  const begin = (isDay: boolean) => (count: number) =>
    isDay
      ? Date.UTC(start.getUTCFullYear(), start.getUTCMonth(), start.getUTCDate() + count)
      : Date.UTC(start.getUTCFullYear(), start.getUTCMonth() + count)
  const listOf = (isDay: boolean) => {
    const times: number[] = []
    for (let count = 1, time = begin(isDay)(1); time < to; time = begin(isDay)(++count)) times.push(time)
    return times
  }
  const months = listOf(false)
  const isDay = months.length < 2
  const times = isDay ? listOf(true) : months
  const every = Math.max(1, Math.ceil((times.length * leastGap) / 100))
  return times
    .filter((_, index) => index % every === 0)
    .map(time => ({ time, name: isDay ? nameOfDay.format(time) : nameOfMonth(time) }))
}

const nameOfDay = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'short', timeZone: 'UTC' })
const month = new Intl.DateTimeFormat('en', { month: 'short', timeZone: 'UTC' })
const nameOfMonth = (time: number) =>
  new Date(time).getUTCMonth() === 0 ? `${new Date(time).getUTCFullYear()}` : month.format(time)

/** How long the steps of the last deployments took: a bar for each deployment. */
export function drawSteps(oldestFirst: readonly DeploymentRecord[]): Html {
  const shown = oldestFirst.slice(-mostBars).map(({ commit, steps }) => ({
    commit,
    steps: steps.map(step => ({ ...step, name: kindOfStep(step.name), seconds: step.seconds ?? 0 })),
  }))
  const names = [...new Set(shown.flatMap(({ steps }) => steps.map(({ name }) => name)))]
  const colourOf = (name: string) => `step${Math.min(names.indexOf(name), colours - 1)}`
  const most = Math.max(0.001, ...shown.map(({ steps }) => steps.reduce((sum, { seconds }) => sum + seconds, 0)))
  const top = roundUp(most)
  const slots = Math.max(shown.length, 20)
  const bars = shown.map(({ commit, steps }, index) => {
    let sum = 0
    return steps.map(({ name, seconds, failed }) => {
      sum += seconds
      const place = html`x="${percent((slots - shown.length + index) / slots)}" y="${percent(1 - sum / top)}"`
      const size = html`width="${percent(0.8 / slots)}" height="${percent(seconds / top)}"`
      const what = `${name}${failed ? ', failed' : ''}: ${seconds} s, ${commit.slice(0, 10)}`
      return html`<rect class="${colourOf(name)}" ${place} ${size}><title>${what}</title></rect>`
    })
  })
  const lines = ['0', '50%', '100%'].map(y => html`<line class="axis" x1="0" x2="100%" y1="${y}" y2="${y}"/>`)
  const label = `The steps of the last ${shown.length} deployments; the longest took ${formatDuration(most * 1000)}.`
  const legend = names.map(name => html`<li><span class="swatch ${colourOf(name)}"></span>${name}</li>`)
  return html`<div class="plot"><p class="scale">${[top, top / 2, 0].map(seconds => html`<span>${formatTick(seconds)}</span>`)}</p>
<svg class="steps" role="img" aria-label="${label}">${lines}${bars}</svg></div>
<p class="ends"><span>older</span><span>newest</span></p>
<ul class="legend">${legend}</ul>`
}

/** The next number of seconds whose half is a short number, too. */
function roundUp(seconds: number): number {
  const unit = seconds > 60 ? 60 : 1
  const size = 10 ** Math.floor(Math.log10(seconds / unit))
  const leading = seconds / unit / size
  return ([1, 2, 3, 4, 6, 8].find(number => leading <= number + 1e-9) ?? 10) * size * unit
}

const formatTick = (seconds: number) =>
  seconds >= 60 ? `${+(seconds / 60).toFixed(1)} min` : `${+seconds.toPrecision(2)} s`

/** A step's name without what differs from deployment to deployment. */
export const kindOfStep = (name: string) =>
  flatten(name)
    .replace(/ \(.*\)$|(?: TO)? RELEASE \d+$/, '')
    .toLowerCase()
