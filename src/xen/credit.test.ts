import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RealClock } from '../machine/time.ts'
import { CAP_PERIOD_NS, Credit } from './credit.ts'
import type { Step } from './testing/fake-processor.ts'
import { type TestGuest, TestHost } from './testing/test-host.ts'

/** Runs for ever; each step takes `cost` instructions and is told. */
function* busy(cost: number, step: () => void): Generator<Step> {
  for (;;) {
    yield () => {
      step()
      return cost
    }
  }
}

/** A host whose wall clock is moved by what its guests execute, a nanosecond an instruction. */
function contendedHost() {
  let now = 0
  const clock = new RealClock(() => now, { seconds: 0, nanoseconds: 0 })
  const host = new TestHost({ clock, quantumNs: 100_000 })
  const spent = new Map<TestGuest, number>()
  const add = (weight: number, cap = 0, vcpus = 1): TestGuest => {
    const guest = host.guest({ vcpus, weight, cap })
    for (let i = 0; i < vcpus; i++) {
      if (i > 0) guest.vcpu(i).bringUp()
      guest.processor(i).program = busy(1000, () => {
        now += 1000
        spent.set(guest, (spent.get(guest) ?? 0) + 1000)
      })
    }
    return guest
  }
  const run = (ns: number) => {
    const end = now + ns
    while (now < end) {
      const result = host.hypervisor.step()
      if (result.state === 'idle') now = Math.max(now + 1, result.until ?? end)
    }
  }
  const share = (guest: TestGuest, of: readonly TestGuest[]) => {
    const sum = of.reduce((all, one) => all + (spent.get(one) ?? 0), 0)
    return (spent.get(guest) ?? 0) / sum
  }
  return { host, add, run, share, spent }
}

const near = (value: number, expected: number, tolerance: number) =>
  assert.ok(Math.abs(value - expected) <= tolerance, `${value} is not near ${expected}`)

test('a domain of twice the weight gets twice the time', () => {
  const { add, run, share } = contendedHost()
  const [one, two, three] = [add(256), add(512), add(256)] as const
  run(400_000_000)
  const all = [one, two, three]
  near(share(two, all), 0.5, 0.02)
  near(share(one, all), 0.25, 0.02)
  near(share(three, all), 0.25, 0.02)
})

test('a domain with more vCPUs has the share of its weight, not of its vCPUs', () => {
  const { add, run, share } = contendedHost()
  const [single, double] = [add(256), add(256, 0, 2)]
  run(400_000_000)
  near(share(double, [single, double]), 0.5, 0.02)
})

test('a domain that slept is not owed what it did not take', () => {
  const { host, add, run, spent } = contendedHost()
  const [awake, sleeper] = [add(256), add(256)]
  sleeper.domain.pause()
  run(200_000_000)
  assert.equal(spent.get(sleeper), undefined)
  sleeper.domain.unpause()
  const before = spent.get(awake) ?? 0
  run(100_000_000)
  near((spent.get(awake) ?? 0) - before, 50_000_000, 5_000_000)
  assert.ok(host.hypervisor.scheduler.counters.rounds > 0)
})

test('a cap holds when nobody else wants the processor, and the rest of the time is idle', () => {
  const { add, run, spent } = contendedHost()
  const capped = add(256, 25)
  run(1_000_000_000)
  near((spent.get(capped) ?? 0) / 1e9, 0.25, 0.01)
})

test('in virtual time a cap slows the guest down, deterministically', () => {
  const steps = () => {
    const host = new TestHost({ quantumNs: 100_000 })
    let count = 0
    host.guest({ cap: 50 }).processor().program = busy(1000, () => {
      count++
    })
    while (host.clock.now() < 1_000_000_000) host.hypervisor.step()
    return count
  }
  const count = steps()
  near(count / 1e6, 0.5, 0.01)
  assert.equal(steps(), count)
})

test('a cap that is taken away lets the domain run at once', () => {
  const credit = new Credit(256, 10)
  assert.ok(credit.mayRun(0))
  credit.charge(CAP_PERIOD_NS)
  assert.ok(!credit.mayRun(1))
  credit.set(256, 0)
  assert.ok(credit.mayRun(2))
})

test('what was overspent is taken from the next budgets', () => {
  const credit = new Credit(256, 10)
  credit.mayRun(0)
  // The budget is a tenth of a period; two and a half of them are used.
  credit.charge(CAP_PERIOD_NS / 4)
  assert.ok(!credit.mayRun(CAP_PERIOD_NS))
  assert.ok(credit.mayRun(2 * CAP_PERIOD_NS))
})

test('a saved credit goes on where it was', () => {
  const credit = new Credit(512, 40)
  credit.mayRun(5)
  credit.charge(12345)
  const other = new Credit()
  other.restore(structuredClone(credit.save()))
  assert.deepEqual(other.save(), credit.save())
})
