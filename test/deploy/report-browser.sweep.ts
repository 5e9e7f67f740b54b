import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { computeFigures } from '../../scripts/lib/deploy/dora.ts'
import { renderReport } from '../../scripts/lib/deploy/report-page.ts'
import type { DeploymentRecord } from '../../scripts/lib/protocol/record.ts'
import { startBrowser } from '../lib/browser.ts'
import { assertExit } from '../lib/exit.ts'
import { startServer } from '../lib/site.ts'

describe('The report in a browser', async () => {
  const { newSite } = await startServer({ after })
  const { openPage } = await startBrowser({ after })
  const folder = mkdtempSync(join(tmpdir(), 'report-'))
  after(() => rmSync(folder, { recursive: true, force: true }))

  it('shows real deployments, loads nothing else, and logs no error', async t => {
    const site = await newSite(t)
    site.configure({ INSTALL_DEPS: 'echo "<b>installing</b>"; ! grep -q bad page.txt' })
    await site.commit()
    await site.deploy()
    await site.commit({ 'page.txt': 'bad' })
    await site.deploy()
    await site.commit({ 'page.txt': 'good' })
    await site.deploy()
    await site.deploy(['rollback'])
    assertExit(await site.deploy(['report']), 0)
    const page = await openPage()
    const url = `file://${site.clone}/report.html`
    await page.open(url)
    const outcomes = await page.evaluate<string>(
      `[...document.querySelectorAll('.outcome')].map(each => each.textContent).join()`,
    )
    assert.equal(outcomes, '● live,○ was live,✗ failed,○ was live')
    const log = await page.evaluate<string>(`document.querySelector('li.failed pre').textContent`)
    assert.match(log, /^<b>installing<\/b>$/m)
    assert.deepEqual(page.complaints, [])
    assert.deepEqual(page.requests, [url])
  })

  /** Deployments of half a year, each with a log. */
  function writeMany(count: number): string {
    const now = Date.now()
    const records = Array.from({ length: count }, (_, index): DeploymentRecord => {
      const ended = now - index * 8 * 3_600_000
      return {
        commit: `${index}`.padStart(40, 'a'),
        live: index % 7 !== 3,
        who: `${'a-long-name'.repeat(9)} from 10.0.0.${index % 255}`,
        started: ended - 90_000 - (index % 13) * 5_000,
        ended,
        steps: ['CHECKING OUT CODE', 'INSTALLING DEPENDENCIES', 'UPGRADING DATABASE STRUCTURE'].map((name, at) => ({
          name,
          seconds: at * 20 + (index % 13),
        })),
        explanation: 'x'.repeat(500),
      }
    })
    const figures = computeFigures(records, new Map(), now)
    const subjects = new Map(records.map(({ commit }, index) => [commit, `Subject ${index} ${'w'.repeat(80)}`]))
    const logOf = () => 'a line of the log\n'.repeat(50)
    const file = join(folder, 'many.html')
    writeFileSync(file, renderReport({ branch: 'main', records, live: records[0], subjects, figures, logOf }))
    return `file://${file}`
  }

  it('fits a phone, and filters 500 deployments', async () => {
    const page = await openPage()
    await page.show(360, 'light')
    await page.open(writeMany(500))
    const widths = await page.evaluate<number[]>(`
      document.querySelectorAll('details').forEach(each => each.open = true),
      [document.documentElement.scrollWidth, innerWidth]`)
    assert.deepEqual(widths, [360, 360])
    const count = (changes: string) =>
      page.evaluate<string>(`(() => {
        const { elements } = document.getElementById('filter')
        Object.assign(elements.outcome, { value: '' }), Object.assign(elements.text, { value: '' })
        ${changes}
        elements.text.dispatchEvent(new Event('input', { bubbles: true }))
        const seen = [...document.querySelectorAll('#deployments > li')].filter(each => each.checkVisibility()).length
        return seen + ', ' + elements.count.value
      })()`)
    assert.equal(await count(''), '500, 500 of 500')
    assert.equal(await count(`elements.outcome.value = 'failed'`), '71, 71 of 500')
    assert.equal(await count(`elements.text.value = 'subject 499'`), '1, 1 of 500')
    assert.equal(await count(`elements.text.value = 'no such'`), '0, 0 of 500')
    assert.deepEqual(page.complaints, [])
  })

  it('is dark where the user prefers dark', async () => {
    const page = await openPage()
    await page.open(writeMany(5))
    const ground = () => page.evaluate<string>('getComputedStyle(document.body).backgroundColor')
    await page.show(1200, 'light')
    const light = await ground()
    await page.show(1200, 'dark')
    assert.notEqual(await ground(), light)
  })

  it('shows the essentials without JavaScript', async () => {
    const page = await openPage()
    await page.call('Emulation.setScriptExecutionDisabled', { value: true })
    await page.open(writeMany(5))
    const { root } = await page.call<{ root: { nodeId: number } }>('DOM.getDocument', { depth: 0 })
    const count = async (selector: string) =>
      (await page.call<{ nodeIds: number[] }>('DOM.querySelectorAll', { nodeId: root.nodeId, selector })).nodeIds.length
    assert.equal(await count('#deployments > li'), 5)
    assert.equal(await count('.figures strong'), 4)
    assert.equal(await count('svg line.live'), 4)
    assert.equal(await count('#filter[hidden]'), 1)
  })
})
