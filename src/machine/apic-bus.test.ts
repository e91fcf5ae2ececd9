import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApicBus } from './apic-bus.ts'
import { LocalApic } from './local-apic.ts'
import { VirtualClock } from './time.ts'
import { Timers } from './timers.ts'
import { Tsc } from './tsc.ts'

const LDR = 0xd0
const DFR = 0xe0
const SVR = 0xf0
const ICR = 0x300
const ICR_HIGH = 0x310
const APIC_BASE = 0x1b

const FIXED = 0x4000
const LOWEST = 0x4100
const NMI = 0x4400
const INIT = 0x4500
const STARTUP = 0x4600
const LOGICAL = 0x800
const SELF = 1 << 18
const ALL = 2 << 18
const OTHERS = 3 << 18

class Domain {
  readonly bus = new ApicBus()
  readonly apics: LocalApic[] = []
  readonly log: string[] = []

  constructor(vcpus: number, mode: 'xapic' | 'x2apic' = 'xapic') {
    const clock = new VirtualClock({ seconds: 0, nanoseconds: 0 })
    for (let n = 0; n < vcpus; n++) {
      const events = {
        interruptPending: () => {},
        nmi: () => this.log.push(`nmi ${n}`),
        smi: () => this.log.push(`smi ${n}`),
        init: () => this.log.push(`init ${n}`),
        startup: (page: number) => this.log.push(`startup ${n} at ${page}`),
      }
      const apic = new LocalApic({
        id: 2 * n,
        isBsp: n === 0,
        clock,
        timers: new Timers(),
        tsc: new Tsc(1_000_000),
        output: this.bus,
        events,
      })
      apic.writeMmio(SVR, 0x1ff)
      if (mode === 'x2apic') apic.writeMsr(APIC_BASE, (apic.readMsr(APIC_BASE) as bigint) | 0x400n)
      this.bus.attach(apic)
      this.apics.push(apic)
    }
  }

  /** Sends from a vCPU and says which vCPUs now have the vector 0x40 to take; they take it. */
  send(from: number, icr: number, destination = 0): number[] {
    const apic = this.apics[from] as LocalApic
    if (apic.isX2apic) {
      assert.equal(apic.writeMsr(0x830, (BigInt(destination) << 32n) | BigInt(icr)), true)
    } else {
      apic.writeMmio(ICR_HIGH, (destination << 24) >>> 0)
      apic.writeMmio(ICR, icr)
    }
    return this.takers()
  }

  takers(): number[] {
    const takers = this.apics.flatMap((apic, n) => (apic.highestPending() === 0x40 ? [n] : []))
    for (const n of takers) {
      this.apics[n]?.acknowledge()
      this.apics[n]?.endOfInterrupt()
    }
    return takers
  }
}

test('a physical destination is an APIC ID, and all ones are everybody', () => {
  const xapic = new Domain(4)
  assert.deepEqual(xapic.send(0, FIXED | 0x40, 4), [2])
  assert.deepEqual(xapic.send(0, FIXED | 0x40, 3), [])
  assert.deepEqual(xapic.send(0, FIXED | 0x40, 0xff), [0, 1, 2, 3])
  const x2apic = new Domain(4, 'x2apic')
  assert.deepEqual(x2apic.send(1, FIXED | 0x40, 6), [3])
  assert.deepEqual(x2apic.send(1, FIXED | 0x40, 0xff), [])
  assert.deepEqual(x2apic.send(1, FIXED | 0x40, 0xffffffff), [0, 1, 2, 3])
})

test('shorthands mean oneself, everybody, and everybody else', () => {
  const domain = new Domain(3)
  assert.deepEqual(domain.send(1, FIXED | SELF | 0x40), [1])
  assert.deepEqual(domain.send(1, FIXED | ALL | 0x40), [0, 1, 2])
  assert.deepEqual(domain.send(1, FIXED | OTHERS | 0x40), [0, 2])
})

test('in the flat model each bit of the destination is an APIC', () => {
  const domain = new Domain(3)
  for (const [n, apic] of domain.apics.entries()) apic.writeMmio(LDR, (1 << n) << 24)
  assert.deepEqual(domain.send(0, FIXED | LOGICAL | 0x40, 0b101), [0, 2])
  assert.deepEqual(domain.send(0, FIXED | LOGICAL | 0x40, 0b1000), [])
  assert.deepEqual(domain.send(0, FIXED | LOGICAL | 0x40, 0xff), [0, 1, 2])
})

