import assert from 'node:assert/strict'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { $ as zx } from 'zx/core'
import { waitForOutput } from '../lib/events.ts'
import { assertExit } from '../lib/exit.ts'
import { announcementsSideBySide, endless, endlessNoMore, kills, sideBySide, verifyWhole } from '../lib/kills.ts'
import { type Site, startServer } from '../lib/site.ts'
import type { CleansUp } from '../lib/sshd.ts'

const $ = zx({ quiet: true })
const cuts = Number(process.env.PUSHLIVE_CUTS ?? 3)
/** Milliseconds: the longest time from an announcement to a cut. */
const longestStep = 150
const skip = await cannotMount()

/**
 * A site on a disk of its own, an ext4 image. A cut ends all that runs there and throws away what was written and not
 * yet synced: the image, as it is at that instant, is what the server wakes up with.
 */
async function newSiteOnDisk(t: CleansUp, newSite: (t: CleansUp) => Promise<Site>) {
  const cleanUps: (() => void | Promise<void>)[] = []
  t.after(async () => {
    for (const cleanUp of cleanUps) await cleanUp()
  })
  // Unmounted before the site's own folder is removed.
  const unmount = async () => {
    await $`umount --lazy ${site.clone}`.nothrow()
    await $`umount --lazy ${site.folder}`.nothrow()
  }
  cleanUps.push(() => unmount())
  const site = await newSite({ after: cleanUp => void cleanUps.push(cleanUp) })
  const outside = `${site.folder}.disk`
  cleanUps.push(() => rmSync(outside, { recursive: true, force: true }))
  mkdirSync(outside)
  const image = join(outside, 'image')
  const clone = join(outside, 'clone')
  await $`cp -a ${site.clone} ${clone}`
  await $`truncate --size 128M ${image} && mkfs.ext4 -q -d ${site.folder} ${image}`

  async function mount() {
    // Nothing that is written late is discarded: a disk does not do so either.
    await $`mount -o loop,commit=300 ${image} ${site.folder}`
    await $`mount --bind ${clone} ${site.clone}`
  }
  await mount()
  return {
    site,
    async cut() {
      kills.everything(site)
      await $`cp --sparse=always ${image} ${image}.cut`
      await unmount()
      await $`mv ${image}.cut ${image}`
      await mount()
    },
  }
}

describe(`A power cut, ${cuts} times`, { skip }, async () => {
  const { newSite } = await startServer({ after })

  it('leaves the link at a complete release, and the next push repairs everything', {
    timeout: 60_000 + cuts * 20_000,
  }, async t => {
    const { site, cut } = await newSiteOnDisk(t, newSite)
    site.configure(sideBySide)
    let number = 0
    const nextCommit = () => {
      number++
      const files = Array.from({ length: 200 }, (_, file) => [`file-${file}`, file % 3 ? 'the same' : `${number}\n`])
      return site.commit({ ...Object.fromEntries(files), '.gitignore': 'installed\n', 'page.txt': `${number}\n` })
    }
    await nextCommit()
    assertExit(await site.deploy(), 0)

    for (let instant = 0; instant < cuts; instant++) {
      const announcement = announcementsSideBySide[instant % announcementsSideBySide.length] as string
      const milliseconds = (longestStep * instant) / cuts
      site.configure(endless)
      await nextCommit()
      const deploying = site.startDeploy()
      await waitForOutput(deploying.stderr, `remote: ${announcement}`)
      await sleep(milliseconds)
      await cut()
      await deploying
      const what = `cut ${Math.round(milliseconds)} ms after ${announcement}`
      await verifyWhole(site, what)
      site.configure(endlessNoMore)
      const commit = await nextCommit()
      const { output } = assertExit(await site.deploy(), 0, what)
      assert.equal(await site.live(), commit, output)
      await verifyWhole(site, `${what}\n${output}`)
    }
  })
})

async function cannotMount(): Promise<string | false> {
  if (process.getuid?.() !== 0) return 'only root may mount file systems'
  const found = await $`command -v mkfs.ext4 && losetup --find`.nothrow()
  return found.ok ? false : 'there is no loop device or no mkfs.ext4'
}
