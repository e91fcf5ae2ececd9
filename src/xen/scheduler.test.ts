import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RealClock } from '../machine/time.ts'
import { Timers } from '../machine/timers.ts'
import { HVM_PARAM_TRIPLE_FAULT_REASON } from './abi/hvm-params.ts'
import { SCHEDOP_yield, SHUTDOWN_crash, SHUTDOWN_poweroff, SHUTDOWN_reboot } from './abi/sched.ts'
import { VCPUOP_set_singleshot_timer, vcpu_set_singleshot_timer } from './abi/vcpu.ts'
import { __HYPERVISOR_sched_op, __HYPERVISOR_vcpu_op, VIRQ_TIMER } from './abi/xen.ts'
import { bindGuestPort, createGuestPort } from './host-services.ts'
import type { Step } from './testing/fake-processor.ts'
import { type TestGuest, TestHost } from './testing/test-host.ts'

/** A program that never ends: each step takes `cost` instructions. */
function* forever(cost: number, note: () => void = () => {}): Generator<Step> {
  for (;;) {
    yield () => {
      note()
      return cost
    }
  }
}

function upcall(guest: TestGuest, vcpu = 0, vector = 0xf3): void {
  guest.vcpu(vcpu).upcallVector = vector
  guest.processor(vcpu).handler = () => {
    // The guest clears evtchn_upcall_pending, its selector, and the first word of pending bits.
    const { memory } = guest.host.hypervisor
    memory.write(guest.domain.shared.mfn, vcpu * 64, new Uint8Array(16))
    memory.write(guest.domain.shared.mfn, 0x800, new Uint8Array(8))
  }
}

function setTimer(guest: TestGuest, deadline: number, vcpu = 0): void {
  const bytes = vcpu_set_singleshot_timer.encode(64, { timeout_abs_ns: BigInt(deadline) })
  guest.put(guest.argument, bytes)
  guest.call(__HYPERVISOR_vcpu_op, [VCPUOP_set_singleshot_timer, vcpu, guest.argument], vcpu)
}

test('a host without guests has ended', () => {
  assert.deepEqual(new TestHost().hypervisor.step(), { state: 'ended' })
})

test('a round lasts a quantum, in which every runnable processor has its share', () => {
  const host = new TestHost({ quantumNs: 1000 })
  const [a, b] = [host.guest(), host.guest()]
  const counts = [0, 0]
  for (const [i, guest] of [a, b].entries()) {
    guest.processor().program = forever(10, () => {
      counts[i] = (counts[i] ?? 0) + 1
    })
  }
  assert.deepEqual(host.hypervisor.step(), { state: 'ran' })
  assert.equal(host.clock.now(), 1000)
  assert.deepEqual(counts, [100, 100])
})

test('deferred work is done between turns, and what it defers itself a turn later', () => {
  const host = new TestHost({ quantumNs: 1000 })
  const { hypervisor } = host
  const guest = host.guest()
  const done: string[] = []
  let steps = 0
  guest.processor().program = forever(10, () => {
    steps++
    if (steps > 1) return
    hypervisor.defer(() => {
      done.push(`after ${steps} steps, ${hypervisor.scheduler.running ? 'in' : 'between'} turns`)
      hypervisor.defer(() => done.push(`after ${steps} steps`))
    })
  })
  hypervisor.step()
  assert.deepEqual(done, ['after 100 steps, between turns'])
  hypervisor.step()
  assert.deepEqual(done.slice(1), ['after 100 steps'])
})

test('an instruction takes as long as the host was told', () => {
  const host = new TestHost({ quantumNs: 1000, nsPerInstruction: 4 })
  const guest = host.guest()
  let steps = 0
  guest.processor().program = forever(1, () => steps++)
  host.hypervisor.step()
  assert.equal(steps, 250)
  assert.equal(host.clock.now(), 1000)
})

test('within a round a processor sees its own time', () => {
  const host = new TestHost({ quantumNs: 1000 })
  const guest = host.guest()
  const seen: number[] = []
  const look: Step = ({ host: world }) => {
    seen.push(Number(world.readTsc()))
    return 100
  }
  guest.processor().runs(look, look, look)
  host.hypervisor.step()
  assert.deepEqual(seen, [0, 100, 200])
})

test('no processor reads an older time-stamp counter than another one has read', () => {
  const host = new TestHost({ quantumNs: 1000 })
  const guest = host.guest()
  guest.vcpu(1).bringUp()
  const seen: number[] = []
  const look: Step = ({ host: world }) => {
    seen.push(Number(world.readTsc()))
    return 300
  }
  guest.processor(0).runs(look, look, look)
  guest.processor(1).runs(look, look, look, look)
  host.hypervisor.step()
  assert.deepEqual(seen, [0, 300, 600, 600, 600, 600, 900])
})

