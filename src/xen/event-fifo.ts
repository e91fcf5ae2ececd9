// FIFO events (public/event_channel.h): a word for each port in an array that the guest gives page
// by page, and a control block for each processor with the heads of sixteen queues. A queue is a
// list through the LINK fields of the words; Xen appends at the tail, the guest takes the head.
//
// The words are the guest's to corrupt. Nothing here follows a link: each send looks at the word of
// its own port and at that of the tail, so hostile contents cost the guest its own events only.
// Guests run in turns with this code, so BUSY, which guards against both at once, is never needed.

import { invariant } from '../base/errors.ts'
import type { Mfn } from '../machine/frame-table.ts'
import { XEN_EINVAL, XEN_ENOSPC } from './abi/errno.ts'
import {
  EVTCHN_FIFO_LINK_MASK,
  EVTCHN_FIFO_LINKED,
  EVTCHN_FIFO_MASKED,
  EVTCHN_FIFO_MAX_QUEUES,
  EVTCHN_FIFO_NR_CHANNELS,
  EVTCHN_FIFO_PENDING,
  EVTCHN_FIFO_PRIORITY_DEFAULT,
  evtchn_fifo_control_block,
} from './abi/event-channel.ts'
import { type EventAbi, type EventPort, type EventTarget, PortState } from './event-port.ts'
import type { FrameMemory } from './frame-memory.ts'
import type { VcpuInfo } from './shared-info.ts'

const PENDING = 2 ** EVTCHN_FIFO_PENDING
const MASKED = 2 ** EVTCHN_FIFO_MASKED
const LINKED = 2 ** EVTCHN_FIFO_LINKED
const WORDS_PER_PAGE = 1024
const MAX_ARRAY_PAGES = EVTCHN_FIFO_NR_CHANNELS / WORDS_PER_PAGE
const READY = evtchn_fifo_control_block.offsetOf(64, 'ready')
const HEAD = evtchn_fifo_control_block.offsetOf(64, 'head')

/** Bytes of a control block. */
export const CONTROL_BLOCK_SIZE = evtchn_fifo_control_block.size(64)

interface ControlBlock {
  /** -1 until the guest has given one for the processor. */
  mfn: number
  offset: number
  /** The last port appended to each queue; 0 for none. */
  tails: number[]
}

/** The plain form of {@link FifoEvents}. */
export interface FifoEventsState {
  readonly version: 1
  readonly array: readonly number[]
  readonly controls: readonly {
    readonly mfn: number
    readonly offset: number
    readonly tails: readonly number[]
  }[]
}

export class FifoEvents implements EventAbi {
  readonly name = 'FIFO'
  readonly maxPorts = EVTCHN_FIFO_NR_CHANNELS
  readonly #memory: FrameMemory
  readonly #vcpus: readonly VcpuInfo[]
  readonly #target: EventTarget
  #array: Mfn[] = []
  #controls: ControlBlock[]

