import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { VirtualClock } from '../time.ts'
import { Timers } from '../timers.ts'
import { Tsc } from '../tsc.ts'
import { ApicTimer } from './apic-timer.ts'

const PERIODIC = 1 << 17
const DEADLINE = 2 << 17
const MASKED = 1 << 16
const DIVIDE_BY_1 = 0b1011
/** 10 ns a tick when dividing by 1, as Xen's APIC_BUS_CYCLE_NS. */
const TICK = 10

class Bench {
  readonly clock = new VirtualClock({ seconds: 0, nanoseconds: 0 })
  readonly timers = new Timers()
  readonly tsc = new Tsc(2_000_000, 1000n)
  readonly fired: number[] = []
  readonly timer = new ApicTimer(this.clock, this.timers, this.tsc, () =>
    this.fired.push(this.clock.now()),
  )

  /** Moves to every deadline on the way, as a scheduler with nothing else to do. */
  runTo(ns: number): void {
    while (this.timers.nextDeadline() <= ns) {
      this.clock.skipTo(Math.max(this.clock.now(), this.timers.nextDeadline()))
      this.timers.runExpired(this.clock.now())
    }
    this.clock.skipTo(ns)
  }
}

function started(mode: number, count: number, divide = DIVIDE_BY_1): Bench {
  const bench = new Bench()
  bench.timer.divideConfiguration = divide
  bench.timer.lvt = mode | 0x40
  bench.timer.initialCount = count
  return bench
}

test('a one-shot timer counts down, fires once and stays at 0', () => {
  const bench = started(0, 100)
  bench.runTo(1)
  assert.equal(bench.timer.currentCount, 100)
  bench.runTo(25 * TICK)
  assert.equal(bench.timer.currentCount, 75)
  bench.runTo(100 * TICK - 1)
  assert.equal(bench.timer.currentCount, 1)
  assert.deepEqual(bench.fired, [])
  bench.runTo(5000 * TICK)
  assert.deepEqual(bench.fired, [1000])
  assert.equal(bench.timer.currentCount, 0)
  assert.equal(bench.timer.initialCount, 100)
})

test('the divide configuration divides by the powers of two of figure 10-10', () => {
  const factors = [
    [0b0000, 2],
    [0b0001, 4],
    [0b0010, 8],
    [0b0011, 16],
    [0b1000, 32],
    [0b1001, 64],
    [0b1010, 128],
    [0b1011, 1],
  ]
  for (const [code, factor] of factors as [number, number][]) {
    const bench = started(0, 7, code)
    bench.runTo(1_000_000)
    assert.deepEqual(bench.fired, [7 * factor * TICK])
  }
})

test('a periodic timer does not drift, however late it is served', () => {
  const bench = started(PERIODIC, 100)
  bench.clock.skipTo(1007)
  bench.timers.runExpired(1007)
  assert.equal(bench.timers.nextDeadline(), 2000)
  bench.clock.skipTo(5500)
  bench.timers.runExpired(5500)
  assert.equal(bench.fired.length, 2, 'periods that were missed are merged')
  assert.equal(bench.timers.nextDeadline(), 6000)
  bench.runTo(1_000_000_000)
  assert.equal(bench.fired.at(-1), 1_000_000_000)
  assert.equal(bench.timer.currentCount, 100)
})

test('writing 0 to the initial count stops the timer', () => {
  const bench = started(PERIODIC, 100)
  bench.runTo(1500)
  bench.timer.initialCount = 0
  bench.runTo(1_000_000)
  assert.deepEqual(bench.fired, [1000])
  assert.equal(bench.timer.currentCount, 0)
})

test('a masked timer counts but neither fires nor wakes the host', () => {
  const bench = started(MASKED, 100)
  assert.equal(bench.timers.nextDeadline(), Number.POSITIVE_INFINITY)
  bench.runTo(400)
  assert.equal(bench.timer.currentCount, 60)
  bench.timer.lvt = 0x40
  bench.runTo(2000)
  assert.deepEqual(bench.fired, [1000])
})

test('what came due while the entry was masked does not fire when it is unmasked', () => {
  const bench = started(MASKED | PERIODIC, 100)
  bench.runTo(2500)
  bench.timer.lvt = PERIODIC | 0x40
  assert.deepEqual(bench.fired, [])
  assert.equal(bench.timers.nextDeadline(), 3000)
})

