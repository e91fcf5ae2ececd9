// Debian's kernel with its own netfront: two guests at a switch, in virtual time, and one guest with
// a way to the outside through passt, which serves HTTP to this process.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { resolve4 } from 'node:dns/promises'
import { createServer } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Host } from '../../src/node/host.ts'
import { machineHasIpv6 } from '../../src/node/passt.ts'
import { freePort } from './free-port.ts'
import { Session } from './session.ts'

/** A name that whoever resolves names at all knows. */
const KNOWN_NAME = 'deb.debian.org'

/** Without a DHCP server, and with an address of its own. */
const settle = (address: string) =>
  `killall -q udhcpc; ip address add ${address}/24 dev eth0; ip link set eth0 up`

/** Two guests at a switch of their own, at their prompts, with addresses; moved on from here. */
async function pair(host: Host, vcpus = 1, capture?: string): Promise<[Session, Session]> {
  const vifs = ['bridge=xenbr0']
  const a = await Session.on(host, { name: 'a', vcpus, vifs, ...(capture && { capture }) })
  const b = await Session.on(host, { name: 'b', vcpus, vifs })
  await a.prompt()
  await b.prompt()
  await a.run(settle('10.9.0.1'))
  await b.run(settle('10.9.0.2'))
  return [a, b]
}

/** Sends a file of random bytes from `a` to `b`, by HTTP; the checksums at both ends. */
async function transfer(a: Session, b: Session): Promise<string[]> {
  const sum = /[0-9a-f]{64}/
  await a.run('mkdir -p /www; dd if=/dev/urandom of=/www/file bs=64k count=64 2>/dev/null')
  await a.run('httpd -h /www')
  await b.run('wget -q -O /tmp/file http://10.9.0.1/file')
  const sums = [await a.run('sha256sum /www/file'), await b.run('sha256sum /tmp/file')]
  return sums.map((text) => sum.exec(text)?.[0] ?? text)
}

test('two guests ping each other and transfer 4 MiB without a wrong byte, twice the same', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'networks-'))
  const ends: unknown[] = []
  try {
    for (const run of [1, 2]) {
      const file = join(folder, `${run}.pcapng`)
      // Statistics of what is translated are the same as well, without another thread.
      const [a, b] = await pair(await Session.host({ threads: false }), 1, file)
      try {
        ends.push(await talk(a, b))
      } finally {
        a.destroy()
        b.destroy()
      }
      const pings = ['-r', file, '-Y', 'icmp', '-T', 'fields', '-e', 'icmp.type']
      const types = execFileSync('tshark', pings, { stdio: ['ignore', 'pipe', 'ignore'] })
      assert.equal(types.toString(), '8\n0\n'.repeat(3))
    }
    assert.deepEqual(ends[0], ends[1])
  } finally {
    rmSync(folder, { recursive: true })
  }
})

/** All that can be seen of how two guests talked. */
async function talk(a: Session, b: Session): Promise<unknown> {
  assert.match(await a.run('ping -c 3 10.9.0.2'), /3 packets received, 0% packet loss/)
  const sums = await transfer(a, b)
  assert.match(sums[0] ?? '', /^[0-9a-f]{64}$/)
  assert.equal(sums[1], sums[0])
  const [network] = a.domain.networks.list()
  assert.equal(network?.state, 4)
  const { sentBytes, sentFrames, sentFailed } = network.counters
  assert.ok(sentBytes > 4 * 2 ** 20, String(sentBytes))
  // Large frames went as they were: far fewer than 1500 bytes each would make.
  assert.ok(sentFrames < 1000, String(sentFrames))
  assert.equal(sentFailed, 0)
  return [sums, a.domain.networks.list(), b.domain.networks.list(), a.domain.stats()]
}

test('guests with two processors use two queues; an interface is unplugged and plugged in', async () => {
  const host = await Session.host()
  const [a, b] = await pair(host, 2)
  try {
    assert.equal(a.domain.networks.list()[0]?.queues, 2)
    const [sent, received] = await transfer(a, b)
    assert.equal(received, sent)
    const isDetached = a.domain.networks.detach(0)
    await a.until(() => a.domain.networks.list().length === 0)
    await isDetached
    assert.match(await a.run('ls /sys/class/net'), /^lo\n$/)
    assert.equal(await a.domain.networks.attach('bridge=xenbr0,mac=00:16:3e:aa:bb:cc'), 0)
    await a.until(() => a.domain.networks.list()[0]?.state === 4)
    assert.match(await a.run('cat /sys/class/net/eth0/address'), /00:16:3e:aa:bb:cc/)
    await a.run(settle('10.9.0.1'))
    assert.match(await a.run('ping -c 1 10.9.0.2'), /1 packets received/)
  } finally {
    a.destroy()
    b.destroy()
  }
})

test('a guest gets its address by DHCP and serves HTTP through a forwarded port', async () => {
  const port = await freePort()
  const host = await Session.host({ time: 'real' })
  const vif = `forward=${port}:80`
  const web = await Session.on(host, { name: 'web', vifs: [vif] })
  const other = await Session.on(host, { name: 'other', vifs: [''] })
  try {
    host.start()
    await web.prompt()
    assert.equal(web.domain.networks.list()[0]?.address, '10.0.2.15')
    await address(web, '10.0.2.15')
    await web.run('mkdir /www; echo hello from the guest >/www/index.html; httpd -h /www')
    const page = await fetch(`http://127.0.0.1:${port}/`)
    assert.equal(await page.text(), 'hello from the guest\n')
    // A larger file, whole: more than fits what waits on the way.
    await web.run('dd if=/dev/urandom of=/www/large bs=64k count=48 2>/dev/null')
    const large = await (await fetch(`http://127.0.0.1:${port}/large`)).arrayBuffer()
    const digest = await crypto.subtle.digest('SHA-256', large)
    const sum = Buffer.from(digest).toString('hex')
    assert.match(await web.run('sha256sum /www/large'), new RegExp(`^${sum}`))
    // Guests with a way out reach each other, too.
    await other.prompt()
    await address(other, '10.0.2.16')
    assert.match(await other.run('wget -q -O - http://10.0.2.15/'), /hello from the guest/)
    assert.match(await reachedHost(other), /greetings from the host/)
  } finally {
    web.destroy()
    other.destroy()
  }
})

