import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { LocalApic } from './local-apic.ts'
import type { ApicOutput } from './local-apic.ts'
import { VirtualClock } from './time.ts'
import { Timers } from './timers.ts'
import { Tsc } from './tsc.ts'

// Offsets of the xAPIC's registers, from table 10-1 of the SDM (vol. 3A).
const ID = 0x20
const VERSION = 0x30
const TPR = 0x80
const PPR = 0xa0
const EOI = 0xb0
const LDR = 0xd0
const DFR = 0xe0
const SVR = 0xf0
const ISR = 0x100
const TMR = 0x180
const IRR = 0x200
const ESR = 0x280
const ICR = 0x300
const ICR_HIGH = 0x310
const LVT_TIMER = 0x320
const LVT_THERMAL = 0x330
const LVT_PERF = 0x340
const LINT0 = 0x350
const LINT1 = 0x360
const LVT_ERROR = 0x370
const APIC_BASE = 0x1b

const BASE_XAPIC = 0xfee00900n
const BASE_X2APIC = 0xfee00d00n

interface Bench {
  apic: LocalApic
  clock: VirtualClock
  timers: Timers
  /** What reached the processor and the bus, in order. */
  log: string[]
}

function bench(options: { id?: number; isEnabled?: boolean } = {}): Bench {
  const clock = new VirtualClock({ seconds: 0, nanoseconds: 0 })
  const timers = new Timers()
  const log: string[] = []
  const output: ApicOutput = {
    sendIpi: (_, icr, destination) =>
      log.push(`ipi ${icr.toString(16)} to ${destination.toString(16)}`),
    endOfInterrupt: (vector) => log.push(`eoi ${vector.toString(16)}`),
  }
  const events = {
    interruptPending: () => {},
    nmi: () => log.push('nmi'),
    smi: () => log.push('smi'),
    init: () => log.push('init'),
    startup: (vector: number) => log.push(`startup ${vector.toString(16)}`),
  }
  const tsc = new Tsc(2_000_000)
  const apic = new LocalApic({
    id: options.id ?? 0,
    isBsp: true,
    clock,
    timers,
    tsc,
    output,
    events,
  })
  if (options.isEnabled ?? true) apic.writeMmio(SVR, 0x1ff)
  return { apic, clock, timers, log }
}

test('after power-up the registers hold what section 10.4.7.1 says', () => {
  const { apic } = bench({ id: 6, isEnabled: false })
  assert.equal(apic.readMsr(APIC_BASE), BASE_XAPIC)
  assert.equal(apic.mmioBase, 0xfee00000)
  assert.equal(apic.readMmio(ID), 0x06000000)
  assert.equal(apic.readMmio(VERSION), 0x50014)
  assert.equal(apic.readMmio(SVR), 0xff)
  assert.equal(apic.readMmio(DFR), 0xffffffff)
  for (const lvt of [LVT_TIMER, LVT_THERMAL, LVT_PERF, LINT0, LINT1, LVT_ERROR]) {
    assert.equal(apic.readMmio(lvt), 0x10000)
  }
  for (const zero of [TPR, PPR, LDR, ICR, ICR_HIGH, ESR, 0x380, 0x390, 0x3e0, ISR, TMR, IRR]) {
    assert.equal(apic.readMmio(zero), 0)
  }
})

test('the higher vector comes first, and only a higher class interrupts the one in service', () => {
  const { apic } = bench()
  for (const vector of [0x41, 0x4f, 0x52]) assert.equal(apic.accept(vector), true)
  assert.equal(apic.acknowledge(), 0x52)
  assert.equal(apic.readMmio(PPR), 0x50)
  assert.equal(apic.highestPending(), -1)
  apic.accept(0x5f)
  assert.equal(apic.highestPending(), -1, 'the same class waits')
  apic.accept(0x61)
  assert.equal(apic.acknowledge(), 0x61)
  assert.equal(apic.readMmio(PPR), 0x60)
  apic.writeMmio(EOI, 0)
  assert.equal(apic.readMmio(PPR), 0x50, 'EOI ends the highest in service')
  apic.writeMmio(EOI, 0)
  assert.equal(apic.acknowledge(), 0x5f)
  apic.writeMmio(EOI, 0)
  assert.equal(apic.acknowledge(), 0x4f)
  apic.writeMmio(EOI, 0)
  assert.equal(apic.acknowledge(), 0x41)
  apic.writeMmio(EOI, 0)
  assert.equal(apic.highestPending(), -1)
})

