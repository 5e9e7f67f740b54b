import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { $ as zx } from 'zx/core'
import { waitForOutput } from '../lib/events.ts'
import { holdPort } from '../lib/ports.ts'
import { type CleansUp, newKeyPair } from '../lib/sshd.ts'

const $ = zx({ quiet: true, stdio: ['ignore', 'pipe', 'pipe'] })

/** What it takes to reach the packages from here: certificates of this machine's own, where it has some. */
const certificates = '/etc/ssl/certs/ca-certificates.crt'

export type Machine = Awaited<ReturnType<typeof newMachine>>

/** Made by make-debian.sh. */
const debian = join(import.meta.dirname, '../../dist/first-hour/bookworm')

/** A bare Debian 12, with processes and files of its own; it is gone after the test. Only root can make it. */
export async function newMachine(t: CleansUp) {
  const folder = mkdtempSync(join(tmpdir(), 'machine-'))
  const [upper, work, root] = ['upper', 'work', 'root'].map(name => join(folder, name)) as [string, string, string]
  for (const each of [upper, work, root]) mkdirSync(each)
  await $`mount -t overlay overlay -o lowerdir=${debian},upperdir=${upper},workdir=${work} ${root}`
  const port = await holdPort()
  const key = await newKeyPair(folder)
  const ssh = join(root, 'home/seita/.ssh')
  mkdirSync(ssh, { mode: 0o700 })
  writeFileSync(join(ssh, 'authorized_keys'), key.publicKey, { mode: 0o600 })
  await $`chroot ${root} chown -R seita: /home/seita/.ssh`
  mkdirSync(join(root, 'run/sshd'), { recursive: true, mode: 0o755 })
  const setEnv = ['SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS', 'PIP_CERT'].filter(() => existsSync(certificates))
  const options = [
    `ListenAddress=127.0.0.1:${port}`,
    'UsePAM=no',
    'UseDNS=no',
    `SetEnv=${setEnv.map(name => `${name}=${certificates}`).join(' ')}`,
  ].flatMap(option => ['-o', option])
  const start = `mount -t proc proc ${root}/proc; mount --rbind /dev ${root}/dev; mount -t tmpfs tmpfs ${root}/dev/shm; exec chroot ${root} /usr/sbin/sshd -D -e "$@"`
  const sshd =
    $`exec setpriv --pdeathsig KILL unshare --pid --fork --kill-child --mount sh -c ${start} sh ${options}`.nothrow()
  t.after(async () => {
    await sshd.kill('SIGKILL')
    await sshd
    await $`umount --lazy ${root}`
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  })
  await waitForOutput(sshd.stderr, 'Server listening')
  return { root, port, key, folder }
}
