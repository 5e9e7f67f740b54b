import assert from 'node:assert/strict'
import { existsSync, lstatSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { waitFor } from '../lib/events.ts'
import { assertExit } from '../lib/exit.ts'
import { startServer } from '../lib/site.ts'

describe('VERIFY', async () => {
  const { newSite } = await startServer({ after })

  it('refuses a commit before anything is changed; a commit that it accepts goes live', async t => {
    const site = await newSite(t)
    site.configure({ VERIFY: 'git cat-file -p "$DEPLOY_COMMIT" | grep -q "^Reviewed-by:"' })
    await site.commit()
    const { output } = assertExit(await site.deploy(), 1)
    assert.match(output, /VERIFYING failed/)
    assert.ok(!existsSync(join(site.workTree, 'page.txt')))
    assert.deepEqual(site.steps(), [])
    await site.git`git commit --quiet --allow-empty --message ${'Reviewed\n\nReviewed-by: Ada'}`
    assertExit(await site.deploy(), 0)
    site.configure({ RELEASES: '3' })
    await site.commit()
    assert.match(assertExit(await site.deploy(), 1).output, /VERIFYING failed/)
    assert.ok(lstatSync(site.workTree).isDirectory())
  })

  it('with an allowed_signers file makes a stolen deploy key useless', async t => {
    const site = await newSite(t)
    const key = join(site.folder, 'signing')
    await site.git`ssh-keygen -q -t ed25519 -N ${''} -f ${key}`
    const signers = join(site.folder, 'allowed_signers')
    await site.git`echo "ada@example.org $(cat ${key}.pub)" > ${signers}`
    site.configure({ VERIFY: `git -c gpg.ssh.allowedSignersFile=${signers} verify-commit "$DEPLOY_COMMIT"` })
    await site.commit()
    assertExit(await site.deploy(), 1)
    assert.equal(await site.live(), undefined)
    await site.git`git -c gpg.format=ssh -c user.signingKey=${key} commit --quiet --allow-empty -S --message signed`
    assertExit(await site.deploy(), 0)
  })
})

describe('NOTIFY', async () => {
  const { newSite } = await startServer({ after })

  it('gets the outcome of each deployment', async t => {
    const site = await newSite(t)
    const told = join(site.folder, 'told')
    site.configure({
      INSTALL_DEPS: '! grep -q bad page.txt',
      NOTIFY: `echo "$DEPLOY_OUTCOME $DEPLOY_COMMIT $DEPLOY_EXPLANATION" > ${told}.new && mv ${told}.new ${told}`,
    })
    const isTold = (text: string) => waitFor(text, () => existsSync(told) && readFileSync(told, 'utf8').includes(text))
    const good = await site.commit()
    await site.deploy()
    await isTold(`live ${good} in `)
    const bad = await site.commit({ 'page.txt': 'bad' })
    await site.deploy()
    await isTold(`failed ${bad} INSTALLING DEPENDENCIES failed`)
  })

  it('changes nothing by its output or its exit code, and the deployment does not wait for it', async t => {
    const site = await newSite(t)
    const pipe = join(site.folder, 'pipe')
    await site.git`mkfifo ${pipe}`
    // It ends once the test has read from it. A deployment that waited for it would never end.
    site.configure({ NOTIFY: `echo "pushlive: $DEPLOY_COMMIT is not live: no"; echo over > ${pipe}; exit 1` })
    await site.commit()
    const { output } = assertExit(await site.deploy(), 0)
    assert.doesNotMatch(output, /is not live/)
    assert.equal(readFileSync(pipe, 'utf8'), 'over\n')
  })
})
