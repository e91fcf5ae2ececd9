// What SPECIFICATION.md promises of a boot: how long it takes and how much memory. Time is this
// process's own, as the machine may have more to do.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Session } from './session.ts'

const MIB = 2 ** 20
const GUEST_MIB = 256

test('a boot comes to its first instruction, to init and to its memory as promised', async (t) => {
  const began = performance.now()
  const cpuBefore = process.cpuUsage()
  const session = await Session.create({ memoryMiB: GUEST_MIB })
  t.after(() => session.destroy())
  const phases = new Map<string, number>()
  session.domain.onPhase((phase, ms) => phases.set(phase, ms))
  const created = performance.now()
  session.host.start()
  await session.until(() => (session.domain.stats()['instructions'] ?? 0) > 0)
  const first = performance.now()
  const loading = phases.get('loading kernel') ?? 0
  await session.until(() => phases.has('init'))
  const cpu = process.cpuUsage(cpuBefore)
  const seconds = (cpu.user + cpu.system) / 1e6
  const rss = process.memoryUsage.rss() / MIB
  console.log(
    `first instruction ${(first - began).toFixed(0)} ms after the start ` +
      `(${loading.toFixed(0)} reading images, ${(created - began - loading).toFixed(0)} building); ` +
      `init after ${seconds.toFixed(1)} s of processor time; ${rss.toFixed(0)} MiB resident`,
  )
  assert.ok(rss <= GUEST_MIB + 200, `${rss} MiB`)
  assert.ok(seconds < 8, `${seconds} s`)
  // Half a second on a quiet machine; other tests run beside this one.
  assert.ok(first - began - loading < 1000, `${first - began - loading} ms`)
})