test('an expiry that the host has not served yet is not lost to a write of the entry', () => {
  const bench = started(0, 100)
  bench.clock.skipTo(1010)
  bench.timer.lvt = 0x41
  assert.deepEqual(bench.fired, [1010])
  assert.equal(bench.timers.nextDeadline(), Number.POSITIVE_INFINITY)
})

test('a new divisor applies to what is left of the count', () => {
  const bench = started(0, 100)
  bench.runTo(400)
  bench.timer.divideConfiguration = 0
  assert.equal(bench.timer.currentCount, 60)
  bench.runTo(10_000)
  assert.deepEqual(bench.fired, [400 + 60 * 2 * TICK])
})

test('a periodic timer turned one-shot ends with its current period', () => {
  const bench = started(PERIODIC, 100)
  bench.runTo(1500)
  bench.timer.lvt = 0x40
  bench.runTo(10_000)
  assert.deepEqual(bench.fired, [1000, 2000])
})

test('in TSC-deadline mode the timer fires once when the TSC has come to the value', () => {
  const bench = new Bench()
  bench.timer.lvt = DEADLINE | 0x40
  bench.timer.tscDeadline = 1000n + 2n * 500n
  assert.equal(bench.timer.tscDeadline, 2000n)
  assert.equal(bench.timer.currentCount, 0)
  bench.runTo(10_000)
  assert.deepEqual(bench.fired, [500])
  assert.equal(bench.timer.tscDeadline, 0n, 'the deadline is disarmed when it has passed')
})

test('a deadline that has passed fires at once, one that is 0 never', () => {
  const bench = new Bench()
  bench.timer.lvt = DEADLINE | 0x40
  bench.runTo(700)
  bench.timer.tscDeadline = 1n
  assert.deepEqual(bench.fired, [700])
  bench.timer.tscDeadline = 9000n
  bench.timer.tscDeadline = 0n
  bench.runTo(100_000)
  assert.deepEqual(bench.fired, [700])
})

test('the deadline is ignored in the other modes, and the count in this one', () => {
  const bench = started(0, 0)
  bench.timer.tscDeadline = 1n
  assert.equal(bench.timer.tscDeadline, 0n)
  bench.timer.lvt = DEADLINE | 0x40
  bench.timer.initialCount = 5
  assert.equal(bench.timer.initialCount, 0)
  bench.runTo(1_000_000)
  assert.deepEqual(bench.fired, [])
})

test('changing to or from TSC-deadline mode disarms the timer', () => {
  const counting = started(PERIODIC, 100)
  counting.timer.lvt = DEADLINE | 0x40
  counting.timer.lvt = PERIODIC | 0x40
  const waiting = new Bench()
  waiting.timer.lvt = DEADLINE | 0x40
  waiting.timer.tscDeadline = 5000n
  waiting.timer.lvt = 0x40
  for (const bench of [counting, waiting]) {
    bench.runTo(100_000)
    assert.deepEqual(bench.fired, [])
  }
})

test('a deadline follows the TSC when that is set', () => {
  const bench = new Bench()
  bench.timer.lvt = DEADLINE | 0x40
  bench.timer.tscDeadline = 2000n
  bench.tsc.setAt(0, 0n)
  bench.timer.tscChanged()
  bench.runTo(10_000)
  assert.deepEqual(bench.fired, [1000])
})

test('a timer restored in the middle fires when the saved one would', () => {
  const mode = fc.constantFrom(0, PERIODIC, MASKED | PERIODIC, DEADLINE)
  const count = fc.integer({ min: 1, max: 1000 })
  fc.assert(
    fc.property(mode, count, fc.nat(30_000), (lvt, n, cut) => {
      const bench = started(lvt, n)
      bench.timer.tscDeadline = BigInt(n) * 20n
      bench.runTo(cut)
      const other = new Bench()
      other.clock.restore(bench.clock.save())
      other.timers.restore(bench.timers.save())
      other.tsc.restore(bench.tsc.save())
      other.timer.restore(structuredClone(bench.timer.save()))
      bench.fired.length = 0
      for (const b of [bench, other]) b.runTo(cut + 50_000)
      assert.deepEqual(other.fired, bench.fired)
      assert.equal(other.timer.currentCount, bench.timer.currentCount)
    }),
  )
})
