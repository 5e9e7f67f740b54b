import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { swap } from '../../scripts/lib/hook/swap.ts'
import type { CleansUp } from '../lib/sshd.ts'

describe('A link and a folder', () => {
  function make(t: CleansUp) {
    const place = mkdtempSync(join(tmpdir(), 'swap-'))
    t.after(() => rmSync(place, { recursive: true }))
    const [link, folder] = [join(place, 'www'), join(place, 'folder')]
    for (const name of ['folder', 'release']) {
      mkdirSync(join(place, name))
      writeFileSync(join(place, name, 'page'), name)
    }
    symlinkSync('release', link)
    const page = (path: string) => readFileSync(join(path, 'page'), 'utf8')
    return { link, folder, aside: `${folder}.swap`, page }
  }

  it('are swapped in one step: neither is moved to the side, where nothing could be moved to', t => {
    const { link, folder, aside, page } = make(t)
    mkdirSync(join(aside, 'in the way'), { recursive: true })
    swap(link, folder)
    assert.deepEqual([page(link), page(folder)], ['folder', 'release'])
  })

  it('are swapped in two steps where there is no python3', t => {
    const { link, folder, aside, page } = make(t)
    // What a kill between the two has left.
    symlinkSync('release', aside)
    const { PATH } = process.env
    t.after(() => {
      process.env.PATH = PATH
    })
    process.env.PATH = '/nowhere'
    swap(link, folder)
    assert.deepEqual([page(link), page(folder), existsSync(aside)], ['folder', 'release', false])
  })
})
