import type { DeploymentRecord } from '../protocol/record.ts'
import { flatten } from '../shared/foreign-text.ts'
import { type Html, html } from './html.ts'
import { formatDuration, formatMinute } from './times.ts'

const [width, height] = [1000, 100]
const mostBars = 60
/** How many the page's style has. Further steps share the last. */
const colours = 8

/**
 * When deployments ended: upwards those that went live, downwards those that failed. It stretches to any width, and text
 * would stretch with it: that is beside it.
 *
 * @param oldestFirst those whose time is known
 */
export function drawTimeLine(oldestFirst: readonly DeploymentRecord[], now: number): Html {
  const first = oldestFirst[0]?.ended ?? now
  const x = (time: number) => ((time - first) / Math.max(1, now - first)) * (width - 4) + 2
  const marks = oldestFirst.map(({ ended, live, commit }) => {
    const what = `${live ? 'live' : 'failed'}, ${commit.slice(0, 10)}, ${formatMinute(ended)}`
    const [from, to] = live ? [10, 48] : [52, 90]
    return html`<line class="${live ? 'live' : 'failed'}" x1="${x(ended)}" x2="${x(ended)}" y1="${from}" y2="${to}"><title>${what}</title></line>`
  })
  const failed = oldestFirst.filter(({ live }) => !live).length
  const label = `${oldestFirst.length - failed} deployments went live and ${failed} failed.`
  return html`<svg viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" role="img" aria-label="${label}">
<line class="axis" x1="0" x2="${width}" y1="50" y2="50"/>${marks}</svg>
<p class="ends"><span>${formatMinute(first)}</span><span>up: live, down: failed</span><span>${formatMinute(now)}</span></p>`
}

/** How long the steps of the last deployments took: a bar for each deployment. */
export function drawSteps(oldestFirst: readonly DeploymentRecord[]): Html {
  const shown = oldestFirst.slice(-mostBars).map(({ commit, steps }) => ({
    commit,
    steps: steps.map(step => ({ name: kindOfStep(step.name), seconds: step.seconds ?? 0 })),
  }))
  const names = [...new Set(shown.flatMap(({ steps }) => steps.map(({ name }) => name)))]
  const colourOf = (name: string) => `step${Math.min(names.indexOf(name), colours - 1)}`
  const most = Math.max(0.001, ...shown.map(({ steps }) => steps.reduce((sum, { seconds }) => sum + seconds, 0)))
  const slot = width / Math.max(shown.length, 20)
  const bars = shown.map(({ commit, steps }, index) => {
    let top = height
    return steps.map(({ name, seconds }) => {
      const size = (seconds / most) * height
      top -= size
      const at = html`x="${width - (shown.length - index) * slot}" y="${top}" width="${slot * 0.8}" height="${size}"`
      return html`<rect class="${colourOf(name)}" ${at}><title>${name}: ${seconds} s, ${commit.slice(0, 10)}</title></rect>`
    })
  })
  const label = `The steps of the last ${shown.length} deployments; the longest took ${formatDuration(most * 1000)}.`
  const legend = names.map(name => html`<li><span class="swatch ${colourOf(name)}"></span>${name}</li>`)
  return html`<svg class="steps" viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" role="img" aria-label="${label}">${bars}</svg>
<p class="ends"><span>older</span><span>the longest: ${formatDuration(most * 1000)}</span><span>newest</span></p>
<ul class="legend">${legend}</ul>`
}

/** A step's name without what differs from deployment to deployment. */
export const kindOfStep = (name: string) =>
  flatten(name)
    .replace(/ \(.*\)$| RELEASE \d+$/, '')
    .toLowerCase()
