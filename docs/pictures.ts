// Makes docs/report.png, the report of a history that is deployed for it, and the chart of docs/ci.md, of a GitHub run's summary.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startBrowser } from '../test/lib/browser.ts'
import { startServer } from '../test/lib/site.ts'

const subjects = [
  'Add a page for forecasts',
  'Show sensors on a map',
  'Fix the login of guests',
  'Update dependencies',
  'Keep reports for a year',
  'Add an index for beliefs',
]
const cleanups: (() => unknown)[] = []
const t = { after: (fn: () => unknown) => void cleanups.push(fn) }
try {
  const { newSite } = await startServer(t)
  const site = await newSite(t)
  site.configure({ INSTALL_DEPS: 'sleep "$(cat install)"; ! test -e broken', UPGRADE_DB: 'sleep "$(cat upgrade)"' })
  for (let count = 1; count <= 18; count++) {
    const seconds = { install: `0.${(count * 7) % 9}`, upgrade: count % 4 === 0 ? '0.6' : '0.1' }
    await site.commit({
      ...seconds,
      ...(count % 7 === 4 ? { broken: '' } : count % 7 === 5 ? { broken: undefined } : {}),
      version: `${count}`,
    })
    await site.git`git commit --quiet --amend --message ${subjects[count % subjects.length] ?? ''}`
    await site.deploy([], { GITHUB_ACTIONS: 'true', GITHUB_ACTOR: count % 3 ? 'ada' : 'grace' })
    if (count === 12) await site.deploy(['rollback'])
  }
  await site.deploy(['report'])

  site.configure({
    RELEASES: '3',
    INSTALL_DEPS: 'sleep 6',
    UPGRADE_DB: 'sleep 3',
    SMOKE_TEST: 'sleep 1',
    RESTART: 'true',
  })
  const summary = join(site.folder, 'summary')
  await site.commit({ version: '19' })
  await site.deploy([], { GITHUB_ACTIONS: 'true', GITHUB_STEP_SUMMARY: summary })
  const chart = /```mermaid\n[\s\S]*?```/
  const [drawn = ''] = chart.exec(readFileSync(summary, 'utf8')) ?? []
  const readme = join(import.meta.dirname, 'ci.md')
  writeFileSync(
    readme,
    readFileSync(readme, 'utf8').replace(chart, () => drawn),
  )

  const { openPage } = await startBrowser(t)
  const page = await openPage()
  // What lies outside is not painted.
  await page.show(1000, 'light', 1150)
  await page.open(`file://${join(site.clone, 'report.html')}`)
  const clip = { x: 0, y: 0, width: 1000, height: 1150, scale: 1 }
  const { data } = await page.call<{ data: string }>('Page.captureScreenshot', { clip })
  writeFileSync(join(import.meta.dirname, 'report.png'), Buffer.from(data, 'base64'))
} finally {
  for (const cleanup of cleanups.reverse()) await cleanup()
}
process.exit(0)
