// The three event-channel ABIs under real guests: the programs of guests/events, which bind as many
// ports as an ABI has, send to all over them from one or four processors, move, mask and unmask, and
// switch themselves off only if each event has come exactly once; and Linux, which says what it uses.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type EventRun, runEventGuest } from '../../src/toolstack/event-bench/event-guest.ts'
import { sendCost } from '../../src/toolstack/event-bench/send-cost.ts'
import { XenHost } from '../../src/toolstack/xen-host.ts'
import type { EventAbiName } from '../../src/xen/event-abi.ts'
import { UserError } from '../../src/base/errors.ts'
import { tinyPvhKernel } from '../../src/toolstack/image/tiny-kernel.ts'
import { Session } from './session.ts'

const host = new XenHost({ time: 'virtual', wallBase: { seconds: 1_767_225_600, nanoseconds: 0 } })
const CHECKS = { scenario: 'check', channels: 0, iterations: 200, seed: 11 } as const

async function checks(run: EventRun): Promise<number> {
  const result = await runEventGuest(host, run)
  assert.equal(result.said, '')
  assert.ok(result.isGood, 'the guest switched itself off')
  assert.ok(result.delivered > 3000, `${result.delivered} events`)
  if (run.vcpus) assert.ok(result.moves > 100, `${result.moves} moves`)
  return result.bound
}

const CAPACITY: readonly (readonly [EventAbiName, 32 | 64, number])[] = [
  ['2l', 64, 4095],
  ['2l', 32, 1023],
  ['3l', 64, 262_143],
  ['3l', 32, 32_767],
  ['fifo', 64, 131_071],
  ['fifo', 32, 131_071],
]

for (const [abi, width, ports] of CAPACITY) {
  test(`${abi}, ${width}-bit: a guest binds ${ports} ports and loses no event, nor at the switch`, async () => {
    for (const rotates of abi === 'fifo' ? [false] : [false, true]) {
      assert.equal(await checks({ ...CHECKS, abi, width, rotates }), ports)
    }
  })
}

for (const [abi, width, ports] of CAPACITY) {
  if (width === 32) continue
  test(`${abi}: four processors send to each other while ports move between them`, async () => {
    for (const rotates of abi === 'fifo' ? [false] : [false, true]) {
      const bound = await checks({ ...CHECKS, abi, vcpus: 4, rotates })
      // Four IPIs, and the rest in pairs.
      assert.equal(bound, 4 + 2 * Math.floor((ports - 4) / 2))
    }
  })
}

test('131,071 channels of the control domain are bound to one guest and fired', async () => {
  const nowNs = () => performance.now() * 1e6
  const cost = await sendCost(host, {
    abi: 'fifo',
    channels: 0,
    batches: 100,
    firesAll: true,
    nowNs,
  })
  assert.equal(cost.bound, 131_071)
  assert.equal(cost.delivered, 131_071 + 100 * 16)
})

test('a guest that may not use its ABI says so', async () => {
  for (const abi of ['3l', 'fifo'] as const) {
    const result = await runEventGuest(host, { ...CHECKS, abi, allowed: ['2l'] })
    assert.equal(result.isGood, false)
    assert.match(result.said, abi === '3l' ? /no three levels/ : /control block refused/)
  }
})

test('a run is the same in every run, to the last instruction', async () => {
  const run: EventRun = { ...CHECKS, abi: 'fifo', vcpus: 4, channels: 500 }
  const once = await runEventGuest(host, run)
  assert.deepEqual(await runEventGuest(host, run), once)
})

test('a domain cannot be made with fewer channels than its console and xenstore need', async () => {
  const image = await tinyPvhKernel()
  const create = (maxEventChannels: number) =>
    host.createGuest(
      { name: 'few', commandLine: '', memoryMiB: 4, vcpus: 1, maxEventChannels },
      { kernel: image },
    )
  for (const channels of [0, 1, 2 ** 18, -1]) assert.throws(() => create(channels), UserError)
  create(2).destroy()
})

async function linuxSays(
  cmdline: string,
  eventChannelAbi: readonly EventAbiName[],
  vcpus = 2,
): Promise<string> {
  const session = await Session.create({
    cmdline: `console=hvc0 cryptomgr.notests ${cmdline}`,
    eventChannelAbi,
    vcpus,
  })
  try {
    session.host.start()
    await session.prompt()
    return await session.run('dmesg | grep -i "xen:events"')
  } finally {
    session.destroy()
  }
}

test('Linux uses FIFO where it may', async () => {
  assert.match(await linuxSays('', ['2l', 'fifo']), /Using FIFO-based ABI/)
})

test('Linux uses two levels when it is told to, and boots as well', async () => {
  assert.match(await linuxSays('xen.fifo_events=0', ['2l', 'fifo']), /Using 2-level ABI/)
})

test('Linux falls back to two levels where the toolstack allows nothing else', async () => {
  assert.match(await linuxSays('', ['2l']), /Using 2-level ABI/)
})
