// What SPECIFICATION.md promises of event channels. These tests run when no others do; what else the
// machine does may still cost a measurement, so the best of several counts.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runEventGuest } from '../../src/toolstack/event-bench/event-guest.ts'
import { eventCost } from '../../src/toolstack/event-bench/measure.ts'
import { sendCost } from '../../src/toolstack/event-bench/send-cost.ts'
import { percentile } from '../../src/toolstack/event-bench/statistics.ts'
import { XenHost } from '../../src/toolstack/xen-host.ts'

const SEND_NS = 300
const SEND_CHANNELS = 1024
const ALL_CHANNELS = 131_071
const GROWTH = 2
const ATTEMPTS = 4

const nowNs = () => Number(process.hrtime.bigint())
const host = new XenHost({ time: 'virtual', wallBase: { seconds: 1_767_225_600, nanoseconds: 0 } })

test(`a send to a running processor takes ${SEND_NS} ns in the median`, async () => {
  for (const abi of ['2l', '3l', 'fifo'] as const) {
    const medians: number[] = []
    await sendCost(host, { abi, channels: 64, batches: 3000, nowNs })
    while (medians.length < ATTEMPTS && !medians.some((ns) => ns <= SEND_NS)) {
      const options = { abi, channels: SEND_CHANNELS, batches: 3000, nowNs }
      medians.push((await sendCost(host, options)).p50Ns)
    }
    const said = `${abi}: ${medians.map((ns) => ns.toFixed(0)).join(', ')} ns a send`
    console.log(said)
    assert.ok(
      medians.some((ns) => ns <= SEND_NS),
      said,
    )
  }
})

test(`${ALL_CHANNELS} channels of one domain are bound and fired`, async () => {
  const cost = await sendCost(host, {
    abi: 'fifo',
    channels: 0,
    batches: 10,
    firesAll: true,
    nowNs,
  })
  assert.equal(cost.bound, ALL_CHANNELS)
  assert.ok(cost.delivered >= ALL_CHANNELS)
  const burst = await runEventGuest(host, { abi: 'fifo', scenario: 'burst', channels: 0 })
  assert.ok(burst.isGood)
  assert.deepEqual([burst.bound, burst.delivered], [ALL_CHANNELS, ALL_CHANNELS])
})

test(`an event among ${ALL_CHANNELS} FIFO channels costs at most ${GROWTH} times one among 64`, async () => {
  const measure = async (channels: number) => {
    const run = { abi: 'fifo', scenario: 'latency', channels, iterations: 30_000 } as const
    const { result, p50Ns } = await eventCost(host, run, nowNs)
    return { ns: p50Ns, instructions: percentile(result.samples, 0.99) }
  }
  await measure(64)
  const growths: number[] = []
  while (growths.length < ATTEMPTS && !growths.some((growth) => growth <= GROWTH)) {
    const few = await measure(64)
    const many = await measure(ALL_CHANNELS)
    assert.ok(many.instructions <= few.instructions * GROWTH, 'in instructions of the guest')
    growths.push(many.ns / few.ns)
  }
  const said = `${growths.map((growth) => growth.toFixed(2)).join(', ')} times`
  console.log(said)
  assert.ok(
    growths.some((growth) => growth <= GROWTH),
    said,
  )
})
