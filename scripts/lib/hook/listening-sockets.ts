import { lookup } from 'node:dns/promises'
import { readFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'

interface TcpSocket {
  readonly address: string
  readonly port: number
  readonly user: number
  readonly inode: string
}

/** The inodes of all sockets that accept connections: TCP and Unix. */
export function listeningSockets(): Set<string> {
  const unix = linesOf('unix').filter(each => each[3] === '00010000')
  return new Set([...tcpSockets().map(({ inode }) => inode), ...unix.flatMap(each => each[6] ?? [])])
}

/** Where an address leads on this machine; nothing where it leads elsewhere, or nothing listens there. */
export async function socketsAt(url: URL): Promise<readonly TcpSocket[]> {
  const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80))
  const found = await lookup(url.hostname.replace(/^\[|\]$/g, ''), { all: true }).catch(() => [])
  const own = Object.values(networkInterfaces()).flatMap(each => each?.map(({ address }) => canonical(address)) ?? [])
  const here = found.map(({ address }) => canonical(address)).filter(each => own.includes(each) || isLocal(each))
  const listening = tcpSockets().filter(each => each.port === port)
  return here.flatMap(address => {
    const exact = listening.filter(each => each.address === address)
    return exact.length > 0 ? exact : listening.filter(each => anyAddress.includes(each.address))
  })
}

const anyAddress = ['0.0.0.0', '[::]']
const isLocal = (address: string) => address.startsWith('127.') || ['[::1]', ...anyAddress].includes(address)
const canonical = (address: string) =>
  address.includes(':') ? new URL(`http://[${address.replace(/%.*/, '')}]`).hostname : address

/** proc_net(5): TCP sockets in state LISTEN (0A). */
function tcpSockets(): TcpSocket[] {
  const lines = ['tcp', 'tcp6'].flatMap(linesOf).filter(each => each[3] === '0A')
  return lines.map(([, local = '', , , , , , user, , inode = '']) => {
    const [address = '', port = ''] = local.split(':')
    return { address: readAddress(address), port: Number.parseInt(port, 16), user: Number(user), inode }
  })
}

/** As the kernel prints it: words of four bytes, each in this machine's order, the last byte first. */
function readAddress(hex: string): string {
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap(word => word.match(/../g)?.reverse() ?? []).join('')
  const isMapped = /^0{20}f{4}/i.test(bytes)
  if (bytes.length === 8 || isMapped)
    return (bytes.slice(-8).match(/../g) ?? []).map(byte => parseInt(byte, 16)).join('.')
  return canonical((bytes.match(/.{4}/g) ?? []).join(':'))
}

const linesOf = (name: string) => {
  try {
    return readFileSync(`/proc/net/${name}`, 'utf8')
      .split('\n')
      .map(line => line.trim().split(/\s+/))
  } catch {
    return []
  }
}
