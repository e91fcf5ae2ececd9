import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tinyPvhProgram } from '../toolstack/image/tiny-kernel.ts'
import { CpuProfile, guestTimes } from './cpu-profile.ts'
import { Host } from './host.ts'

/** What takes long enough for some samples, a millisecond apart. */
const INSTRUCTIONS = 300_000_000

const frame = (functionName: string, url = 'wasm://wasm/0123') => ({
  functionName,
  scriptId: '0',
  url,
  lineNumber: 0,
  columnNumber: 0,
})

test('time is told by the guest’s functions, and by what is no code of it', () => {
  const frames = [
    frame('(root)', ''),
    frame('schedule+0x40'),
    frame('schedule'),
    frame('user 0x401000'),
    frame('core'),
    frame('MOV_112_slow'),
    frame('lookup', 'file:///cpu.ts'),
    frame('(idle)', ''),
  ]
  const times = guestTimes({
    nodes: frames.map((callFrame, id) => ({ id, callFrame })),
    startTime: 0,
    endTime: 100_000,
    samples: [1, 2, 3, 4, 5, 6, 7, 1],
    timeDeltas: [1000, 2000, 2500, 1000, 1000, 500, 250, 4000],
  })
  assert.deepEqual(times, [
    { name: 'schedule', ms: 7 },
    { name: 'user 0x401000', ms: 2.5 },
    { name: '(interpreter)', ms: 2 },
    { name: '(host)', ms: 0.5 },
    { name: '(idle)', ms: 0.25 },
  ])
})

test('a guest that is profiled is seen where it runs', async () => {
  await using host = await Host.create({ time: 'virtual' })
  // DEC ECX; JNZ to it; and again from the start.
  const kernel = tinyPvhProgram(0x49, 0x75, 0xfd, 0xeb, 0xfb)
  const domain = await host.createDomain({ kernel, memoryMiB: 8 })
  const executed = () => domain.stats()['instructions'] ?? 0
  while (domain.stats()['regions live'] === 0) host.step()
  const profile = await CpuProfile.start()
  for (const end = executed() + INSTRUCTIONS; executed() < end; ) host.step()
  const times = guestTimes(await profile.stop())
  profile.close()
  assert.ok(
    times.some(({ name, ms }) => /^kernel 0x10000[0-4]$/.test(name) && ms > 0),
    JSON.stringify(times),
  )
})
