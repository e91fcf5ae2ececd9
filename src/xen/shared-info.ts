// The page shared between Xen and a domain (public/xen.h, struct shared_info), and the vcpu_info of
// each processor, which lies in it until the guest moves it elsewhere. Xen keeps nothing here that
// it relies on: a guest may write anything at any time.

import { invariant } from '../base/errors.ts'
import type { Mfn } from '../machine/frame-table.ts'
import type { WallTime } from '../machine/time.ts'
import type { Width } from './abi/structure.ts'
import {
  compat_shared_info,
  shared_info,
  VCPU_INFO_SIZE,
  VCPU_INFO_TIME,
  vcpu_info,
  XEN_LEGACY_MAX_VCPUS,
} from './abi/xen.ts'
import type { FrameMemory } from './frame-memory.ts'

const PLACES = {
  64: {
    pending: shared_info.offsetOf(64, 'evtchn_pending'),
    mask: shared_info.offsetOf(64, 'evtchn_mask'),
    wallVersion: shared_info.offsetOf(64, 'wc_version'),
    wallSeconds: shared_info.offsetOf(64, 'wc_sec'),
    wallNanoseconds: shared_info.offsetOf(64, 'wc_nsec'),
    wallSecondsHigh: shared_info.offsetOf(64, 'wc_sec_hi'),
    pendingSelector: vcpu_info.offsetOf(64, 'evtchn_pending_sel'),
  },
  32: {
    pending: compat_shared_info.offsetOf(32, 'evtchn_pending'),
    mask: compat_shared_info.offsetOf(32, 'evtchn_mask'),
    wallVersion: compat_shared_info.offsetOf(32, 'wc_version'),
    wallSeconds: compat_shared_info.offsetOf(32, 'wc_sec'),
    wallNanoseconds: compat_shared_info.offsetOf(32, 'wc_nsec'),
    wallSecondsHigh: compat_shared_info.offsetOf(32, 'arch.wc_sec_hi'),
    pendingSelector: vcpu_info.offsetOf(32, 'evtchn_pending_sel'),
  },
} as const

/** Where a vcpu_info lies: a frame and an offset in it. */
export interface VcpuInfoPlace {
  readonly mfn: number
  readonly offset: number
}

/** The plain form of a {@link SharedInfo}. */
export interface SharedInfoState {
  readonly version: 1
  readonly mfn: number
  readonly gfn: number
  readonly width: Width
}

export class SharedInfo {
  readonly memory: FrameMemory
  #mfn: Mfn
  /** The guest frame it is mapped at; -1 while it is not. */
  gfn = -1
  /**
   * The layout that the guest uses. A domain starts with the 64-bit one; Xen takes on the width of
   * the caller when the hypercall page or the callback is set up.
   */
  width: Width = 64

  /** `mfn` is a frame of the Xen heap that belongs to the domain. */
  constructor(memory: FrameMemory, mfn: Mfn) {
    this.memory = memory
    this.#mfn = mfn
  }

  get mfn(): Mfn {
    return this.#mfn
  }

