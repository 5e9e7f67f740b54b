import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, closeSync, constants, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { Relay } from '../../scripts/lib/hook/relay.ts'
import { waitFor } from '../lib/events.ts'

describe('The relay to the pusher', { timeout: 20_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'relay-'))
  after(() => rmSync(folder, { recursive: true }))

  /** A relay into a pipe, and the pipe's other end, from which nobody has read yet. */
  function open(name: string) {
    const pipe = join(folder, name)
    execFileSync('mkfifo', [pipe])
    const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK)
    return { relay: new Relay(openSync(pipe, 'w')), reader }
  }

  /** What the pusher gets, as it comes. */
  function read(fd: number) {
    const socket = new Socket({ fd, readable: true, writable: false })
    const shown = { text: '', end: once(socket, 'end') }
    socket.setEncoding('utf8').on('data', text => {
      shown.text += text
    })
    return shown
  }

  it('shows its own lines without control characters', async () => {
    const { relay, reader } = open('own')
    const shown = read(reader)
    relay.say('a \u001b[2Kname\r\u0007\u009b of a file\nand é')
    await relay.end()
    await shown.end
    assert.equal(shown.text, 'a [2Kname of a file\nand é\n')
  })

  it('shows a log that grows in whole lines: the end of one may be inside of a character', async () => {
    const { relay, reader } = open('lines')
    const shown = read(reader)
    const log = join(folder, 'log')
    writeFileSync(log, 'not shown\n')
    const quotation = relay.quote(log, 'not shown\n'.length)
    const text = Buffer.from('one\ntwö\n')
    appendFileSync(log, text.subarray(0, -2))
    await waitFor('the first line is shown', () => shown.text.includes('one'))
    appendFileSync(log, text.subarray(-2))
    await waitFor('the second line is shown', () => shown.text.includes('\n', shown.text.indexOf('tw')))
    appendFileSync(log, 'the rest')
    relay.endQuote(quotation, 'not shown\n'.length + text.length + 'the rest'.length)
    await relay.end()
    await shown.end
    assert.equal(shown.text, '    one\n    twö\n    the rest\n')
  })

  it('ends at once where the pusher has gone away', async () => {
    const { relay, reader } = open('gone')
    closeSync(reader)
    relay.quote('/dev/zero', 0)
    relay.say('a line')
    const began = process.uptime()
    await relay.end()
    assert.ok(process.uptime() - began < 10)
  })

  it('ends where the pusher takes nothing for some time', async () => {
    const { relay, reader } = open('full')
    for (let line = 0; line < 1000; line++) relay.say('x'.repeat(1000))
    await relay.end(300)
    closeSync(reader)
  })
})