test('the task priority holds back its own class and those below', () => {
  const { apic } = bench()
  apic.accept(0x85)
  apic.writeMmio(TPR, 0x80)
  assert.equal(apic.highestPending(), -1)
  apic.writeMmio(TPR, 0x7f)
  assert.equal(apic.highestPending(), 0x85)
  assert.equal(apic.readMmio(PPR), 0x7f)
  apic.taskPriority = 0xf0
  assert.equal(apic.readMmio(TPR), 0xf0)
  assert.equal(apic.highestPending(), -1)
})

test('the processor priority is the higher of task priority and service, by class', () => {
  const { apic } = bench()
  apic.accept(0x35)
  apic.acknowledge()
  for (const [tpr, ppr] of [
    [0x00, 0x30],
    [0x2f, 0x30],
    [0x4a, 0x4a],
  ] as const) {
    apic.writeMmio(TPR, tpr)
    assert.equal(apic.readMmio(PPR), ppr)
  }
})

test('each bit of IRR, ISR and TMR is at the place of its vector', () => {
  const { apic } = bench()
  for (const vector of [16, 31, 32, 95, 160, 255]) {
    const at = 16 * (vector >> 5)
    apic.accept(vector, true)
    assert.equal(apic.readMmio(IRR + at), 2 ** (vector % 32))
    assert.equal(apic.readMmio(TMR + at), 2 ** (vector % 32))
    assert.equal(apic.acknowledge(), vector)
    assert.equal(apic.readMmio(IRR + at), 0)
    assert.equal(apic.readMmio(ISR + at), 2 ** (vector % 32))
    apic.writeMmio(EOI, 0)
    assert.equal(apic.readMmio(ISR + at), 0)
    apic.accept(vector, false)
    assert.equal(apic.readMmio(TMR + at), 0)
    apic.acknowledge()
    apic.writeMmio(EOI, 0)
  }
})

test('a vector can wait once more while it is in service, and no more than once', () => {
  const { apic } = bench()
  apic.accept(0x40)
  apic.acknowledge()
  apic.accept(0x40)
  apic.accept(0x40)
  apic.writeMmio(EOI, 0)
  assert.equal(apic.acknowledge(), 0x40)
  apic.writeMmio(EOI, 0)
  assert.equal(apic.highestPending(), -1)
})

test('only the end of a level-triggered interrupt is told to the I/O APICs', () => {
  const { apic, log } = bench()
  apic.accept(0x40, true)
  apic.accept(0x60, false)
  apic.acknowledge()
  apic.writeMmio(EOI, 0)
  assert.deepEqual(log, [])
  apic.acknowledge()
  apic.writeMmio(EOI, 0)
  assert.deepEqual(log, ['eoi 40'])
  apic.writeMmio(EOI, 0)
  assert.deepEqual(log, ['eoi 40'], 'an EOI with nothing in service does nothing')
})

test('an interrupt that went away gives the spurious vector, which is not in service', () => {
  const { apic } = bench()
  apic.writeMmio(SVR, 0x1ee)
  apic.accept(0x40)
  apic.writeMmio(TPR, 0x40)
  assert.equal(apic.acknowledge(), 0xee)
  assert.equal(apic.readMmio(ISR + 0x70), 0)
})