test('a guest that halts without interrupts on all processors has switched itself off', () => {
  const host = new TestHost()
  const guest = host.guest()
  guest.processor().rflags = 0
  assert.deepEqual(host.hypervisor.step(), { state: 'ran' })
  assert.equal(guest.domain.shutdownReason, SHUTDOWN_poweroff)
  assert.deepEqual(host.hypervisor.step(), { state: 'ended' })
})

test('one processor that halts without interrupts is down, and the others go on', () => {
  const host = new TestHost()
  const guest = host.guest()
  guest.vcpu(1).bringUp()
  guest.processor(1).program = forever(1)
  guest.processor(0).rflags = 0
  host.hypervisor.step()
  assert.equal(guest.vcpu(0).isUp, false)
  assert.equal(guest.domain.shutdownReason, undefined)
})

test('a guest that waits for nothing is idle', () => {
  const host = new TestHost()
  host.guest()
  assert.deepEqual(host.hypervisor.step(), { state: 'ran' })
  assert.deepEqual(host.hypervisor.step(), { state: 'idle' })
})

test('idle time is skipped up to the next timer, to the nanosecond', () => {
  const host = new TestHost()
  const guest = host.guest()
  guest.domain.channels.bindVirq(VIRQ_TIMER, 0)
  upcall(guest)
  let woken = 0
  const processor = guest.processor()
  processor.runs(
    () => setTimer(guest, 3_600_000_000_000),
    () => 'halt',
    () => {
      woken = guest.domain.now()
    },
  )
  while (host.hypervisor.step().state === 'ran') {}
  assert.equal(woken, 3_600_000_000_000)
  assert.deepEqual(processor.delivered, [0xf3])
  assert.ok(host.hypervisor.scheduler.counters.rounds < 5)
})

test('a timer that is set in the middle of a round ends it', () => {
  const host = new TestHost({ quantumNs: 100_000 })
  const guest = host.guest()
  guest.domain.channels.bindVirq(VIRQ_TIMER, 0)
  upcall(guest)
  let deliveredAt = -1
  const processor = guest.processor()
  const { handler } = processor
  processor.handler = (vector) => {
    deliveredAt = guest.domain.now()
    handler(vector)
  }
  processor.program = (function* (): Generator<Step> {
    yield () => 500
    yield () => setTimer(guest, 2000)
    yield* forever(1)
  })()
  host.hypervisor.step()
  host.hypervisor.step()
  assert.equal(deliveredAt, 2000)
})

test('a processor that is woken by one before it runs in the same round, from that moment on', () => {
  const host = new TestHost({ quantumNs: 10_000 })
  const guest = host.guest()
  upcall(guest, 1)
  const port = guest.domain.channels.bindIpi(1)
  guest.vcpu(1).bringUp()
  guest.vcpu(1).block()
  guest.processor(1).isHalted = true
  let woken = -1
  guest.processor(1).handler = () => {
    woken = guest.domain.now()
  }
  guest.processor(0).runs(
    () => 700,
    () => {
      guest.domain.channels.raise(port)
      return 100
    },
  )
  host.hypervisor.step()
  assert.equal(woken, 700)
})

test('yielding ends a turn, and the round when all yield', () => {
  const host = new TestHost({ quantumNs: 10_000 })
  const guest = host.guest()
  let calls = 0
  const program = function* (): Generator<Step> {
    for (;;) {
      yield () => {
        calls++
        guest.call(__HYPERVISOR_sched_op, [SCHEDOP_yield, 0])
      }
    }
  }
  guest.processor().program = program()
  host.hypervisor.step()
  assert.equal(calls, 1)
  assert.ok(host.clock.now() < 10)
})

test('a triple fault ends the domain for the reason that its parameter names', () => {
  const host = new TestHost()
  const [a, b] = [host.guest(), host.guest()]
  b.domain.params.set(HVM_PARAM_TRIPLE_FAULT_REASON, BigInt(SHUTDOWN_crash))
  for (const guest of [a, b]) guest.processor().runs(() => 'shutdown')
  host.hypervisor.step()
  assert.equal(a.domain.shutdownReason, SHUTDOWN_reboot)
  assert.equal(b.domain.shutdownReason, SHUTDOWN_crash)
})

test('a paused domain does not run, and goes on where it was', () => {
  const host = new TestHost({ quantumNs: 100 })
  const guest = host.guest()
  let steps = 0
  guest.processor().program = forever(1, () => steps++)
  guest.domain.pause()
  assert.deepEqual(host.hypervisor.step(), { state: 'idle' })
  assert.equal(steps, 0)
  guest.domain.unpause()
  host.hypervisor.step()
  assert.equal(steps, 100)
})