test('a guest asks the resolver of the host for names', async (t) => {
  const isAnswered = await resolve4(KNOWN_NAME).then(
    () => true,
    () => false,
  )
  if (!isAnswered) return t.skip('this machine itself resolves no names')
  const host = await Session.host({ time: 'real' })
  const guest = await Session.on(host, { vifs: [''] })
  try {
    host.start()
    await guest.prompt()
    await address(guest, '10.0.2.15')
    const answer = await guest.run(`nslookup -type=a ${KNOWN_NAME}`)
    assert.match(answer, /Name:\s+\S+\s+Address: \d+\.\d+\.\d+\.\d+/)
  } finally {
    guest.destroy()
  }
})

/** A global address of this machine; undefined if it has none, as without a router. */
const ownIpv6 = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ family, internal, scopeid }) => family === 'IPv6' && !internal && scopeid === 0)?.address

/** Made of the prefix that the gateway announces and of the interface's Ethernet address. */
const GUEST_IPV6 = 'fd78:656e:6f6c:0:216:3eff:fe11:2233/64 scope global dynamic'
const GATEWAY_IPV6 = 'fe80::5055:aff:fe00:202%eth0'

test('by IPv6 a guest serves HTTP through forwarded ports, and reaches the host', {
  skip: !machineHasIpv6() && 'no interface of this machine has an IPv6 address',
}, async (t) => {
  const host = await Session.host({ time: 'real' })
  const urls = await Promise.all(
    ['::1', ...(ownIpv6 === undefined ? [] : [ownIpv6])].map(urlOfFreePort),
  )
  const forwards = urls.map(({ hostname, port }) => `forward=${hostname}/${port}:80`)
  const vifs = [['mac=00:16:3e:11:22:33', ...forwards].join(',')]
  const guest = await Session.on(host, { name: 'six', vifs })
  try {
    host.start()
    await guest.prompt()
    await address(guest, GUEST_IPV6)
    const route = /default via fe80::5055:aff:fe00:202 dev eth0/
    assert.match(await guest.run('ip -6 route'), route)
    // It is found although it has said nothing by itself yet.
    await guest.run('mkdir /www; echo hello by IPv6 >/www/index.html; httpd -h /www')
    for (const url of urls) {
      const page = await fetch(url, { signal: AbortSignal.timeout(10_000) })
      assert.equal(await page.text(), 'hello by IPv6\n', url.href)
    }
    // The gateway's own address means the loopback interface.
    assert.match(await reachedHost(guest, GATEWAY_IPV6, '::1'), /greetings from the host/)
    if (ownIpv6 === undefined) return t.diagnostic('this machine has no global IPv6 address')
    assert.match(await reachedHost(guest, ownIpv6, '::'), /greetings from the host/)
  } finally {
    guest.destroy()
  }
})

test('a connection from a link-local address to elsewhere is refused at once, not after minutes', {
  skip: !machineHasIpv6() && 'no interface of this machine has an IPv6 address',
}, async () => {
  const host = await Session.host({ time: 'real' })
  const guest = await Session.on(host, { vifs: ['mac=00:16:3e:11:22:33'] })
  try {
    host.start()
    await guest.prompt()
    await address(guest, GUEST_IPV6)
    // As Linux does by itself while it looks whether another has its global address.
    await guest.run('ip -6 address flush dev eth0 scope global')
    const started = performance.now()
    const said = await guest.run('nc 2001:db8::1 80')
    assert.match(said, /No route to host/)
    assert.ok(performance.now() - started < 10_000)
  } finally {
    guest.destroy()
  }
})

/** Waits until the guest has the address. */
async function address(guest: Session, expected: string): Promise<void> {
  for (let i = 0; i < 50; i++) {
    const lines = (await guest.run('ip address show eth0')).split('\n')
    // A tentative one is not used yet.
    if (lines.some((line) => line.includes(expected) && !line.includes('tentative'))) return
    await guest.run('sleep 0.2')
  }
  assert.fail(`no address ${expected}`)
}

/** What the guest reads from a server of this process, by way of an address that its gateway knows. */
async function reachedHost(
  guest: Session,
  address = '10.0.2.2',
  listensAt = '127.0.0.1',
): Promise<string> {
  const server = createServer((socket) => {
    // How the guest's end goes away is not looked at.
    socket.on('error', () => {}).resume()
    socket.end('greetings from the host\n')
  })
  await new Promise<void>((resolve) => server.listen(0, listensAt, resolve))
  const place = server.address()
  const port = typeof place === 'object' ? place?.port : 0
  try {
    return await guest.run(`sleep 1 | nc ${address} ${port}`)
  } finally {
    server.close()
  }
}

async function urlOfFreePort(address: string): Promise<URL> {
  return new URL(`http://[${address}]:${await freePort(address)}/`)
}