test('disabled by software, it keeps what waits, takes nothing new, and masks its entries', () => {
  const { apic, log } = bench()
  apic.writeMmio(LINT0, 0x40)
  apic.accept(0x50)
  apic.writeMmio(SVR, 0xff)
  assert.equal(apic.readMmio(LINT0), 0x10040)
  apic.writeMmio(LINT0, 0x41)
  assert.equal(apic.readMmio(LINT0), 0x10041, 'the mask bit cannot be cleared')
  assert.equal(apic.accept(0x60), false)
  assert.equal(apic.highestPending(), 0x50)
  apic.deliver(4, 0, false)
  apic.deliver(5, 0, false)
  apic.deliver(6, 0x9a, false)
  assert.deepEqual(log, ['nmi', 'init', 'startup 9a'])
})

test('INIT resets everything but the ID and the base register', () => {
  const { apic } = bench({ id: 4 })
  apic.writeMsr(APIC_BASE, BASE_X2APIC)
  apic.writeMsr(0x808, 0x20n)
  apic.writeMsr(0x835, 0x31n)
  apic.accept(0x70)
  apic.deliver(5, 0, false)
  assert.equal(apic.readMsr(APIC_BASE), BASE_X2APIC)
  assert.equal(apic.readMsr(0x802), 4n)
  assert.equal(apic.readMsr(0x808), 0n)
  assert.equal(apic.readMsr(0x835), 0x10000n)
  assert.equal(apic.readMsr(0x80f), 0xffn)
  assert.equal(apic.highestPending(), -1)
})

test('IA32_APIC_BASE changes only along the arrows of figure 10-27', () => {
  const disabled = 0xfee00100n
  const invalid = 0xfee00500n
  const legal: [bigint, bigint, boolean][] = [
    [disabled, disabled, true],
    [disabled, BASE_XAPIC, true],
    [disabled, BASE_X2APIC, false],
    [BASE_XAPIC, disabled, true],
    [BASE_XAPIC, BASE_XAPIC, true],
    [BASE_XAPIC, BASE_X2APIC, true],
    [BASE_X2APIC, BASE_XAPIC, false],
    [BASE_X2APIC, disabled, true],
    [BASE_X2APIC, BASE_X2APIC, true],
    [disabled, invalid, false],
    [BASE_XAPIC, invalid, false],
    [BASE_X2APIC, invalid, false],
  ]
  for (const [from, to, isLegal] of legal) {
    const { apic } = bench()
    assert.equal(apic.writeMsr(APIC_BASE, from), true)
    assert.equal(
      apic.writeMsr(APIC_BASE, to),
      isLegal,
      `${from.toString(16)} to ${to.toString(16)}`,
    )
    assert.equal(apic.readMsr(APIC_BASE), isLegal ? to : from)
  }
})

test('reserved bits of IA32_APIC_BASE are refused, an address the processor has is taken', () => {
  const { apic } = bench()
  for (const bit of [0n, 7n, 9n, 46n, 63n]) {
    assert.equal(apic.writeMsr(APIC_BASE, BASE_XAPIC | (1n << bit)), false, `bit ${bit}`)
  }
  assert.equal(apic.writeMsr(APIC_BASE, 0x1234567900n | 0x800n), true)
  assert.equal(apic.mmioBase, 0x1234567000)
})

test('while it is disabled it takes nothing, and an 8259A reaches the processor', () => {
  const { apic, log } = bench()
  apic.accept(0x40)
  apic.writeMsr(APIC_BASE, 0xfee00100n)
  assert.equal(apic.mmioBase, undefined)
  assert.equal(apic.highestPending(), -1)
  assert.equal(apic.takesExtInt, true)
  apic.deliver(4, 0, false)
  assert.deepEqual(log, [])
  apic.writeMsr(APIC_BASE, BASE_XAPIC)
  assert.equal(apic.highestPending(), -1, 'enabled again, it is as after power-up')
  assert.equal(apic.readMmio(SVR), 0xff)
})

