// Three-level events, as proposed for Xen in 2013 (Wei Liu's series of patches, never merged):
// the bitmaps of two-level events move to pages that the guest gives, and between them and the
// selector in vcpu_info comes a second selector, a word array for each processor, also the guest's.
//
//   evtchn_pending_sel ─▶ second selector ─▶ pending & ~mask          with 64 (32) bits at each step
//
// So a 64-bit guest has 64³ = 262,144 ports in eight pages each of pending and mask bits, a 32-bit
// one 32³ = 32,768 in one page each. Nothing here is relied on: whatever the guest writes there
// costs it its own events only.

import { invariant } from '../base/errors.ts'
import { FRAME_BYTES, type Mfn } from '../machine/frame-table.ts'
import type { Width } from './abi/structure.ts'
import type { EventAbi, EventTarget } from './event-abi.ts'
import type { EventPorts } from './event-port.ts'
import type { FrameMemory } from './frame-memory.ts'
import type { VcpuInfo } from './shared-info.ts'

const BITS_PER_PAGE = FRAME_BYTES * 8
const NOWHERE = -1

/** Where the second selector of a processor lies. */
interface Selector {
  readonly mfn: number
  readonly offset: number
}

/** The plain form of {@link ThreeLevelEvents}. */
export interface ThreeLevelEventsState {
  readonly version: 1
  readonly width: Width
  readonly pending: readonly number[]
  readonly mask: readonly number[]
  readonly selectors: readonly Selector[]
}

/** Pages of each bitmap: 8 for a 64-bit guest, 1 for a 32-bit one. */
export function bitmapPages(width: Width): number {
  return width ** 3 / BITS_PER_PAGE
}

/** Bytes of a second selector: a long for each bit of the first one. */
export function selectorBytes(width: Width): number {
  return (width * width) / 8
}

export class ThreeLevelEvents implements EventAbi {
  readonly name = '3-level'
  readonly #memory: FrameMemory
  readonly #ports: EventPorts
  readonly #vcpus: readonly VcpuInfo[]
  readonly #target: EventTarget
  #width: Width = 64
  #pending: Mfn[] = []
  #mask: Mfn[] = []
  #selectors: Selector[]

  constructor(
    memory: FrameMemory,
    ports: EventPorts,
    vcpus: readonly VcpuInfo[],
    target: EventTarget,
  ) {
    this.#memory = memory
    this.#ports = ports
    this.#vcpus = vcpus
    this.#target = target
    this.#selectors = vcpus.map(() => ({ mfn: NOWHERE, offset: 0 }))
  }

  get maxPorts(): number {
    return this.#width ** 3
  }

  get width(): Width {
    return this.#width
  }

  /** Takes the bitmaps, {@link bitmapPages} each; the caller passes its references on. */
  setBitmaps(width: Width, pending: readonly Mfn[], mask: readonly Mfn[]): void {
    invariant(
      pending.length === bitmapPages(width) && mask.length === bitmapPages(width),
      `bitmaps of ${pending.length} and ${mask.length} pages for a ${width}-bit guest`,
    )
    this.#width = width
    this.#pending = [...pending]
    this.#mask = [...mask]
  }

  hasSelector(vcpu: number): boolean {
    return (this.#selectors[vcpu]?.mfn ?? NOWHERE) !== NOWHERE
  }

  /**
   * Takes a processor's second selector; the caller passes its reference on. What came in for the
   * processor before is told now.
   */
  setSelector(vcpu: number, mfn: Mfn, offset: number): void {
    this.#selectors[vcpu] = { mfn, offset }
    for (let number = 1; number < this.#ports.count; number++) {
      if (!this.#ports.isBound(number) || this.#ports.vcpu(number) !== vcpu) continue
      if (this.isPending(number) && !this.isMasked(number)) this.#select(number)
    }
  }

  /** Every frame of which this holds a reference. */
  frames(): Mfn[] {
    const selectors = this.#selectors.filter(({ mfn }) => mfn !== NOWHERE)
    return [...this.#pending, ...this.#mask, ...selectors.map(({ mfn }) => mfn as Mfn)]
  }

  initialise(): void {}

  setPending(number: number): void {
    const page = this.#pending[number >>> 15]
    if (page === undefined) return
    if (this.#memory.testAndSetBit(page, 0, number & (BITS_PER_PAGE - 1))) return
    if (!this.isMasked(number)) this.#select(number)
    this.#target.wakePollers(number)
  }

  clearPending(number: number): void {
    const page = this.#pending[number >>> 15]
    if (page !== undefined) this.#memory.testAndClearBit(page, 0, number & (BITS_PER_PAGE - 1))
  }

  mask(number: number): void {
    const page = this.#mask[number >>> 15]
    if (page !== undefined) this.#memory.testAndSetBit(page, 0, number & (BITS_PER_PAGE - 1))
  }

  unmask(number: number): void {
    const page = this.#mask[number >>> 15]
    if (page === undefined) return
    const wasMasked = this.#memory.testAndClearBit(page, 0, number & (BITS_PER_PAGE - 1))
    if (wasMasked && this.isPending(number)) this.#select(number)
  }

  isPending(number: number): boolean {
    const page = this.#pending[number >>> 15]
    return page !== undefined && this.#memory.testBit(page, 0, number & (BITS_PER_PAGE - 1))
  }

  isMasked(number: number): boolean {
    const page = this.#mask[number >>> 15]
    return page === undefined || this.#memory.testBit(page, 0, number & (BITS_PER_PAGE - 1))
  }

  isBusy(): boolean {
    return false
  }

  save(): ThreeLevelEventsState {
    return {
      version: 1,
      width: this.#width,
      pending: [...this.#pending],
      mask: [...this.#mask],
      selectors: this.#selectors.map((selector) => ({ ...selector })),
    }
  }

  restore(state: ThreeLevelEventsState): void {
    invariant(state.version === 1, `3-level events of version ${state.version} are not known`)
    this.setBitmaps(state.width, state.pending as Mfn[], state.mask as Mfn[])
    this.#selectors = state.selectors.map((selector) => ({ ...selector }))
  }

  /** From the inside out, so that whoever sees a bit also finds the one below it. */
  #select(number: number): void {
    const id = this.#ports.vcpu(number)
    const vcpu = this.#vcpus[id]
    const selector = this.#selectors[id]
    // Without a second selector the event waits for it; see setSelector.
    if (!vcpu || !selector || selector.mfn === NOWHERE) return
    const shift = this.#width === 64 ? 6 : 5
    const word = number >>> shift
    if (this.#memory.testAndSetBit(selector.mfn as Mfn, selector.offset, word)) return
    if (vcpu.testAndSetSelector(word >>> shift)) return
    if (!vcpu.testAndSetUpcallPending()) this.#target.upcall(id)
  }
}
