// A hundred thousand hypercalls with arguments that look valid, straight into the dispatcher: three
// domains with stand-ins for processors, which name each other's ports, grants and frames, are
// stepped now and then, and end and are made anew. What wild arguments never reach is reached here.

import assert from 'node:assert/strict'
import { performance } from 'node:perf_hooks'
import { test } from 'node:test'
import * as threeLevelAbi from '../../src/xen/abi/event-channel-3l.ts'
import * as eventAbi from '../../src/xen/abi/event-channel.ts'
import * as grantAbi from '../../src/xen/abi/grant-table.ts'
import * as hvmAbi from '../../src/xen/abi/hvm-op.ts'
import { vcpu_hvm_context } from '../../src/xen/abi/hvm-vcpu.ts'
import * as memoryAbi from '../../src/xen/abi/memory.ts'
import * as schedAbi from '../../src/xen/abi/sched.ts'
import { type AbiFields, Structure, type Width } from '../../src/xen/abi/structure.ts'
import * as vcpuAbi from '../../src/xen/abi/vcpu.ts'
import * as abi from '../../src/xen/abi/xen.ts'
import { EVENT_ABI_NAMES } from '../../src/xen/event-abi.ts'
import { RAX, RBX, RCX, RDI, RDX, RSI, R8, R10 } from '../../src/xen/processor.ts'
import type { TestGuest } from '../../src/xen/testing/test-host.ts'
import { TestHost } from '../../src/xen/testing/test-host.ts'
import { Random } from './random.ts'

const CALLS = 100_000
const CALL_LIMIT_MS = 400
const DOMAINS = 3
const PAGES = 64
const REGISTERS = { 64: [RDI, RSI, RDX, R10, R8], 32: [RBX, RCX, RDX, RSI, RDI] } as const

type AnyStructure = Structure<AbiFields>

/** Hypercalls of the form (operation, pointer to a structure), by the structures' own names. */
function operations(): [number, number, AnyStructure][] {
  const found: [number, number, AnyStructure][] = []
  const families: [number, object, string, string][] = [
    [abi.__HYPERVISOR_event_channel_op, eventAbi, 'EVTCHNOP_', 'evtchn_'],
    [abi.__HYPERVISOR_event_channel_op, threeLevelAbi, 'EVTCHNOP_', 'evtchn_'],
    [abi.__HYPERVISOR_grant_table_op, grantAbi, 'GNTTABOP_', 'gnttab_'],
    [abi.__HYPERVISOR_sched_op, schedAbi, 'SCHEDOP_', 'sched_'],
    [abi.__HYPERVISOR_memory_op, memoryAbi, 'XENMEM_', 'xen_'],
    [abi.__HYPERVISOR_vcpu_op, vcpuAbi, 'VCPUOP_', 'vcpu_'],
    [abi.__HYPERVISOR_hvm_op, hvmAbi, 'HVMOP_', 'xen_hvm_'],
  ]
  for (const [number, header, prefix, start] of families) {
    const structures = new Map(
      Object.entries(header).filter(([, value]) => value instanceof Structure),
    ) as Map<string, AnyStructure>
    for (const [name, operation] of Object.entries(header)) {
      if (!name.startsWith(prefix) || typeof operation !== 'number') continue
      const plain = name.slice(prefix.length)
      const structure = structures.get(start + plain) ?? fallback(structures, plain)
      if (structure) found.push([number, operation, structure])
    }
  }
  return found
}

function fallback(structures: ReadonlyMap<string, AnyStructure>, name: string) {
  if (/reservation$|physmap$/.test(name)) return structures.get('xen_memory_reservation')
  if (name.endsWith('_param')) return structures.get('xen_hvm_param')
  if (name === 'initialise') return vcpu_hvm_context as unknown as AnyStructure
  if (name === 'shutdown_code') return structures.get('sched_shutdown')
  return structures.get('xen_memory_domain')
}

const OPERATIONS = operations()

/** What a field of that name may hold. */
function valueFor(random: Random, field: string): bigint {
  if (random.below(12) === 0) return random.wild()
  const small = (below: number) => BigInt(random.below(below))
  if (/dom/.test(field)) return random.pick([0x7ff0n, 0x7ff0n, 0x7ff0n, 0n, 1n, 2n, 3n, 4n])
  if (/port/.test(field)) return small(24)
  if (/extent_start|ports|buffer|list|idxs|gpfns|errs|addr/.test(field)) {
    return random.pick([0x9000n, 0x9ff8n, 0xa000n + small(256) * 8n, 0xfff0n, 0x3fff8n, 0x40000n])
  }
  if (/order|cmd/.test(field)) return small(4)
  if (/nr_|size|count/.test(field)) return small(40)
  if (/gfn|gpfn|mfn|idx|frame|gmfn/.test(field)) return small(PAGES + 16)
  if (/ref/.test(field)) return small(16)
  if (/vcpu|virq|version|space|flags|priority/.test(field)) return small(5)
  if (/timeout|ns/.test(field)) return small(1 << 30)
  return small(64)
}