test('the logical ID of the x2APIC follows from its ID', () => {
  for (const [id, ldr] of [
    [0, 0x1n],
    [15, 0x8000n],
    [0x12, 0x10004n],
    [0x3ff, 0x3f8000n],
  ] as const) {
    const { apic } = bench({ id })
    apic.writeMsr(APIC_BASE, BASE_X2APIC)
    assert.equal(apic.readMsr(0x80d), ldr)
    assert.equal(apic.readMsr(0x802), BigInt(id))
  }
})

test('the MSRs of the x2APIC exist in that mode only', () => {
  const { apic } = bench()
  assert.equal(apic.readMsr(0x802), undefined)
  assert.equal(apic.writeMsr(0x808, 0n), false)
  apic.writeMsr(APIC_BASE, BASE_X2APIC)
  assert.equal(apic.mmioBase, undefined)
  assert.equal(apic.readMmio(VERSION), 0xffffffff)
  assert.equal(apic.readMsr(0x803), 0x50014n)
})

// Table 10-6: r, w, or neither for each MSR from 0x800.
test('the MSRs of the x2APIC can be read and written as table 10-6 says', () => {
  const { apic } = bench()
  apic.writeMsr(APIC_BASE, BASE_X2APIC)
  const access = new Map<number, string>()
  const set = (rights: string, ...indexes: number[]): void => {
    for (const index of indexes) access.set(index, rights)
  }
  const range = (from: number, to: number): number[] =>
    Array.from({ length: to - from + 1 }, (_, i) => from + i)
  set('r', 0x802, 0x803, 0x80a, 0x80d, ...range(0x810, 0x827), 0x839)
  set('w', 0x80b, 0x83f)
  set('rw', 0x808, 0x80f, 0x828, 0x830, 0x832, 0x833, 0x834, 0x835, 0x836, 0x837, 0x838, 0x83e)
  for (const index of range(0x800, 0x8ff)) {
    const rights = access.get(index) ?? ''
    assert.equal(
      apic.readMsr(index) !== undefined,
      rights.includes('r'),
      `read ${index.toString(16)}`,
    )
    assert.equal(apic.writeMsr(index, 0n), rights.includes('w'), `write ${index.toString(16)}`)
  }
})

test('reserved bits fault in the x2APIC and are dropped in the xAPIC', () => {
  const cases: [number, number, bigint][] = [
    [TPR, 0x808, 0x100n],
    [EOI, 0x80b, 1n],
    [SVR, 0x80f, 0x400n],
    [ESR, 0x828, 1n],
    [ICR, 0x830, 1n << 13n],
    [ICR, 0x830, 1n << 12n],
    [ICR, 0x830, 1n << 20n],
    [LVT_TIMER, 0x832, 1n << 19n],
    [LINT0, 0x835, 1n << 11n],
    [LVT_ERROR, 0x837, 1n << 17n],
    [0x380, 0x838, 1n << 32n],
    [0x3e0, 0x83e, 4n],
  ]
  for (const [offset, msr, bit] of cases) {
    const { apic } = bench()
    apic.writeMmio(offset, Number(bit & 0xffffffffn))
    assert.equal(apic.readMmio(offset) & Number(bit & 0xffffffffn), 0)
    apic.writeMsr(APIC_BASE, BASE_X2APIC)
    assert.equal(apic.writeMsr(msr, bit), false, msr.toString(16))
  }
})

test('an ICR write sends; the xAPIC takes the destination from the upper half', () => {
  const { apic, log } = bench()
  apic.writeMmio(ICR_HIGH, 0x05ffffff)
  assert.equal(apic.readMmio(ICR_HIGH), 0x05000000)
  assert.deepEqual(log, [])
  apic.writeMmio(ICR, 0x000c5831)
  assert.deepEqual(log, ['ipi c4831 to 5'], 'the delivery status is never pending')
  apic.writeMsr(APIC_BASE, BASE_X2APIC)
  apic.writeMsr(0x830, 0x12345678_00000440n)
  assert.equal(log[1], 'ipi 440 to 12345678')
  assert.equal(apic.readMsr(0x830), 0x12345678_00000440n)
})

