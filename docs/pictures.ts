// Makes docs/report.png, the report of a history that is made up, and the chart of docs/ci.md, of a GitHub run's summary.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { renderReport } from '../scripts/lib/deploy/report-page.ts'
import { startBrowser } from '../test/lib/browser.ts'
import { makePlausibleReport } from '../test/lib/plausible-history.ts'
import { startServer } from '../test/lib/site.ts'

const cleanups: (() => unknown)[] = []
const t = { after: (fn: () => unknown) => void cleanups.push(fn) }
try {
  const { newSite } = await startServer(t)
  const site = await newSite(t)
  site.configure({
    RELEASES: '3',
    INSTALL_DEPS: 'sleep 6',
    UPGRADE_DB: 'sleep 3',
    SMOKE_TEST: 'sleep 1',
    RESTART: 'true',
  })
  const summary = join(site.folder, 'summary')
  await site.commit({ version: '1' })
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
  const file = join(site.folder, 'report.html')
  writeFileSync(file, renderReport(makePlausibleReport({ count: 160, days: 150, now: Date.now() })))
  await page.open(`file://${file}`)
  const clip = { x: 0, y: 0, width: 1000, height: 1150, scale: 1 }
  const { data } = await page.call<{ data: string }>('Page.captureScreenshot', { clip })
  writeFileSync(join(import.meta.dirname, 'report.png'), Buffer.from(data, 'base64'))
} finally {
  for (const cleanup of cleanups.reverse()) await cleanup()
}
process.exit(0)