test('in the cluster model the upper half is the cluster (15: all), the lower half APICs', () => {
  const domain = new Domain(4)
  for (const [n, apic] of domain.apics.entries()) {
    apic.writeMmio(DFR, 0x0fffffff)
    apic.writeMmio(LDR, (((n >> 1) << 4) | (1 << (n & 1))) << 24)
  }
  assert.deepEqual(domain.send(0, FIXED | LOGICAL | 0x40, 0x01), [0])
  assert.deepEqual(domain.send(0, FIXED | LOGICAL | 0x40, 0x13), [2, 3])
  assert.deepEqual(domain.send(0, FIXED | LOGICAL | 0x40, 0xf2), [1, 3])
  assert.deepEqual(domain.send(0, FIXED | LOGICAL | 0x40, 0xff), [0, 1, 2, 3])
})

test('in the x2APIC the upper sixteen bits are the cluster of sixteen IDs', () => {
  // IDs 0, 2, ... 14 make cluster 0, 16 and 18 cluster 1.
  const domain = new Domain(10, 'x2apic')
  assert.deepEqual(domain.send(0, FIXED | LOGICAL | 0x40, 0x00000005), [0, 1])
  assert.deepEqual(domain.send(0, FIXED | LOGICAL | 0x40, 0x00010005), [8, 9])
  assert.deepEqual(domain.send(0, FIXED | LOGICAL | 0x40, 0x00020001), [])
  assert.equal(domain.send(0, FIXED | LOGICAL | 0x40, 0xffffffff).length, 10)
})

test('a lowest-priority interrupt goes to one of the least busy, in turn', () => {
  const domain = new Domain(3)
  const send = (): number[] => domain.send(0, LOWEST | 0x40, 0xff)
  assert.deepEqual([send(), send(), send(), send()], [[0], [1], [2], [0]])
  for (const n of [0, 1]) {
    const apic = domain.apics[n] as LocalApic
    apic.taskPriority = 0x30
  }
  assert.deepEqual([send(), send()], [[2], [2]])
  domain.apics[2]?.writeMmio(SVR, 0xff)
  assert.deepEqual(send(), [0], 'one that is disabled takes no part')
})

test('the turn of lowest-priority interrupts survives a save', () => {
  const domain = new Domain(3)
  domain.send(0, LOWEST | 0x40, 0xff)
  const other = new Domain(3)
  other.bus.restore(structuredClone(domain.bus.save()))
  assert.deepEqual(other.send(0, LOWEST | 0x40, 0xff), [1])
})

test('a processor is started with INIT, a de-assertion without effect, and two SIPIs', () => {
  const domain = new Domain(2)
  domain.send(0, INIT | 0x8000, 2)
  domain.send(0, 0x8500, 2)
  domain.send(0, STARTUP | 0x9a, 2)
  domain.send(0, STARTUP | 0x9a, 2)
  assert.deepEqual(domain.log, ['init 1', 'startup 1 at 154', 'startup 1 at 154'])
})

test('an NMI goes through at any priority; INIT to oneself by shorthand is dropped', () => {
  const domain = new Domain(2)
  for (const apic of domain.apics) apic.taskPriority = 0xff
  domain.send(0, NMI, 2)
  domain.send(0, NMI | SELF)
  domain.send(0, INIT | SELF)
  domain.send(0, INIT | ALL)
  domain.send(0, INIT | OTHERS)
  assert.deepEqual(domain.log, ['nmi 1', 'nmi 0', 'init 1'])
})

test('an interrupt of a device reaches its destination, and its end the I/O APICs', () => {
  const ended: number[] = []
  const bus = new ApicBus((vector) => ended.push(vector))
  const domain = new Domain(2)
  for (const apic of domain.apics) bus.attach(apic)
  bus.deliver(0xc040, 2)
  assert.deepEqual(domain.takers(), [1])
  bus.deliver(0x4040, 0xff)
  assert.deepEqual(domain.takers(), [0, 1])
  bus.endOfInterrupt(0x40)
  assert.deepEqual(ended, [0x40])
})
