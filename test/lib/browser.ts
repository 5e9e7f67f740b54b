import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CleansUp } from './sshd.ts'

interface Message {
  readonly id?: number
  readonly sessionId?: string
  readonly method?: string
  readonly params?: { readonly request?: { readonly url: string } }
  readonly result?: never
  readonly error?: unknown
}

const complaining = ['Runtime.consoleAPICalled', 'Runtime.exceptionThrown', 'Log.entryAdded']

/** Debian's Chromium without a window, controlled by the DevTools protocol. */
export async function startBrowser(t: CleansUp) {
  const folder = mkdtempSync(join(tmpdir(), 'browser-'))
  // Its sandbox does not work in containers or for root. It shows only our own page.
  const options = ['--headless', '--no-sandbox', '--disable-gpu', `--user-data-dir=${folder}`]
  const local = ['--remote-debugging-address=127.0.0.1', '--remote-debugging-port=0', 'about:blank']
  const browser = spawn('chromium', [...options, ...local], { stdio: ['ignore', 'ignore', 'pipe'] })
  const gone = new Promise(resolve => browser.on('close', resolve))
  t.after(async () => {
    browser.kill('SIGKILL')
    await gone
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  })
  const address = await new Promise<string>((resolve, reject) => {
    let said = ''
    browser.on('error', reject).on('close', () => reject(new Error(`chromium has ended:\n${said}`)))
    browser.stderr.on('data', data => {
      said += data
      const found = /^DevTools listening on (ws:\S+)$/m.exec(said)?.[1]
      if (found) resolve(found)
    })
  })
  const socket = new WebSocket(address)
  await new Promise((resolve, reject) => {
    socket.onopen = resolve
    socket.onerror = reject
  })
  t.after(() => socket.close())

  const answers = new Map<number, PromiseWithResolvers<never>>()
  const listeners: ((message: Message) => void)[] = []
  socket.onmessage = ({ data }) => {
    const message: Message = JSON.parse(String(data))
    const answer = message.id === undefined ? undefined : answers.get(message.id)
    if (message.error) answer?.reject(new Error(JSON.stringify(message.error)))
    else if (message.result) answer?.resolve(message.result)
    for (const listener of listeners) listener(message)
  }
  function send<T>(method: string, params: object = {}, sessionId?: string): Promise<T> {
    const id = answers.size + 1
    const answer = Promise.withResolvers<never>()
    answers.set(id, answer)
    socket.send(JSON.stringify({ id, method, params, sessionId }))
    return answer.promise
  }

  /** Opens a page, and collects its errors and its requests. */
  async function openPage() {
    const { targetId } = await send<{ targetId: string }>('Target.createTarget', { url: 'about:blank' })
    const attached = await send<{ sessionId: string }>('Target.attachToTarget', { targetId, flatten: true })
    const { sessionId } = attached
    const call = <T>(method: string, params?: object) => send<T>(method, params, sessionId)
    const complaints: string[] = []
    const requests: string[] = []
    const loads: (() => void)[] = []
    listeners.push(({ sessionId: of, method = '', params }) => {
      if (of !== sessionId) return
      if (method === 'Page.loadEventFired') loads.shift()?.()
      if (method === 'Network.requestWillBeSent') requests.push(params?.request?.url ?? '')
      if (complaining.includes(method)) complaints.push(JSON.stringify(params))
    })
    for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await call(`${domain}.enable`)
    return {
      call,
      complaints,
      requests,
      async open(url: string) {
        const loaded = new Promise<void>(resolve => loads.push(resolve))
        await call('Page.navigate', { url })
        await loaded
      },
      async evaluate<T>(expression: string): Promise<T> {
        const asked = { expression, returnByValue: true, awaitPromise: true }
        const { result, exceptionDetails } = await call<{ result: { value: T }; exceptionDetails?: unknown }>(
          'Runtime.evaluate',
          asked,
        )
        if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails))
        return result.value
      },
      /** Sets the size in pixels, and the colour scheme. */
      async show(width: number, scheme: 'light' | 'dark', height = 800) {
        await call('Emulation.setDeviceMetricsOverride', {
          width,
          height,
          deviceScaleFactor: 1,
          mobile: width < 600,
        })
        await call('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] })
      },
    }
  }
  return { openPage }
}
