// How fast networks are: TCP from guest to guest through the switch (Debian's iperf3 in both), and
// HTTP requests through a forwarded port to a static page (Debian's nginx in a guest, behind
// passt; connections are kept). Prints both, and what each costs this process in processor time.
//
// tools/bench network [SECONDS]

import { execFile } from 'node:child_process'
import { setImmediate } from 'node:timers/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ConsoleText } from '../../src/node/console-text.ts'
import { Host } from '../../src/node/host.ts'
import type { Domain } from '../../src/node/host-types.ts'
import { networkGuest } from './ramdisk.ts'

const PROMPT = 'demo:/# '
const PORT = 18_080
const CONNECTIONS = [1, 16]
const CLIENT = join(import.meta.dirname, 'http-client.ts')
const seconds = Number(process.argv[2] ?? 10)

const guest = await networkGuest()
const host = await Host.create({ time: 'real' })

class Shell {
  readonly domain: Domain
  readonly #text = new ConsoleText()
  #shown = ''

  constructor(domain: Domain) {
    this.domain = domain
    domain.console.onOutput((bytes) => {
      this.#shown += this.#text.add(bytes)
    })
  }

  static async boot(name: string, vif: string): Promise<Shell> {
    const config = { name, memoryMiB: 256, vcpus: 1, vifs: [vif], ...guest }
    const domain = await host.createDomain({ ...config, cmdline: 'console=hvc0 cryptomgr.notests' })
    return new Shell(domain)
  }

  async prompt(from = 0): Promise<void> {
    while (!(this.#shown.length > from && this.#shown.endsWith(PROMPT))) await setImmediate()
  }

  async run(line: string): Promise<string> {
    const before = this.#shown.length
    this.domain.console.send(new TextEncoder().encode(`${line}\r`))
    while (this.#shown.indexOf('\n', before) < 0) await setImmediate()
    await this.prompt(before)
    return this.#shown.slice(before)
  }
}

/** Runs `work`; the processor time of this process that it took, as a share of the time it took. */
async function share<T>(work: () => Promise<T>): Promise<{ value: T; busy: number }> {
  const [time, cpu] = [performance.now(), process.cpuUsage()]
  const value = await work()
  const { user, system } = process.cpuUsage(cpu)
  return { value, busy: (user + system) / 1000 / (performance.now() - time) }
}

function print(what: string, amount: number, unit: string, busy: number): void {
  const perCpu = (amount / busy).toFixed(0)
  console.log(
    `${what.padEnd(44)} ${amount.toFixed(0).padStart(7)} ${unit}, ` +
      `${perCpu} for each second of processor time (${(busy * 100).toFixed(0)} % busy)`,
  )
}

const [a, b] = [await Shell.boot('a', `forward=${PORT}:80`), await Shell.boot('b', 'bridge=xenbr0')]
host.start()
for (const shell of [a, b]) await shell.prompt()
await a.run('ip address add 10.9.0.1/24 dev eth0')
await b.run('killall -q udhcpc; ip address add 10.9.0.2/24 dev eth0')
await a.run('iperf3 -s -D')
await b.run('iperf3 -c 10.9.0.1 -t 5')
for (const [what, option] of [
  ['TCP from guest to guest', ''],
  ['TCP from guest to guest, 4 connections', '-P 4'],
] as const) {
  const { value, busy } = await share(() =>
    b.run(`iperf3 -c 10.9.0.1 -f m -t ${seconds} ${option}`),
  )
  const rates = [...value.matchAll(/([\d.]+) Mbits\/sec\s+receiver/g)].map((found) =>
    Number(found[1]),
  )
  print(what, rates.at(-1) ?? Number.NaN, 'Mbit/s', busy)
}
await a.run('killall iperf3; nginx -c /etc/nginx.conf')
for (const connections of CONNECTIONS) {
  const args = [CLIENT, String(PORT), String(connections), String(seconds)]
  const { value, busy } = await share(() => promisify(execFile)(process.execPath, args))
  print(
    `HTTP through a forwarded port, ${connections} at a time`,
    Number(value.stdout),
    'requests/s',
    busy,
  )
}
host.stop()
for (const shell of [a, b]) shell.domain.destroy()