function fill(random: Random, width: Width, structure: AnyStructure): Uint8Array {
  const bytes = new Uint8Array(structure.size(width))
  for (const field of structure.fields) {
    let value = valueFor(random, field)
    for (let at = structure.offsetOf(width, field); at < structure.endOf(width, field); at++) {
      bytes[at] = Number(value & 255n)
      value >>= 8n
    }
  }
  return bytes
}

/** Entries of version 1 that grant pages to the other domains, where the guest's table is. */
function grantSome(random: Random, { domain }: TestGuest): void {
  const { grants } = domain
  if (grants.entryCount === 0) grants.grow(1)
  const to = random.below(DOMAINS + 2)
  grants.seed(8 + random.below(8), to, random.below(PAGES + 8))
}

function callOnce(random: Random, guest: TestGuest): void {
  const width: Width = random.below(2) ? 64 : 32
  const [number, operation, structure] = random.pick(OPERATIONS)
  const isEnd = number === abi.__HYPERVISOR_sched_op && operation === schedAbi.SCHEDOP_shutdown
  // Domains that live long get into more states.
  if (isEnd && random.below(40) !== 0) return
  const isList = number === abi.__HYPERVISOR_grant_table_op
  const count = isList ? 1 + random.below(4) : 1
  const size = structure.size(width)
  const at = random.pick([0x8000, 0x8000, 0x8ffc - size, 0x8000 + random.below(2048)])
  for (let i = 0; i < count; i++) {
    guest.domain.writePhysical(at + i * size, fill(random, width, structure))
  }
  for (let i = 0; i < 8; i++) {
    const word = new Uint8Array(8)
    new DataView(word.buffer).setBigUint64(
      0,
      valueFor(random, random.pick(['gfn', 'port', 'x'])),
      true,
    )
    guest.domain.writePhysical(0x9000 + i * 8, word)
  }
  const processor = guest.processor(random.below(2))
  processor.codeSize = width
  const vcpu = number === abi.__HYPERVISOR_vcpu_op ? BigInt(random.below(3)) : undefined
  const args = [
    BigInt(operation),
    vcpu ?? BigInt(at),
    vcpu === undefined ? BigInt(count) : BigInt(at),
    BigInt(random.below(9)),
  ]
  processor.writeRegister(RAX, BigInt(number))
  REGISTERS[width].forEach((register, i) => processor.writeRegister(register, args[i] ?? 0n))
  for (let go = 0; go < 20; go++) {
    const { rip } = processor
    processor.host.vmcall()
    if (processor.rip === rip) return
    processor.rip = rip
  }
}

test(`${CALLS} hypercalls with plausible arguments leave the host as it was`, () => {
  assert.ok(OPERATIONS.length > 50, `${OPERATIONS.length} operations`)
  const host = new TestHost({}, 2048)
  const { frames, timers, hypervisor } = host
  const before = { free: frames.freeFrames, timers: timers.size }
  const random = new Random(20_260_101)
  const eventAbis = EVENT_ABI_NAMES
  const make = () =>
    host.guest({ maxPages: 128, maxGrantFrames: 8, maxPort: 200, eventAbis }, PAGES)
  const guests = Array.from({ length: DOMAINS }, make)
  const results = new Map<bigint, number>()
  let slowest = 0
  for (let i = 0; i < CALLS; i++) {
    const place = random.below(DOMAINS)
    const guest = guests[place] as TestGuest
    if (random.below(4) === 0) grantSome(random, guest)
    const start = performance.now()
    callOnce(random, guest)
    slowest = Math.max(slowest, performance.now() - start)
    const result = BigInt.asIntN(32, guest.processor().readRegister(RAX))
    results.set(result, (results.get(result) ?? 0) + 1)
    if (i % 16 === 0) hypervisor.step()
    const { domain } = guest
    assert.ok(domain.totalPages <= domain.maxPages)
    if (random.below(2000) === 0 || domain.shutdownReason !== undefined) {
      hypervisor.destroyDomain(domain)
      guests[place] = make()
    }
  }
  hypervisor.save()
  for (const { domain } of guests) hypervisor.destroyDomain(domain)
  assert.deepEqual({ free: frames.freeFrames, timers: timers.size }, before)
  assert.deepEqual(hypervisor.control.channels.boundPorts(), [])
  assert.ok(slowest < CALL_LIMIT_MS, `a call took ${slowest.toFixed(0)} ms`)
  // Many must have come through, or this tests nothing but the first checks.
  assert.ok((results.get(0n) ?? 0) > CALLS / 20, `only ${results.get(0n)} calls did anything`)
})
