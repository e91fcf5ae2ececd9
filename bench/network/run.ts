// How fast networks are: TCP from guest to guest (Debian's iperf3 in both; ours through the switch,
// QEMU's two through a socket of `-netdev stream`), and HTTP requests through a forwarded port to a
// static page (Debian's nginx, one process, connections are kept; ours through passt, QEMU through its
// own user network). The same kernel, ramdisk and programs on QEMU TCG with virtio-net, round by round.
// Needs Debian's passt and qemu-system-x86.
//
// tools/bench network [--seconds N] [--rounds N] [--ours-only]

import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { Host } from '../../src/node/host.ts'
import { type BenchGuest, bootOurs, bootQemu, taken } from '../devices/guests.ts'
import { deviceImage } from '../devices/image.ts'
import { HEADER, line, type Rate } from '../devices/report.ts'
import { networkPrograms } from './ramdisk.ts'

const CONNECTIONS = [1, 16]
const CLIENT = join(import.meta.dirname, 'http-client.ts')
/** What the first round runs for before it is measured: it translates what is hot. */
const WARM_UP_SECONDS = 10

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '3' },
    'ours-only': { type: 'boolean', default: false },
  },
})
const seconds = Number(values.seconds)

interface Side {
  /** The first serves, the second is the client of iperf3. */
  readonly guests: readonly [BenchGuest, BenchGuest]
  /** Port of the host that leads to the first guest's port 80. */
  readonly port: number
}

const folder = mkdtempSync(join(tmpdir(), 'xenolith-network-'))
process.once('exit', () => rmSync(folder, { recursive: true }))
const image = await deviceImage(await networkPrograms(), folder)
const host = await Host.create({ time: 'real' })

async function ours(port: number): Promise<Side> {
  const first = await bootOurs(host, image, 'a', { vifs: [`forward=${port}:80`] })
  const second = await bootOurs(host, image, 'b', { vifs: ['gateway=none'] })
  await first.shell.run('ip address add 10.9.0.1/24 dev eth0')
  await second.shell.run('killall -q udhcpc; ip address add 10.9.0.2/24 dev eth0')
  return { guests: [first, second], port }
}

async function qemu(port: number): Promise<Side> {
  const socket = `addr.type=unix,addr.path=${join(folder, 'wire')}`
  const device = (netdev: string, mac: string) => [
    '-device',
    `virtio-net-pci,netdev=${netdev},mac=52:54:00:00:00:0${mac}`,
  ]
  const first = await bootQemu(image, [
    ...['-netdev', `stream,id=wire,server=on,${socket}`, ...device('wire', '1')],
    ...['-netdev', `user,id=out,hostfwd=tcp:127.0.0.1:${port}-:80`, ...device('out', '2')],
  ])
  const wire = ['-netdev', `stream,id=wire,server=off,${socket}`, ...device('wire', '3')]
  const second = await bootQemu(image, wire)
  await first.shell.run('ip link set eth0 up; ip address add 10.9.0.1/24 dev eth0')
  await first.shell.run('ip link set eth1 up; ip address add 10.0.2.15/24 dev eth1')
  await first.shell.run('ip route add default via 10.0.2.2')
  await second.shell.run('ip link set eth0 up; ip address add 10.9.0.2/24 dev eth0')
  return { guests: [first, second], port }
}

/** Mbit/s that the client's guest says have arrived. */
async function iperf({ guests }: Side, options: string, duration: number): Promise<Rate> {
  const typed = `iperf3 -c 10.9.0.1 -f m -t ${duration} ${options}`
  const { value, clock, cpu } = await taken(guests, () => guests[1].shell.run(typed))
  const rates = [...value.matchAll(/([\d.]+) Mbits\/sec\s+receiver/g)]
  const rate = Number(rates.at(-1)?.[1])
  if (!rate) throw new Error(`${typed}: ${value}`)
  return { clock: rate, cpu: (rate * clock) / cpu }
}

/** Requests a second that the client has had answered. */
async function http({ guests, port }: Side, connections: number, warmUp: number): Promise<Rate> {
  const args = [CLIENT, port, connections, warmUp, seconds].map(String)
  const work = () => promisify(execFile)(process.execPath, args)
  const { value, clock, cpu } = await taken([guests[0]], work)
  const rate = Number(value.stdout)
  return { clock: rate, cpu: (rate * clock) / cpu }
}

const port = 18_080 + (process.pid % 1000)
const sides = [await ours(port)]
if (!values['ours-only']) sides.push(await qemu(port + 1000))

async function report(what: string, run: (side: Side, round: number) => Promise<Rate>) {
  const rates: Rate[][] = sides.map(() => [])
  for (let round = 0; round <= Number(values.rounds); round++) {
    for (const [i, side] of sides.entries()) {
      const rate = await run(side, round)
      if (round > 0) rates[i]?.push(rate)
    }
  }
  console.log(line(what, rates[0] ?? [], rates[1] ?? []))
}

console.log(HEADER)
for (const { guests } of sides) await guests[0].shell.run('iperf3 -s -D')
for (const [what, options] of [
  ['TCP, guest to guest', ''],
  ['TCP, guest to guest, 4 connections', '-P 4'],
] as const) {
  await report(`Mbit/s: ${what}`, (side, round) =>
    iperf(side, options, round === 0 ? WARM_UP_SECONDS : seconds),
  )
}
for (const { guests } of sides) {
  await guests[0].shell.run('killall iperf3; nginx -c /etc/nginx.conf')
}
for (const connections of CONNECTIONS) {
  await report(`requests/s: HTTP, ${connections} kept, one at a time each`, (side, round) =>
    http(side, connections, round === 0 ? WARM_UP_SECONDS : 1),
  )
}
host.stop()
for (const { guests } of sides) for (const guest of guests) guest.end()