  /** Where the vcpu_info of a processor lies at first; undefined above 32 processors. */
  placeOf(vcpu: number): VcpuInfoPlace | undefined {
    if (vcpu >= XEN_LEGACY_MAX_VCPUS) return undefined
    return { mfn: this.#mfn, offset: vcpu * VCPU_INFO_SIZE }
  }

  // The bitmaps of the two-level ABI.

  isPending(port: number): boolean {
    return this.memory.testBit(this.#mfn, PLACES[this.width].pending, port)
  }

  testAndSetPending(port: number): boolean {
    return this.memory.testAndSetBit(this.#mfn, PLACES[this.width].pending, port)
  }

  clearPending(port: number): void {
    this.memory.testAndClearBit(this.#mfn, PLACES[this.width].pending, port)
  }

  isMasked(port: number): boolean {
    return this.memory.testBit(this.#mfn, PLACES[this.width].mask, port)
  }

  setMask(port: number): void {
    this.memory.testAndSetBit(this.#mfn, PLACES[this.width].mask, port)
  }

  testAndClearMask(port: number): boolean {
    return this.memory.testAndClearBit(this.#mfn, PLACES[this.width].mask, port)
  }

  /** Writes the wall clock's time at system time 0, under its version protocol. */
  writeWallClock(time: WallTime): void {
    const { wallVersion, wallSeconds, wallNanoseconds, wallSecondsHigh } = PLACES[this.width]
    const version = (this.memory.get32(this.#mfn, wallVersion) + 1) | 1
    this.memory.set32(this.#mfn, wallVersion, version)
    this.memory.set32(this.#mfn, wallSeconds, time.seconds)
    this.memory.set32(this.#mfn, wallNanoseconds, time.nanoseconds)
    this.memory.set32(this.#mfn, wallSecondsHigh, Math.floor(time.seconds / 2 ** 32))
    this.memory.set32(this.#mfn, wallVersion, version + 1)
  }

  save(): SharedInfoState {
    return { version: 1, mfn: this.#mfn, gfn: this.gfn, width: this.width }
  }

  restore(state: SharedInfoState): void {
    invariant(state.version === 1, `a shared_info of version ${state.version} is not known`)
    this.#mfn = state.mfn as Mfn
    this.gfn = state.gfn
    this.width = state.width
  }
}

/** The plain form of a {@link VcpuInfo}. */
export interface VcpuInfoState {
  readonly version: 1
  readonly mfn: number
  readonly offset: number
  readonly isRegistered: boolean
}

/** A processor's vcpu_info, wherever it lies. One that lies nowhere swallows what is written. */
export class VcpuInfo {
  readonly #shared: SharedInfo
  #mfn: number
  #offset: number
  /** The guest has moved it (VCPUOP_register_vcpu_info): it may do so only once. */
  isRegistered = false

  constructor(shared: SharedInfo, vcpu: number) {
    this.#shared = shared
    const place = shared.placeOf(vcpu)
    this.#mfn = place?.mfn ?? -1
    this.#offset = place?.offset ?? 0
  }

  /** Does it lie anywhere. */
  get exists(): boolean {
    return this.#mfn >= 0
  }

  get mfn(): number {
    return this.#mfn
  }

  /** Moves the contents to another place, of which the caller holds a reference. */
  moveTo(mfn: Mfn, offset: number): void {
    const { memory } = this.#shared
    const bytes = this.exists
      ? memory.read(this.#mfn as Mfn, this.#offset, VCPU_INFO_SIZE)
      : new Uint8Array(VCPU_INFO_SIZE)
    memory.write(mfn, offset, bytes)
    this.#mfn = mfn
    this.#offset = offset
    this.isRegistered = true
  }

  /** Back to the shared page. Answers the frame that it lay in before, if the guest had moved it. */
  reset(vcpu: number): Mfn | undefined {
    const old = this.isRegistered ? (this.#mfn as Mfn) : undefined
    const place = this.#shared.placeOf(vcpu)
    this.#mfn = place?.mfn ?? -1
    this.#offset = place?.offset ?? 0
    this.isRegistered = false
    return old
  }

  get upcallPending(): boolean {
    return this.exists && this.#shared.memory.get8(this.#mfn as Mfn, this.#offset) !== 0
  }

  /** Sets evtchn_upcall_pending; answers whether it was set. */
  testAndSetUpcallPending(): boolean {
    if (!this.exists) return true
    if (this.upcallPending) return true
    this.#shared.memory.set8(this.#mfn as Mfn, this.#offset, 1)
    return false
  }

  /** Sets a bit of evtchn_pending_sel; answers whether it was set. */
  testAndSetSelector(word: number): boolean {
    if (!this.exists) return true
    const at = this.#offset + PLACES[this.#shared.width].pendingSelector
    return this.#shared.memory.testAndSetBit(this.#mfn as Mfn, at, word)
  }

  /** Clears evtchn_pending_sel. */
  clearSelectors(): void {
    if (!this.exists) return
    const { memory, width } = this.#shared
    const at = this.#offset + PLACES[width].pendingSelector
    memory.write(this.#mfn as Mfn, at, new Uint8Array(width / 8))
  }

  /** Sets all of evtchn_pending_sel: whatever may be pending has to be looked for. */
  setAllSelectors(): void {
    if (!this.exists) return
    const { memory, width } = this.#shared
    const at = this.#offset + PLACES[width].pendingSelector
    memory.write(this.#mfn as Mfn, at, new Uint8Array(width / 8).fill(0xff))
  }

  /** Stores vcpu_time_info, whose version is the first word: odd first, then the rest, then even. */
  writeTime(time: Uint8Array): void {
    if (!this.exists) return
    const { memory } = this.#shared
    const mfn = this.#mfn as Mfn
    const at = this.#offset + VCPU_INFO_TIME
    const word = (i: number) =>
      (time[i] as number) |
      ((time[i + 1] as number) << 8) |
      ((time[i + 2] as number) << 16) |
      ((time[i + 3] as number) << 24)
    const version = word(0)
    for (let i = 0; i < 4; i++) memory.set8(mfn, at + i, ((version - 1) >>> (8 * i)) & 0xff)
    memory.write(mfn, at + 4, time.subarray(4))
    for (let i = 0; i < 4; i++) memory.set8(mfn, at + i, (version >>> (8 * i)) & 0xff)
  }

  save(): VcpuInfoState {
    return {
      version: 1,
      mfn: this.#mfn,
      offset: this.#offset,
      isRegistered: this.isRegistered,
    }
  }

  restore(state: VcpuInfoState): void {
    invariant(state.version === 1, `a vcpu_info of version ${state.version} is not known`)
    this.#mfn = state.mfn
    this.#offset = state.offset
    this.isRegistered = state.isRegistered
  }
}