  constructor(memory: FrameMemory, vcpus: readonly VcpuInfo[], target: EventTarget) {
    this.#memory = memory
    this.#vcpus = vcpus
    this.#target = target
    this.#controls = vcpus.map(() => ({
      mfn: -1,
      offset: 0,
      tails: new Array<number>(EVTCHN_FIFO_MAX_QUEUES).fill(0),
    }))
  }

  /** Ports that have an event word. */
  get wordCount(): number {
    return this.#array.length * WORDS_PER_PAGE
  }

  hasControlBlock(vcpu: number): boolean {
    return (this.#controls[vcpu]?.mfn ?? -1) >= 0
  }

  /** Takes a processor's control block; the caller passes its reference of the frame on. */
  setControlBlock(vcpu: number, mfn: Mfn, offset: number): number {
    const control = this.#controls[vcpu]
    if (!control || control.mfn >= 0) return -XEN_EINVAL
    control.mfn = mfn
    control.offset = offset
    return 0
  }

  /** Takes one more page of event words; the caller passes its reference of the frame on. */
  addArrayPage(mfn: Mfn): number {
    if (this.#array.length >= MAX_ARRAY_PAGES) return -XEN_ENOSPC
    this.#array.push(mfn)
    return 0
  }

  get isArrayFull(): boolean {
    return this.#array.length >= MAX_ARRAY_PAGES
  }

  /** Every frame of which this holds a reference. */
  frames(): Mfn[] {
    const controls = this.#controls.filter(({ mfn }) => mfn >= 0).map(({ mfn }) => mfn as Mfn)
    return [...this.#array, ...controls]
  }

  initialise(_number: number, port: EventPort): void {
    port.priority = EVTCHN_FIFO_PRIORITY_DEFAULT
  }

  setPending(number: number, port: EventPort): void {
    const word = this.#read(number)
    if (word === undefined) {
      port.isLatched = true
      return
    }
    const wasPending = (word & PENDING) !== 0
    let now = (word | PENDING) >>> 0
    const isQuiet = (word & MASKED) !== 0 || (word & LINKED) !== 0
    if (!isQuiet && this.hasControlBlock(port.vcpu)) {
      now = (now | LINKED) >>> 0
      this.#write(number, now)
      this.#append(number, port)
    } else {
      this.#write(number, now)
    }
    if (!wasPending) this.#target.wakePollers(number)
  }

  clearPending(number: number, port: EventPort): void {
    port.isLatched = false
    const word = this.#read(number)
    if (word !== undefined) this.#write(number, word & ~PENDING)
  }

  unmask(number: number, port: EventPort): void {
    const word = this.#read(number)
    if (word === undefined) return
    this.#write(number, word & ~MASKED)
    if (word & PENDING && port.state !== PortState.free) this.setPending(number, port)
  }

  isPending(number: number): boolean {
    return ((this.#read(number) ?? 0) & PENDING) !== 0
  }

  isMasked(number: number): boolean {
    const word = this.#read(number)
    return word === undefined || (word & MASKED) !== 0
  }

  /** Still on a queue: given out anew, it would be delivered to whoever had it before. */
  isBusy(number: number): boolean {
    return ((this.#read(number) ?? 0) & LINKED) !== 0
  }

  setPriority(_number: number, port: EventPort, priority: number): void {
    port.priority = priority
  }

  save(): FifoEventsState {
    return {
      version: 1,
      array: [...this.#array],
      controls: this.#controls.map(({ mfn, offset, tails }) => ({
        mfn,
        offset,
        tails: [...tails],
      })),
    }
  }

  restore(state: FifoEventsState): void {
    invariant(state.version === 1, `FIFO events of version ${state.version} are not known`)
    this.#array = state.array.map((mfn) => mfn as Mfn)
    this.#controls = state.controls.map(({ mfn, offset, tails }) => ({
      mfn,
      offset,
      tails: [...tails],
    }))
  }

  /** Puts a port, whose word has just become LINKED, at the end of its queue. */
  #append(number: number, port: EventPort): void {
    const queue = port.priority
    const control = this.#controls[port.vcpu]
    const old = this.#controls[port.lastVcpu]
    if (!control) return
    // Whoever was the tail of a queue has been taken by the guest, else it were still linked there:
    // that queue is empty, and appending to it must not touch the word of a port that moved on.
    if (old && old.tails[port.lastPriority] === number) old.tails[port.lastPriority] = 0
    port.lastVcpu = port.vcpu
    port.lastPriority = queue
    const tail = control.tails[queue] ?? 0
    const isBehindTail = tail !== 0 && this.#link(tail, number)
    control.tails[queue] = number
    if (isBehindTail) return
    const mfn = control.mfn as Mfn
    this.#memory.set32(mfn, control.offset + HEAD + 4 * queue, number)
    if (this.#memory.testAndSetBit(mfn, control.offset + READY, queue)) return
    if (!this.#vcpus[port.vcpu]?.testAndSetUpcallPending()) this.#target.upcall(port.vcpu)
  }

  /** Makes the tail's LINK name the port. False if the guest has taken the tail: it is no queue. */
  #link(tail: number, number: number): boolean {
    const word = this.#read(tail)
    if (word === undefined || !(word & LINKED)) return false
    this.#write(tail, (word & ~EVTCHN_FIFO_LINK_MASK) | number)
    return true
  }

  #read(number: number): number | undefined {
    const mfn = this.#array[Math.floor(number / WORDS_PER_PAGE)]
    return mfn === undefined ? undefined : this.#memory.get32(mfn, (number % WORDS_PER_PAGE) * 4)
  }

  #write(number: number, word: number): void {
    const mfn = this.#array[Math.floor(number / WORDS_PER_PAGE)]
    if (mfn !== undefined) this.#memory.set32(mfn, (number % WORDS_PER_PAGE) * 4, word)
  }
}
