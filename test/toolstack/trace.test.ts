// A trace of a domain as the verb gets it: text and JSON, kinds, its end.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { call } from '../../src/cli/testing/call.ts'
import { tinyPvhProgram } from '../../src/toolstack/image/tiny-kernel.ts'
import { TestServer } from '../../src/node/testing/served-host.ts'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

const server = await TestServer.start()
after(() => server.stop())
const { client } = server

/** CPUID of leaf 0x40000000, XENVER_version, RDMSR of the APIC's base, IN from 0x42, and again. */
const PROGRAM = [
  ...[0xb8, 0, 0, 0, 0x40, 0x0f, 0xa2],
  ...[0xb8, 17, 0, 0, 0, 0x31, 0xdb, 0x31, 0xc9, 0x0f, 0x01, 0xc1],
  ...[0xb9, 0x1b, 0, 0, 0, 0x0f, 0x32, 0xe4, 0x42],
  ...[0xeb, 0xe2],
]
writeFileSync(join(server.folder, 'calls'), tinyPvhProgram(...PROGRAM))

function traced(...argv: string[]) {
  return call(['trace', ...argv], { hostProcess: client })
}

test('a trace tells hypercalls, exits and what the processors do, in the order of their time', async () => {
  const guest = server.tiny('busy', 'waits')
  const kernel = join(server.folder, 'calls')
  await client.call('create', { guest: { ...guest, kernel }, isPaused: false })
  const { status, out, err } = await traced('busy', '-c', '200')
  assert.equal(status, 0, err)
  const lines = out.trimEnd().split('\n')
  assert.equal(lines.length, 200)
  assert.ok(lines.every((line) => /^\[\d+\.\d{6}\] d1v0 /.test(line)))
  for (const text of [
    'cpuid 0x40000000',
    'xen_version XENVER_version(cmd=0x0, arg=0x0) = 262161',
    'rdmsr 0x1b = 0xfee00900',
    'in 0x42 = 0xff',
  ]) {
    assert.ok(
      lines.some((line) => line.endsWith(`d1v0 ${text}`)),
      `${text}\n${lines.slice(0, 8).join('\n')}`,
    )
  }
})

test('kinds are chosen, and JSON has all fields', async () => {
  const { out } = await traced('busy', '-e', 'hypercalls', '-c', '3', '--json')
  for (const line of out.trimEnd().split('\n')) {
    const { now, ...record } = JSON.parse(line) as Record<string, unknown>
    assert.ok(Number(now) > 0)
    assert.deepEqual(record, {
      kind: 'hypercalls',
      domid: 1,
      vcpu: 0,
      name: 'xen_version XENVER_version',
      parameters: ['cmd', 'arg'],
      args: record['args'],
      result: 262161,
    })
  }
  const wrong = await traced('busy', '-e', 'dreams')
  assert.equal(wrong.status, 2)
  assert.match(wrong.err, /There is no trace of "dreams"/)
  assert.equal((await traced('nobody')).status, 1)
})

test('a trace ends with its domain, and costs nothing afterwards', async () => {
  const ended = traced('busy', '-e', 'sched')
  await client.call('pause', { domain: 'busy' })
  await client.call('destroy', { domain: 'busy' })
  assert.equal((await ended).status, 0)
  const { trace } = server.served.table.host.xen.hypervisor
  assert.deepEqual(
    [trace.hypercalls, trace.events, trace.exits, trace.sched],
    [false, false, false, false],
  )
})
