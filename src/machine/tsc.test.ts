import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { pvclockScale, Tsc } from './tsc.ts'
import type { PvclockScale } from './tsc.ts'

/** The guest's side, from the comment on vcpu_time_info in Xen's public/xen.h. */
function guestNs(ticks: bigint, { tscToSystemMul, tscShift }: PvclockScale): bigint {
  const shifted = tscShift < 0 ? ticks >> BigInt(-tscShift) : ticks << BigInt(tscShift)
  return (shifted * BigInt(tscToSystemMul)) >> 32n
}

test('the scale of round frequencies is the fraction one expects', () => {
  assert.deepEqual(pvclockScale(2_000_000), { tscToSystemMul: 0x80000000, tscShift: 0 })
  assert.deepEqual(pvclockScale(1_000_000), { tscToSystemMul: 0x80000000, tscShift: 1 })
  assert.deepEqual(pvclockScale(3_000_000), { tscToSystemMul: 0xaaaaaaaa, tscShift: -1 })
  assert.deepEqual(pvclockScale(250_000), { tscToSystemMul: 0x80000000, tscShift: 3 })
})

test('the frequency can be found again from the scale, as public/xen.h says', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1000, max: 8_000_000 }), (khz) => {
      const { tscToSystemMul, tscShift } = pvclockScale(khz)
      assert.ok(tscToSystemMul >= 2 ** 31 && tscToSystemMul < 2 ** 32)
      const hz = (1_000_000_000n << 32n) / BigInt(tscToSystemMul)
      const back = Number(tscShift < 0 ? hz << BigInt(-tscShift) : hz >> BigInt(tscShift))
      assert.ok(Math.abs(back - khz * 1000) <= 8, `${khz} kHz came back as ${back} Hz`)
    }),
  )
})

test("a guest's time is never ahead, and late by at most 1 in 2^31 and three ticks", () => {
  const khz = fc.integer({ min: 1000, max: 8_000_000 })
  const ns = fc.integer({ min: 0, max: 10_000_000_000_000 })
  fc.assert(
    fc.property(khz, ns, (frequency, at) => {
      const seen = Number(guestNs(new Tsc(frequency).ticksAt(at), pvclockScale(frequency)))
      const tick = Math.ceil(1e6 / frequency)
      assert.ok(seen <= at && at - seen <= 3 * tick + at / 2 ** 31, `${seen} ns instead of ${at}`)
    }),
  )
})

test('ticks are exact at every frequency and time', () => {
  const khz = fc.integer({ min: 1, max: 8_000_000 })
  const ns = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
  const offset = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
  fc.assert(
    fc.property(khz, ns, offset, (frequency, at, start) => {
      const exact = (BigInt(at) * BigInt(frequency)) / 1_000_000n
      const tsc = new Tsc(frequency, start)
      assert.equal(tsc.ticksAt(at), (exact + start) % 2n ** 64n)
      const few = tsc.elapsedTicks(at)
      assert.equal(few, exact <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(exact) : Number.NaN)
    }),
  )
})

test('nsAt gives the first nanosecond at which the counter has the value', () => {
  const khz = fc.integer({ min: 1000, max: 8_000_000 })
  const ns = fc.integer({ min: 0, max: 2 ** 40 })
  const ahead = fc.bigInt({ min: 1n, max: 2n ** 42n })
  fc.assert(
    fc.property(
      khz,
      ns,
      ahead,
      fc.bigInt({ min: 0n, max: 2n ** 60n }),
      (frequency, from, more, start) => {
        const tsc = new Tsc(frequency, start)
        const wanted = tsc.ticksAt(from) + more
        const at = tsc.nsAt(wanted, from)
        assert.ok(at > from)
        assert.ok(tsc.ticksAt(at) >= wanted)
        assert.ok(tsc.ticksAt(at - 1) < wanted)
      },
    ),
  )
})

test('a value that has passed is due now, and one beyond the end of time never', () => {
  const tsc = new Tsc(1_000_000, 100n)
  assert.equal(tsc.nsAt(50n, 7), 7)
  assert.equal(tsc.nsAt(107n, 7), 7)
  assert.equal(tsc.nsAt(108n, 7), 8)
  assert.equal(tsc.nsAt(2n ** 64n - 1n, 7), Number.POSITIVE_INFINITY)
})

test('a counter can be set, even back, and be saved', () => {
  const tsc = new Tsc(2_500_000, 12n)
  tsc.setAt(1000, 0n)
  assert.equal(tsc.ticksAt(1000), 0n)
  assert.equal(tsc.ticksAt(1002), 5n)
  const other = new Tsc(1)
  other.restore(structuredClone(tsc.save()))
  assert.equal(other.ticksAt(1002), 5n)
  assert.equal(other.khz, 2_500_000)
})
