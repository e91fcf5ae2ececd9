// Guest memory in emitted code: a linear address goes through the software TLB to a host offset.
// One compare of the last byte's page with the entry of the first byte's page covers presence,
// permission, crossing into another page, MMIO and pages that hold decoded code; whatever fails
// it goes to TypeScript. (Layout of the TLB: mmu/tlb.ts.)

import type { Value } from '../../wasm/value.ts'
import { TLB_READ, TLB_WRITE } from '../mmu/tlb.ts'
import { BOUNCE } from '../state.ts'
import type { Emitter } from './emitter.ts'
import type { STACK_ACCESS } from './runtime.ts'
import { TlbProbe } from './tlb-probe.ts'

/** How values of a number of bits are loaded and stored; narrow ones are zero-extended i32. */
const ACCESS = {
  8: { type: 'i32', load: 'i32.load8_u', store: 'i32.store8' },
  16: { type: 'i32', load: 'i32.load16_u', store: 'i32.store16' },
  32: { type: 'i32', load: 'i32.load', store: 'i32.store' },
  64: { type: 'i64', load: 'i64.load', store: 'i64.store' },
  128: { type: 'v128', load: 'v128.load', store: 'v128.store' },
} as const

/** STACK_ACCESS for an access to the stack, 0 for any other. */
export type AccessKind = 0 | typeof STACK_ACCESS

export type AccessBits = keyof typeof ACCESS

/** Type and instructions of accesses of 8, 16, 32, 64 or 128 bits. */
export function access(bits: number): (typeof ACCESS)[AccessBits] {
  return ACCESS[bits as AccessBits]
}

export class MemoryAccess {
  readonly #e: Emitter
  readonly probe: TlbProbe

  constructor(e: Emitter) {
    this.#e = e
    this.probe = new TlbProbe(e.f, e.cpu)
  }

  /**
   * Host offset of `size` bytes at a linear address that may be read; faults leave the
   * instruction. The bytes may be a copy: they are for reading, at once.
   */
  readable(linear: Value, size: number, kind: AccessKind = 0): Value {
    return this.#pointer(linear, size, TLB_READ, 'slowRead', kind)
  }

  #pointer(
    linear: Value,
    size: number,
    tag: number,
    slow: 'slowRead' | 'slowModify',
    kind: AccessKind = 0,
  ): Value {
    const { f } = this.#e
    const direct = this.#e.canRetreat ? this.#e.direct(linear, size, tag, kind) : undefined
    if (direct) return direct
    const { probe } = this
    const last = probe.last(linear, size)
    const first = probe.set(linear)
    if (this.#retreatUnless(() => probe.hit(last, first, tag))) {
      return probe.translated(linear, first)
    }
    const entry = probe.entry(linear, last, tag)
    return f.choose(
      'i32',
      probe.hit(last, entry, tag),
      () => probe.translated(linear, entry),
      () => {
        const at = this.#e.callSlow(slow, linear, size | kind)
        this.#e.leaveIf(f.eqz(at))
        return at
      },
      'likely',
    )
  }

  /**
   * Leaves all that is not the common case to another form of the instruction, if that is still
   * possible. What remains then calls nothing: V8 keeps everything in registers and checks no
   * stack (bench/interpreter).
   */
  #retreatUnless(isHit: () => Value): boolean {
    const e = this.#e
    if (!e.canRetreat) return false
    e.f.if(e.f.eqz(isHit()), () => e.retreat(), undefined, 'unlikely')
    return true
  }

  /** Loads 8, 16, 32, 64 or 128 bits. */
  load(bits: number, linear: Value, kind: AccessKind = 0): Value {
    return this.#e.f.loadTrapping(access(bits).load, this.readable(linear, bits / 8, kind))
  }

  /** Stores 8, 16, 32, 64 or 128 bits. */
  store(bits: number, linear: Value, value: Value, kind: AccessKind = 0): void {
    const { f } = this.#e
    const { store } = access(bits)
    const direct = this.#e.canRetreat
      ? this.#e.direct(linear, bits / 8, TLB_WRITE, kind)
      : undefined
    if (direct) return f.store(store, direct, value)
    const { probe } = this
    const last = probe.last(linear, bits / 8)
    const first = probe.set(linear)
    if (this.#retreatUnless(() => probe.hit(last, first, TLB_WRITE))) {
      return f.store(store, probe.translated(linear, first), value)
    }
    const entry = probe.entry(linear, last, TLB_WRITE)
    f.if(
      probe.hit(last, entry, TLB_WRITE),
      () => f.store(store, probe.translated(linear, entry), value),
      () => {
        f.store(store, this.#e.cpu, value, BOUNCE)
        this.#e.leaveIf(f.eqz(this.#e.callSlow('slowWrite', linear, (bits / 8) | kind)))
      },
      'likely',
    )
  }

  /**
   * Reads, changes and writes back 8, 16, 32 or 64 bits. Whether the memory may be written is
   * known before `change` runs: what `change` does besides cannot be undone by a fault. Gives
   * the old value.
   */
  modify(bits: number, linear: Value, change: (old: Value) => Value, kind: AccessKind = 0): Value {
    const { f } = this.#e
    const { load, store } = access(bits)
    const isDirect = this.#e.canRetreat
    const at = this.#pointer(linear, bits / 8, TLB_WRITE, 'slowModify', kind)
    const old = f.loadTrapping(load, at)
    f.store(store, at, change(old))
    if (isDirect) return old
    f.if(
      f.eq(at, f.add(this.#e.cpu, f.i32(BOUNCE))),
      () => this.#e.callRuntime('commitModify', this.#e.cpu),
      undefined,
      'unlikely',
    )
    return old
  }

  /** Host offset of `size` writable bytes within a page for a fast loop, or 0 if there is none. */
  writableFast(linear: Value, size: number): Value {
    return this.#fast(linear, size, TLB_WRITE)
  }

  /** Host offset of `size` readable bytes within a page for a fast loop, or 0 if there is none. */
  readableFast(linear: Value, size: number): Value {
    return this.#fast(linear, size, TLB_READ)
  }

  #fast(linear: Value, size: number, tag: number): Value {
    const { f } = this.#e
    const { probe } = this
    const last = probe.last(linear, size)
    const entry = probe.entry(linear, last, tag)
    return f.choose(
      'i32',
      probe.hit(last, entry, tag),
      () => probe.translated(linear, entry),
      () => f.i32(0),
      'likely',
    )
  }
}
