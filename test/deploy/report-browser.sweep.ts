import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { type Report, renderReport } from '../../scripts/lib/deploy/report-page.ts'
import { startBrowser } from '../lib/browser.ts'
import { assertExit } from '../lib/exit.ts'
import { makePlausibleReport } from '../lib/plausible-history.ts'
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
    assert.equal(outcomes, '↩ in place,⊘ undone,✗ failed,○ was live')
    const log = await page.evaluate<string>(`document.querySelector('li.failed pre').textContent`)
    assert.match(log, /^<b>installing<\/b>$/m)
    assert.deepEqual(page.complaints, [])
    assert.deepEqual(page.requests, [url])
  })

  /** Deployments of half a year, with names and words of any length. */
  function writeMany(count: number): string {
    const report = makePlausibleReport({ count, days: 180, now: Date.now() })
    const who = `${'a-long-name'.repeat(9)} from 10.0.0.1`
    const records = report.records.map(record => ({ ...record, by: who, explanation: 'x'.repeat(500) }))
    const subjects = new Map(records.map(({ commit }, index) => [commit, `Subject ${index} ${'w'.repeat(80)}`]))
    const logOf = () => 'a line of the log\n'.repeat(50)
    return write({ ...report, records, live: records.find(({ live }) => live), subjects, logOf })
  }

  function write(report: Report): string {
    const file = join(mkdtempSync(join(folder, 'page-')), 'report.html')
    writeFileSync(file, renderReport(report))
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
    const failed = await page.evaluate<number>(`document.querySelectorAll('li.failed').length`)
    assert.ok(failed > 20, `${failed}`)
    const commit = `document.querySelector('li.failed code').textContent`
    assert.equal(await count(`elements.outcome.value = 'failed'`), `${failed}, ${failed} of 500`)
    assert.equal(await count(`elements.text.value = 'subject ' + ${commit}`), '1, 1 of 500')
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
    assert.equal(await count('svg.times title'), 5)
    assert.equal(await count('#filter[hidden]'), 1)
  })

  it('shows the figures two by two on a phone', async () => {
    const page = await openPage()
    await page.show(390, 'light')
    await page.open(write(makePlausibleReport({ count: 300, days: 180, now: Date.now() })))
    const rows = await page.evaluate<number[]>(
      `[...document.querySelectorAll('.figures > div')].map(each => each.getBoundingClientRect().top)`,
    )
    assert.equal(new Set(rows).size, 2, `${rows}`)
    assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 390)
  })

  it("shows the reader's own time", async () => {
    const page = await openPage()
    await page.call('Emulation.setTimezoneOverride', { timezoneId: 'Asia/Tokyo' })
    const now = Date.UTC(2026, 10, 28, 20)
    await page.open(write(makePlausibleReport({ count: 5, days: 90, now })))
    const shown = await page.evaluate(
      `[document.querySelector('time').textContent, document.querySelector('time').title]`,
    )
    assert.deepEqual(shown, ['2026-11-29 05:00', '2026-11-28 20:00 UTC'])
  })

  it('is printed on four pages at most, for 300 deployments', async () => {
    const page = await openPage()
    await page.open(write(makePlausibleReport({ count: 300, days: 180, now: Date.now() })))
    const { data } = await page.call<{ data: string }>('Page.printToPDF', { paperWidth: 8.27, paperHeight: 11.69 })
    const pdf = Buffer.from(data, 'base64').toString('latin1')
    const pages = pdf.match(/\/Type\s*\/Page\b/g)?.length ?? 0
    assert.ok(pages >= 2 && pages <= 4, `${pages} pages`)
  })

  for (const scheme of ['light', 'dark'] as const) {
    it(`has no fault that axe finds: ${scheme}`, async () => {
      const page = await openPage()
      await page.show(1000, scheme)
      await page.open(write(makePlausibleReport({ count: 30, days: 180, now: Date.now() })))
      await page.evaluate(`document.querySelectorAll('details').forEach(each => each.open = true)`)
      await page.evaluate(`${readFileSync('node_modules/axe-core/axe.min.js', 'utf8')}; undefined`)
      const found = await page.evaluate(
        `axe.run().then(({ violations }) => violations.map(({ id, help, nodes }) => ({ id, help, where: nodes[0].html })))`,
      )
      assert.deepEqual(found, [])
      assert.deepEqual(page.complaints, [])
    })
  }
})
