import { createHash } from 'node:crypto'
import { isRollback } from '../protocol/asks.ts'
import type { DeploymentRecord } from '../protocol/record.ts'
import { flatten } from '../shared/foreign-text.ts'
import { drawSteps, drawTimeLine, kindOfStep } from './charts.ts'
import type { Figures } from './dora.ts'
import { type Html, html, Html as Markup } from './html.ts'
import { script, style } from './report-style.ts'
import { formatDuration, formatMinute } from './times.ts'

/** What a report is made of. */
export interface Report {
  readonly branch: string
  /** Newest first. */
  readonly records: readonly DeploymentRecord[]
  readonly live: DeploymentRecord | undefined
  readonly subjects: ReadonlyMap<string, string>
  readonly figures: Figures
  /** What is kept of the deployments' logs. */
  readonly logOf: (record: DeploymentRecord) => string | undefined
}

/** A page that needs no other file: its own policy lets it load nothing. */
export function renderReport(report: Report): string {
  const { branch, records, live, figures } = report
  const oldestFirst = records.filter(({ ended }) => Number.isFinite(ended)).toReversed()
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src '${hash(style)}'; script-src '${hash(script)}'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Deployments of ${flatten(branch)}</title>
<style>${new Markup(style)}</style>
</head>
<body>
<header><h1>Deployments of ${flatten(branch)}</h1><p>As of ${formatMinute(figures.to)} UTC</p></header>
<main>
${describeLive(report, live)}
<section><h2>Four figures</h2>${describeFigures(figures)}</section>
<section><h2>Time line</h2>${drawTimeLine(oldestFirst, figures.to)}</section>
<section><h2>How long the steps took</h2>${drawSteps(oldestFirst)}</section>
<section><h2>All ${records.length} deployments</h2>
<form id="filter" hidden>
<label>Show <select name="outcome"><option value="">all</option><option value="live">live</option><option value="failed">failed</option></select></label>
<label>with <input name="text" type="search" placeholder="commit, subject, name"></label>
<output name="count"></output>
</form>
<ol id="deployments">${records.map(record => describeDeployment(report, record))}</ol>
</section>
</main>
<script>${new Markup(script)}</script>
</body>
</html>
`
  return page.markup
}

const hash = (text: string) => new Markup(`sha256-${createHash('sha256').update(text).digest('base64')}`)

function describeLive({ subjects }: Report, live: DeploymentRecord | undefined): Html {
  if (live === undefined) return html`<section class="now"><h2>Nothing is live</h2></section>`
  return html`<section class="now"><h2>Live</h2><p><code>${live.commit.slice(0, 10)}</code> ${subjectOf(subjects, live)}</p>
<p class="quiet">since ${formatMinute(live.ended)}, by ${whoOf(live)}${linkTo(live)}</p></section>`
}

function describeFigures({ from, to, deployments, frequency, leadTime, failureRate, timeToRestore }: Figures): Html {
  const days = Math.max(1, Math.round((to - from) / 86_400_000))
  const percent = failureRate === undefined ? undefined : `${Math.round(failureRate * 100)} %`
  const figures = [
    [
      'Deployment frequency',
      `${frequency < 10 ? frequency.toFixed(1) : Math.round(frequency)} a week`,
      'How many deployments went live, rollbacks aside.',
    ],
    ['Lead time', ifKnown(leadTime), 'From the commit to where it was live: the median.'],
    ['Change failure rate', percent, 'Of all deployments, those that failed or were rolled back.'],
    ['Time to restore', ifKnown(timeToRestore), 'From a failure to the next deployment that went live: the median.'],
  ] as const
  return html`<dl class="figures">${figures.map(
    ([name, value, meaning]) =>
      html`<div><dt>${name}</dt><dd><strong>${value ?? '–'}</strong><br>${meaning}</dd></div>`,
  )}</dl>
<p class="quiet">Over ${days === 1 ? 'a day' : `${days} days`} and ${deployments} deployments, as DORA defines them.</p>`
}

function describeDeployment({ subjects, live, logOf }: Report, record: DeploymentRecord): Html {
  const { commit, started, ended, steps, explanation, request } = record
  const outcome = record === live ? '● live' : record.live ? '○ was live' : '✗ failed'
  const log = logOf(record)
  const rows = steps.map(({ name, seconds }) => {
    const time = seconds === undefined ? 'not finished' : formatDuration(seconds * 1000)
    return html`<tr><th scope="row">${kindOfStep(name)}</th><td>${time}</td></tr>`
  })
  return html`<li class="${record.live ? 'live' : 'failed'}"><details><summary>
<span class="outcome">${outcome}</span> <code>${commit.slice(0, 10)}</code> <span class="subject">${subjectOf(subjects, record)}</span>
<span class="quiet">${formatMinute(ended)}, ${formatDuration(ended - started)}, ${whoOf(record)}${isRollback(request) && ', rolled back'}</span>
</summary>
${!record.live && html`<p>${flatten(explanation ?? '')}</p>`}
<table>${rows}</table>
${linkTo(record)}
${log !== undefined && html`<pre tabindex="0">${log}</pre>`}
</details></li>
`
}

const subjectOf = (subjects: ReadonlyMap<string, string>, { commit }: DeploymentRecord) =>
  flatten(subjects.get(commit) ?? '')
const whoOf = ({ by, who }: DeploymentRecord) => flatten(by ?? who)
const ifKnown = (milliseconds: number | undefined) =>
  milliseconds === undefined ? undefined : formatDuration(milliseconds)

const linkTo = ({ run }: DeploymentRecord): Html | undefined =>
  run === undefined ? undefined : html` <a href="${run}" rel="noreferrer">the run in the CI</a>`