test('a self IPI raises an edge-triggered interrupt', () => {
  const { apic } = bench()
  apic.writeMsr(APIC_BASE, BASE_X2APIC)
  assert.equal(apic.writeMsr(0x83f, 0x44n), true)
  assert.equal(apic.highestPending(), 0x44)
  assert.equal(apic.writeMsr(0x83f, 0x144n), false)
})

test('errors become readable with the next write to the ESR, which forgets the last ones', () => {
  const { apic } = bench()
  apic.accept(15)
  assert.equal(apic.readMmio(ESR), 0)
  apic.writeMmio(ESR, 0)
  assert.equal(apic.readMmio(ESR), 0x40)
  apic.writeMmio(ESR, 0)
  assert.equal(apic.readMmio(ESR), 0)
})

test('a register that the xAPIC does not have reads 0 and sets bit 7 of the ESR', () => {
  const { apic } = bench()
  for (const offset of [0x00, 0x10, 0x40, 0x2f0, 0x3f0, 0x400, 0xff0]) {
    assert.equal(apic.readMmio(offset), 0)
    apic.writeMmio(ESR, 0)
    assert.equal(apic.readMmio(ESR), 0x80, offset.toString(16))
    apic.writeMmio(offset, 1)
    apic.writeMmio(ESR, 0)
    assert.equal(apic.readMmio(ESR), 0x80, offset.toString(16))
  }
})

test('sending an illegal vector is an error of the sender', () => {
  const { apic } = bench()
  apic.writeMmio(ICR, 0x0000400f)
  apic.writeMmio(ESR, 0)
  assert.equal(apic.readMmio(ESR), 0x20)
  apic.writeMsr(APIC_BASE, BASE_X2APIC)
  apic.writeMsr(0x83f, 5n)
  apic.writeMsr(0x828, 0n)
  assert.equal(apic.readMsr(0x828), 0x60n, 'sent and received by the same APIC')
})

test('an error raises its interrupt once, until the ESR is written', () => {
  const { apic } = bench()
  apic.writeMmio(LVT_ERROR, 0xfe)
  const raised = (): boolean => {
    apic.accept(3)
    const is = apic.highestPending() === 0xfe
    if (is) {
      apic.acknowledge()
      apic.writeMmio(EOI, 0)
    }
    return is
  }
  assert.deepEqual([raised(), raised()], [true, false])
  apic.writeMmio(ESR, 0)
  assert.equal(raised(), true)
})

test('an illegal vector in the error entry is one error more, and ends there (XSA-462)', () => {
  const { apic } = bench()
  apic.writeMmio(LVT_ERROR, 0x0f)
  apic.readMmio(0x40)
  apic.writeMmio(ESR, 0)
  assert.equal(apic.readMmio(ESR), 0xc0)
  assert.equal(apic.highestPending(), -1)
  apic.accept(0)
  apic.writeMmio(ESR, 0)
  assert.equal(apic.readMmio(ESR), 0x40)
})

test('local entries deliver in their mode', () => {
  const { apic, log } = bench()
  apic.writeMmio(LINT1, 0x400)
  apic.raiseLocal(LINT1)
  apic.writeMmio(LVT_THERMAL, 0x200)
  apic.raiseLocal(LVT_THERMAL)
  assert.deepEqual(log, ['nmi', 'smi'])
  apic.writeMmio(LVT_PERF, 0x55)
  apic.raiseLocal(LVT_PERF)
  assert.equal(apic.highestPending(), 0x55)
  assert.equal(apic.readMmio(LVT_PERF), 0x10055, 'a performance interrupt masks its entry')
  apic.writeMmio(LINT0, 0x700)
  assert.equal(apic.takesExtInt, true)
  apic.writeMmio(LINT0, 0x10700)
  assert.equal(apic.takesExtInt, false)
})

test('a level-triggered local interrupt shows in remote IRR until its EOI', () => {
  const { apic } = bench()
  apic.writeMmio(LINT0, 0x8044)
  apic.raiseLocal(LINT0)
  assert.equal(apic.readMmio(LINT0), 0xc044)
  assert.equal(apic.acknowledge(), 0x44)
  apic.writeMmio(EOI, 0)
  assert.equal(apic.readMmio(LINT0), 0x8044)
})

