import { createHash } from 'node:crypto'
import { type DeploymentRecord, findUndone } from '../protocol/record.ts'
import { flatten } from '../shared/foreign-text.ts'
import { drawSteps, drawTimeLine, kindOfStep } from './charts.ts'
import { day, type Figures } from './dora.ts'
import { findForge } from './forge.ts'
import { nameOutcome } from './history.ts'
import { type Html, html, Html as Markup } from './html.ts'
import { script, style } from './report-style.ts'
import { shortenIds } from './screen.ts'
import { formatDuration, formatInstant, formatMinute } from './times.ts'

/** What a report is made of. */
export interface Report {
  readonly branch: string
  /** Newest first. */
  readonly records: readonly DeploymentRecord[]
  readonly live: DeploymentRecord | undefined
  readonly subjects: ReadonlyMap<string, string>
  readonly figures: Figures
  /** Of the 90 days before those; undefined where there were no deployments yet. */
  readonly before: Figures | undefined
  /** Where the application is. */
  readonly url: string | undefined
  /** What is kept of the deployments' logs. */
  readonly logOf: (record: DeploymentRecord) => string | undefined
}

/** A page that needs no other file: its own policy lets it load nothing. */
export function renderReport(report: Report): string {
  const { branch, records, live, figures, before } = report
  const undone = findUndone(records)
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
<header><h1>Deployments of ${flatten(branch)}</h1><p>As of ${timeOf(figures.to)}</p></header>
<main>
${describeLive(report, live)}
<section><h2>Four figures of the last 90 days</h2>${describeFigures(figures, before)}</section>
<section><h2>Time line</h2>${drawTimeLine(oldestFirst, figures.to)}</section>
<section><h2>How long the steps took</h2>${drawSteps(oldestFirst)}</section>
<section class="all"><h2>All ${records.length} deployments</h2>
<form id="filter" hidden>
<label>Show <select name="outcome"><option value="">all</option><option value="live">live</option><option value="failed">failed</option></select></label>
<label>with <input name="text" type="search" placeholder="commit, subject, name"></label>
<output name="count"></output>
</form>
<ol id="deployments">${records.map(record => describeDeployment({ ...report, undone }, record))}</ol>
</section>
</main>
<script>${new Markup(script)}</script>
</body>
</html>
`
  return page.markup
}

const hash = (text: string) => new Markup(`sha256-${createHash('sha256').update(text).digest('base64')}`)

function describeLive({ subjects, url }: Report, live: DeploymentRecord | undefined): Html {
  if (live === undefined) return html`<section class="now"><h2>Nothing is live</h2></section>`
  return html`<section class="now"><h2>Live</h2><p><code>${live.commit.slice(0, 10)}</code> ${subjectOf(subjects, live)}</p>
<p class="quiet">since ${timeOf(live.ended)}, by ${whoOf(live)}${linksOf(live)}${url !== undefined && html` · <a href="${url}" rel="noreferrer">the application</a>`}</p></section>`
}

interface Figure {
  readonly name: string
  readonly meaning: string
  readonly valueIn: (figures: Figures) => string | undefined
}

/** Of DORA's names those of 2024. */
const fourFigures: readonly Figure[] = [
  {
    name: 'Deployment frequency',
    meaning: 'How often a deployment went live, rollbacks aside.',
    valueIn: ({ frequency }) =>
      frequency === undefined ? undefined : `${frequency < 10 ? frequency.toFixed(1) : Math.round(frequency)} a week`,
  },
  {
    name: 'Change lead time',
    meaning: 'From when a commit was made to when it was live: the median of all commits but merges.',
    valueIn: ({ leadTime }) => ifKnown(leadTime),
  },
  {
    name: 'Change fail rate',
    meaning: 'Of the deployments that served somebody, those that were rolled back or failed then.',
    valueIn: ({ failureRate }) => ifPercent(failureRate),
  },
  {
    name: 'Failed deployment recovery time',
    meaning: 'From such a failure to where a good commit was live again: the median.',
    valueIn: ({ recoveryTime }) => ifKnown(recoveryTime),
  },
]
/** Of how many each is: in the order of the figures. */
const countsOf = ({ live, commits, reached, recoveries, from, to }: Figures) => [
  `${count(live, 'deployment')} in ${count(Math.max(1, Math.round((to - from) / day)), 'day')}`,
  count(commits, 'commit'),
  count(reached, 'deployment'),
  count(recoveries, 'recovery', 'recoveries'),
]

function describeFigures(figures: Figures, before: Figures | undefined): Html {
  const { deployments, stoppedBefore } = figures
  const counts = countsOf(figures)
  const stopped = `${stoppedBefore} of ${count(deployments, 'deployment')} failed before they served anybody, which DORA does not count.`
  return html`<dl class="figures">${fourFigures.map(
    ({ name, meaning, valueIn }, index) =>
      html`<div><dt>${name}</dt><dd><strong>${valueIn(figures) ?? '–'}</strong><br>${counts[index]}${
        before && html`<br>the 90 days before: ${valueIn(before) ?? '–'}`
      }<br>${meaning}</dd></div>`,
  )}</dl>
<p class="quiet">${stopped} <a href="https://dora.dev/guides/dora-metrics-four-keys/" rel="noreferrer">DORA’s definitions</a></p>`
}

function describeDeployment(
  { subjects, live, logOf, undone }: Report & { undone: ReadonlySet<DeploymentRecord> },
  record: DeploymentRecord,
): Html {
  const { ended, started, commit, steps, explanation } = record
  const log = logOf(record)
  const reason = !record.live && shorten(explanation ?? '')
  const rows = steps.map(({ name, seconds, failed }) => {
    const time = seconds === undefined ? 'not finished' : formatDuration(seconds * 1000)
    return html`<tr><th scope="row">${kindOfStep(name)}</th><td>${time}${failed && ', failed'}</td></tr>`
  })
  return html`<li class="${record.live ? 'live' : 'failed'}"><details><summary>
<span class="outcome">${nameOutcome(record, record === live, undone.has(record))}</span> <code>${commit.slice(0, 10)}</code> <span class="subject">${subjectOf(subjects, record)}</span>
${reason && html`<span class="reason">${reason}</span>`}
<span class="quiet">${timeOf(ended)}, ${formatDuration(ended - started)}, ${whoOf(record)}</span>
</summary>
<p>${commit}${linksOf(record)}</p>
${!record.live && html`<p>${flatten(explanation ?? '')}</p>`}
<table>${rows}</table>
${log !== undefined && html`<pre tabindex="0">${log}</pre>`}
</details></li>
`
}

/** The first sentence, with short ids: the whole is one click away. */
const shorten = (explanation: string) =>
  shortenIds(flatten(explanation)).replace(
    /^(.{20,160}?\.)\s.*$|^(.{160}).+$/,
    (_, sentence, part) => sentence ?? `${part} …`,
  )

const count = (number: number, one: string, many = `${one}s`) => `${number} ${number === 1 ? one : many}`
const subjectOf = (subjects: ReadonlyMap<string, string>, { commit, subject }: DeploymentRecord) =>
  flatten(subjects.get(commit) ?? subject ?? '')
const whoOf = ({ by, who }: DeploymentRecord) => flatten(by ?? who)
const ifKnown = (milliseconds: number | undefined) =>
  milliseconds === undefined ? undefined : formatDuration(milliseconds)
const ifPercent = (share: number | undefined) => (share === undefined ? undefined : `${Math.round(share * 100)} %`)

/** In UTC, which the page's script makes the reader's own. */
function timeOf(time: number): Html | string {
  const instant = formatInstant(time)
  if (instant === undefined) return 'at an unknown time'
  return html`<time datetime="${instant}">${formatMinute(time)} UTC</time>`
}

function linksOf({ run, commit, previous }: DeploymentRecord): Html {
  const forge = findForge(run)
  const links = [
    [forge?.commit(commit), 'the commit'],
    [previous && previous !== commit ? forge?.compare(previous, commit) : undefined, 'what it changes'],
    [run, 'the run in the CI'],
  ] as const
  return html`${links.map(([url, name]) => url !== undefined && html` · <a href="${url}" rel="noreferrer">${name}</a>`)}`
}
