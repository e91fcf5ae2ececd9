// A switch that is named like a bridge of the machine is joined to it: Debian's kernel with its own
// netfront, and a real bridge, which root may make.

import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { demoGuest } from '../../src/node/debian-guests.ts'
import { Host } from '../../src/node/host.ts'

const BRIDGE = `xb${process.pid}`
const ip = (...args: string[]) => spawnSync('ip', args, { encoding: 'utf8' })
const made = ip('link', 'add', BRIDGE, 'type', 'bridge')
const skip = made.status === 0 ? false : `no bridge can be made here: ${made.stderr}`
after(() => ip('link', 'del', BRIDGE))

/** Devices that are at the bridge. */
const members = () => readdirSync(`/sys/class/net/${BRIDGE}/brif`)
const prompt = { timeoutMs: 300_000 }

test('a guest and the machine reach each other through a bridge, and nothing stays', {
  skip,
}, async () => {
  ip('addr', 'add', '10.77.0.1/24', 'dev', BRIDGE)
  ip('link', 'set', BRIDGE, 'up')
  await using host = await Host.create({ time: 'real' })
  const vifs = [`bridge=${BRIDGE}`]
  const guest = await host.createDomain({ ...(await demoGuest()), vifs })
  assert.equal(members().length, 1)
  await guest.console.expect('demo:/# ', prompt)
  await guest.console.run('killall -q udhcpc; ip addr add 10.77.0.2/24 dev eth0', prompt)
  await guest.console.run('ip link set eth0 up; mkdir -p /www; echo hello > /www/index.html')
  const ping = await guest.console.run('ping -c 2 -W 10 10.77.0.1', prompt)
  assert.equal(ping.status, 0, ping.output)
  await guest.console.run('head -c 300000 /dev/zero > /www/zeros; httpd -h /www')
  const fetched = await fetch('http://10.77.0.2/index.html')
  assert.equal(await fetched.text(), 'hello\n')
  const zeros = new Uint8Array(await (await fetch('http://10.77.0.2/zeros')).arrayBuffer())
  assert.deepEqual([zeros.length, zeros.some((byte) => byte !== 0)], [300_000, false])

  guest.destroy()
  for (let i = 0; i < 200 && members().length > 0; i++) await sleep(10)
  assert.deepEqual(members(), [], 'the device goes with the last guest')
  assert.deepEqual(host.xen.switches.names, [])
})

test('in virtual time a bridge is not joined, and that is said', { skip }, async () => {
  await using host = await Host.create({ time: 'virtual' })
  const kernel = (await demoGuest()).kernel
  const guest = await host.createDomain({ kernel, vifs: [`bridge=${BRIDGE}`] })
  const notices: string[] = []
  guest.onNotice((text) => notices.push(text))
  assert.match(
    notices.join(),
    /^the bridge xb\d+ of this machine is not joined: its frames know no/,
  )
  assert.deepEqual(members(), [])
})

test('a host that may not do that says so, and its guests still have the switch', { skip }, () => {
  if (!existsSync('/usr/bin/setpriv')) return
  // Without CAP_NET_ADMIN, as most users.
  const script = `
    import { boot } from './src/index.ts'
    import { tinyPvhProgram } from './src/toolstack/image/tiny-kernel.ts'
    const kernel = tinyPvhProgram(0xfa, 0xf4)
    await using guest = await boot({ kernel, memoryMiB: 4, time: 'real', vifs: ['bridge=${BRIDGE}'] })
    guest.onNotice((text) => console.log(text))
    console.log(guest.networks.list()[0].bridge)`
  const flags = ['--bounding-set', '-net_admin', '--inh-caps', '-net_admin', process.execPath]
  const out = execFileSync('setpriv', [...flags, '--input-type=module', '-e', script], {
    encoding: 'utf8',
  })
  assert.match(
    out,
    new RegExp(`^the bridge ${BRIDGE} of this machine is not joined: .*\n${BRIDGE}\n$`),
  )
  assert.deepEqual(members(), [])
})
