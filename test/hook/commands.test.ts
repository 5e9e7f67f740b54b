import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { waitFor } from '../lib/events.ts'
import { startServer } from '../lib/site.ts'

describe('VERIFY', async () => {
  const { newSite } = await startServer({ after })

  it('that fails keeps a commit out before anything is changed; one that it lets through goes live', async t => {
    const site = await newSite(t)
    site.configure({ VERIFY: 'git cat-file -p "$DEPLOY_COMMIT" | grep -q "^Reviewed-by:"' })
    await site.commit()
    const { exitCode, output } = await site.deploy()
    assert.equal(exitCode, 1, output)
    assert.match(output, /VERIFYING failed/)
    assert.ok(!existsSync(join(site.workTree, 'page.txt')))
    assert.deepEqual(site.steps(), [])
    await site.git`git commit --quiet --allow-empty --message ${'Reviewed\n\nReviewed-by: Ada'}`
    const reviewed = await site.deploy()
    assert.equal(reviewed.exitCode, 0, reviewed.output)
  })

  it('with an allowed_signers file makes a stolen deploy key useless', async t => {
    const site = await newSite(t)
    const key = join(site.folder, 'signing')
    await site.git`ssh-keygen -q -t ed25519 -N ${''} -f ${key}`
    const signers = join(site.folder, 'allowed_signers')
    await site.git`echo "ada@example.org $(cat ${key}.pub)" > ${signers}`
    site.configure({ VERIFY: `git -c gpg.ssh.allowedSignersFile=${signers} verify-commit "$DEPLOY_COMMIT"` })
    await site.commit()
    const unsigned = await site.deploy()
    assert.equal(unsigned.exitCode, 1, unsigned.output)
    assert.equal(await site.live(), undefined)
    await site.git`git -c gpg.format=ssh -c user.signingKey=${key} commit --quiet --allow-empty -S --message signed`
    const signed = await site.deploy()
    assert.equal(signed.exitCode, 0, signed.output)
  })
})

describe('NOTIFY', async () => {
  const { newSite } = await startServer({ after })

  it('is told what became of each deployment', async t => {
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

  it('changes nothing by what it prints or how it ends, and nobody waits for it', async t => {
    const site = await newSite(t)
    const pipe = join(site.folder, 'pipe')
    await site.git`mkfifo ${pipe}`
    // It ends when the test has read from it; a deployment that waited for it would not.
    site.configure({ NOTIFY: `echo "pushlive: $DEPLOY_COMMIT is not live: no"; echo over > ${pipe}; exit 1` })
    await site.commit()
    const { exitCode, output } = await site.deploy()
    assert.equal(exitCode, 0, output)
    assert.doesNotMatch(output, /is not live/)
    assert.equal(readFileSync(pipe, 'utf8'), 'over\n')
  })
})