test('services of the host hear of an event at once, outside of the hypercall', () => {
  const host = new TestHost({ quantumNs: 10_000 })
  const guest = host.guest()
  const heard: number[] = []
  const pair = createGuestPort(host.hypervisor, guest.domain, () => heard.push(host.clock.now()))
  assert.ok(typeof pair !== 'number')
  let isInside = false
  let wasHeardInside = false
  guest.processor().runs(
    () => {
      isInside = true
      guest.domain.channels.send(pair.guestPort)
      wasHeardInside = heard.length > 1
      isInside = false
    },
    () => {
      // Binding raised one event, the guest another.
      assert.equal(heard.length, 2)
    },
  )
  host.hypervisor.step()
  assert.equal(wasHeardInside, false)
  assert.equal(isInside, false)
  assert.equal(heard.length, 2)
  assert.ok(!guest.domain.channels.isPending(pair.guestPort))
  pair.channel.notify()
  assert.ok(guest.domain.channels.isPending(pair.guestPort))
})

test('a patient service hears of events when the turn is over, at the time it ended', () => {
  const host = new TestHost({ quantumNs: 1000 })
  const { hypervisor } = host
  const guest = host.guest()
  const other = host.guest()
  const port = guest.domain.channels.allocUnbound(0)
  let steps = 0
  const heard: number[][] = []
  const note = () => heard.push([steps, hypervisor.now()])
  assert.ok(typeof bindGuestPort(hypervisor, guest.domain.domid, port, note, true) !== 'number')
  hypervisor.deliverHostEvents()
  heard.length = 0
  guest.processor().program = forever(10, () => {
    steps++
    guest.domain.channels.send(port)
  })
  // Who has its turn after it is not waited for.
  other.processor().program = forever(10, () => assert.equal(heard.length, 1))
  hypervisor.step()
  assert.deepEqual(heard, [[100, 1000]])
})

test('with a real clock, waiting is the business of the caller', () => {
  let ns = 0
  const clock = new RealClock(() => ns, { seconds: 0, nanoseconds: 0 })
  const timers = new Timers()
  const host = new TestHost({ clock, timers })
  const guest = host.guest()
  guest.domain.channels.bindVirq(VIRQ_TIMER, 0)
  upcall(guest)
  guest.processor().runs(() => setTimer(guest, 5_000_000))
  assert.deepEqual(host.hypervisor.step(), { state: 'ran' })
  assert.deepEqual(host.hypervisor.step(), { state: 'idle', until: 5_000_000 })
  ns = 5_000_000
  assert.deepEqual(host.hypervisor.step(), { state: 'ran' })
  assert.deepEqual(guest.processor().delivered, [0xf3])
})

test('with a real clock, a round that takes long goes on in the next steps, and leaves out nobody', () => {
  let ns = 0
  const clock = new RealClock(() => ns, { seconds: 0, nanoseconds: 0 })
  const host = new TestHost({ clock, quantumNs: 1000 })
  const turns: number[] = []
  for (const i of [0, 1, 2, 3, 4]) {
    host.guest().processor().program = forever(1000, () => {
      turns.push(i)
      ns += 400_000
    })
  }
  const { scheduler } = host.hypervisor
  const order: number[][] = []
  for (let step = 0; step < 4; step++) {
    assert.deepEqual(host.hypervisor.step(), { state: 'ran' })
    order.push(turns.splice(0))
  }
  // A step that has lasted a millisecond ends behind the turn in which it has.
  assert.deepEqual(order, [
    [0, 1, 2],
    [3, 4],
    [0, 1, 2],
    [3, 4],
  ])
  assert.equal(scheduler.counters.rounds, 2)
})

test('equal runs are equal, instruction for instruction', () => {
  const run = () => {
    const host = new TestHost({ quantumNs: 1000 })
    const guests = [host.guest(), host.guest()]
    const trace: string[] = []
    guests.forEach((guest, i) => {
      guest.domain.channels.bindVirq(VIRQ_TIMER, 0)
      upcall(guest)
      guest.processor().program = (function* (): Generator<Step> {
        for (let n = 1; n < 40; n++) {
          yield () => {
            trace.push(`${i} ${guest.domain.now()}`)
            setTimer(guest, guest.domain.now() + 600 + ((n * 7919 + i * 104729) % 3000))
            return n * 13
          }
          yield () => 'halt'
        }
      })()
    })
    for (let i = 0; i < 500 && host.hypervisor.step().state === 'ran'; i++) {}
    return trace
  }
  const first = run()
  assert.ok(first.length > 70)
  assert.deepEqual(run(), first)
})

test('whoever hears that a domain has ended may destroy it', () => {
  const host: TestHost = new TestHost({
    onShutdown: (domain) => {
      assert.equal(host.hypervisor.scheduler.running, undefined)
      host.hypervisor.destroyDomain(domain)
    },
  })
  const free = host.frames.freeFrames
  const [a, b, c] = [host.guest(), host.guest(), host.guest()]
  a.processor().runs(
    () => a.domain.shutDown(SHUTDOWN_crash),
    () => assert.fail('it has ended'),
  )
  b.processor().runs(() => 'shutdown')
  c.processor().rflags = 0
  while (host.hypervisor.step().state === 'ran') {}
  assert.equal(host.hypervisor.domainsInOrder().length, 1)
  assert.equal(host.frames.freeFrames, free)
})