test('a register can be read from inside its four bytes, not in the twelve after', () => {
  const { apic } = bench()
  assert.equal(apic.readMmio(VERSION + 2) & 0xff, 0x05)
  assert.equal(apic.readMmio(VERSION + 4), 0)
  apic.writeMmio(TPR + 4, 0xff)
  assert.equal(apic.readMmio(TPR), 0)
})

test('a restored APIC shows the same registers and fires the same timer', () => {
  const { apic, clock, timers } = bench({ id: 2 })
  apic.writeMmio(LDR, 0x04000000)
  apic.writeMmio(DFR, 0x0fffffff)
  apic.writeMmio(TPR, 0x21)
  apic.writeMmio(LVT_ERROR, 0x33)
  apic.writeMmio(LINT0, 0x8055)
  apic.raiseLocal(LINT0)
  apic.writeMmio(ICR_HIGH, 0x77000000)
  apic.writeMmio(ICR, 0x4412)
  apic.readMmio(0)
  apic.writeMmio(ESR, 0)
  apic.accept(1)
  apic.writeMmio(LVT_TIMER, 0x200e0)
  apic.writeMmio(0x3e0, 0xb)
  apic.writeMmio(0x380, 100)
  clock.advance(1500)
  timers.runExpired(1500)

  const other = bench({ isEnabled: false, id: 2 })
  other.clock.restore(clock.save())
  other.timers.restore(timers.save())
  other.apic.restore(structuredClone(apic.save()))
  const registers = (a: LocalApic): number[] =>
    Array.from({ length: 0x40 }, (_, i) => (i < 2 ? 0 : a.readMmio(16 * i)))
  assert.deepEqual(registers(other.apic), registers(apic))
  assert.equal(other.apic.acknowledge(), 0xe0)
  assert.equal(other.timers.nextDeadline(), 2000)
  assert.equal(other.apic.readMsr(APIC_BASE), BASE_XAPIC)
  for (const a of [apic, other.apic]) {
    a.writeMmio(ESR, 0)
    assert.equal(a.readMmio(ESR) & 0x40, 0x40)
  }
})

// The model keeps the requests and services in lists and derives everything anew.
type Step = { accept: number; level: boolean } | { tpr: number } | 'take' | 'eoi'
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ accept: fc.integer({ min: 16, max: 255 }), level: fc.boolean() }),
  fc.record({ tpr: fc.nat(255) }),
  fc.constant('take' as const),
  fc.constant('eoi' as const),
)

test('priorities agree with a model of sets, also when saved and restored at every step', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.boolean(), (steps, isRestoredEachStep) => {
      let { apic } = bench()
      const requested = new Set<number>()
      const inService = new Set<number>()
      let tpr = 0
      const pending = (): number => {
        const top = Math.max(-1, ...requested)
        const busy = Math.max(tpr >> 4, Math.max(0, ...inService) >> 4)
        return top >> 4 > busy ? top : -1
      }
      for (const s of steps) {
        if (s === 'take') {
          const vector = pending()
          assert.equal(apic.acknowledge(), vector < 0 ? 0xff : vector)
          if (vector >= 0) {
            requested.delete(vector)
            inService.add(vector)
          }
        } else if (s === 'eoi') {
          inService.delete(Math.max(-1, ...inService))
          apic.endOfInterrupt()
        } else if ('tpr' in s) {
          tpr = s.tpr
          apic.writeMmio(TPR, tpr)
        } else {
          requested.add(s.accept)
          apic.accept(s.accept, s.level)
        }
        if (isRestoredEachStep) {
          const state = structuredClone(apic.save())
          apic = bench({ isEnabled: false }).apic
          apic.restore(state)
        }
        assert.equal(apic.highestPending(), pending())
      }
    }),
  )
})
