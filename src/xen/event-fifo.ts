// FIFO events (public/event_channel.h): a word for each port in an array that the guest gives page
// by page, and a control block for each processor with the heads of sixteen queues. A queue is a
// list through the LINK fields of the words; Xen appends at the tail, the guest takes the head.
//
// The words are the guest's to corrupt. Nothing here follows a link: each send looks at the word of
// its own port and at that of the tail, so hostile contents cost the guest its own events only.
// Guests run in turns with this code, so BUSY, which guards against both at once, is never needed.

import { invariant } from '../base/errors.ts'
import type { Mfn } from '../machine/frame-table.ts'
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
import type { EventAbi, EventTarget } from './event-abi.ts'
import { type EventPorts, PORT_LATCHED, PORT_MASK_LATCHED } from './event-port.ts'
import type { FrameMemory } from './frame-memory.ts'
import type { VcpuInfo } from './shared-info.ts'

const PENDING_BIT = 1 << EVTCHN_FIFO_PENDING
const MASKED_BIT = 1 << EVTCHN_FIFO_MASKED
const LINKED_BIT = 1 << EVTCHN_FIFO_LINKED
const WORD_SHIFT = 10
const WORDS_PER_PAGE = 2 ** WORD_SHIFT
const NOWHERE = -1
const MAX_ARRAY_PAGES = EVTCHN_FIFO_NR_CHANNELS / WORDS_PER_PAGE
const READY = evtchn_fifo_control_block.offsetOf(64, 'ready')
const HEAD = evtchn_fifo_control_block.offsetOf(64, 'head')

/** Bytes of a control block. */
export const CONTROL_BLOCK_SIZE = evtchn_fifo_control_block.size(64)

interface ControlBlock {
  /** NOWHERE until the guest has given one for the processor. */
  mfn: number
  offset: number
  /** The last port appended to each queue; 0 for none. */
  readonly tails: Uint32Array
}

/** The plain form of {@link FifoEvents}. */
export interface FifoEventsState {
  readonly version: 2
  readonly array: readonly number[]
  readonly controls: readonly {
    readonly mfn: number
    readonly offset: number
    readonly tails: Uint32Array
  }[]
}

export class FifoEvents implements EventAbi {
  readonly name = 'FIFO'
  readonly maxPorts = EVTCHN_FIFO_NR_CHANNELS
  readonly #memory: FrameMemory
  readonly #ports: EventPorts
  readonly #vcpus: readonly VcpuInfo[]
  readonly #target: EventTarget
  #array: Mfn[] = []
  #controls: ControlBlock[]

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
    this.#controls = vcpus.map(() => ({
      mfn: NOWHERE,
      offset: 0,
      tails: new Uint32Array(EVTCHN_FIFO_MAX_QUEUES),
    }))
  }

  /** Ports that have an event word. */
  get wordCount(): number {
    return this.#array.length * WORDS_PER_PAGE
  }

  hasControlBlock(vcpu: number): boolean {
    return (this.#controls[vcpu]?.mfn ?? NOWHERE) !== NOWHERE
  }

  /** Takes a processor's first control block; the caller passes its reference of the frame on. */
  setControlBlock(vcpu: number, mfn: Mfn, offset: number): void {
    const control = this.#controls[vcpu]
    invariant(control?.mfn === NOWHERE, `vCPU ${vcpu} has a control block`)
    control.mfn = mfn
    control.offset = offset
  }

  get isArrayFull(): boolean {
    return this.#array.length >= MAX_ARRAY_PAGES
  }

  /**
   * Takes one more page of event words; the caller passes its reference of the frame on. What the
   * page's ports could not be told without it is told now.
   */
  addArrayPage(mfn: Mfn): void {
    invariant(!this.isArrayFull, 'the event array is full')
    const from = this.wordCount
    this.#array.push(mfn)
    const ports = this.#ports
    for (let number = from; number < Math.min(this.wordCount, ports.count); number++) {
      const isPending = ports.has(number, PORT_LATCHED)
      const isMasked = ports.has(number, PORT_MASK_LATCHED)
      ports.clearFlag(number, PORT_LATCHED | PORT_MASK_LATCHED)
      if (isMasked) this.mask(number)
      if (isPending) this.setPending(number)
    }
  }

  /** Every frame of which this holds a reference. */
  frames(): Mfn[] {
    const controls = this.#controls.filter(({ mfn }) => mfn !== NOWHERE)
    return [...this.#array, ...controls.map(({ mfn }) => mfn as Mfn)]
  }

  initialise(number: number): void {
    this.#ports.setPriority(number, EVTCHN_FIFO_PRIORITY_DEFAULT)
  }

  setPending(number: number): void {
    const word = this.#read(number)
    if (word < 0) {
      this.#ports.setFlag(number, PORT_LATCHED)
      return
    }
    const vcpu = this.#ports.vcpu(number)
    const isLinkable = (word & (MASKED_BIT | LINKED_BIT)) === 0 && this.hasControlBlock(vcpu)
    const now = word | PENDING_BIT | (isLinkable ? LINKED_BIT : 0)
    if (now !== (word | 0)) this.#write(number, now)
    if (isLinkable) this.#append(number, vcpu)
    if (!(word & PENDING_BIT)) this.#target.wakePollers(number)
  }

  clearPending(number: number): void {
    this.#ports.clearFlag(number, PORT_LATCHED)
    const word = this.#read(number)
    if (word >= 0) this.#write(number, word & ~PENDING_BIT)
  }

  mask(number: number): void {
    const word = this.#read(number)
    if (word < 0) this.#ports.setFlag(number, PORT_MASK_LATCHED)
    else this.#write(number, word | MASKED_BIT)
  }

  unmask(number: number): void {
    this.#ports.clearFlag(number, PORT_MASK_LATCHED)
    const word = this.#read(number)
    if (word < 0) return
    this.#write(number, word & ~MASKED_BIT)
    if (word & PENDING_BIT) this.setPending(number)
  }

  isPending(number: number): boolean {
    const word = this.#read(number)
    return word >= 0 && (word & PENDING_BIT) !== 0
  }

  isMasked(number: number): boolean {
    const word = this.#read(number)
    return word < 0 || (word & MASKED_BIT) !== 0
  }

  /** Still on a queue: given out anew, it would be delivered to whoever had it before. */
  isBusy(number: number): boolean {
    const word = this.#read(number)
    return word >= 0 && (word & LINKED_BIT) !== 0
  }

  setPriority(number: number, priority: number): void {
    this.#ports.setPriority(number, priority)
  }

  save(): FifoEventsState {
    return {
      version: 2,
      array: [...this.#array],
      controls: this.#controls.map(({ mfn, offset, tails }) => ({
        mfn,
        offset,
        tails: tails.slice(),
      })),
    }
  }

  restore(state: FifoEventsState): void {
    invariant(state.version === 2, `FIFO events of version ${state.version} are not known`)
    this.#array = state.array.map((mfn) => mfn as Mfn)
    this.#controls = state.controls.map(({ mfn, offset, tails }) => ({
      mfn,
      offset,
      tails: tails.slice(),
    }))
  }

  /** Puts a port, whose word has just become LINKED, at the end of its queue. */
  #append(number: number, vcpu: number): void {
    const queue = this.#ports.priority(number)
    const control = this.#controls[vcpu] as ControlBlock
    const last = this.#ports.lastQueue(number)
    const lastTails = this.#controls[last >>> 4]?.tails
    // Whoever was the tail of a queue has been taken by the guest, else it were still linked there:
    // that queue is empty, and appending to it must not touch the word of a port that moved on.
    if (lastTails && lastTails[last & 15] === number) lastTails[last & 15] = 0
    this.#ports.setLastQueue(number, (vcpu << 4) | queue)
    const tail = control.tails[queue] as number
    control.tails[queue] = number
    if (tail !== 0 && this.#link(tail, number)) return
    const mfn = control.mfn as Mfn
    this.#memory.set32(mfn, control.offset + HEAD + 4 * queue, number)
    if (this.#memory.testAndSetBit(mfn, control.offset + READY, queue)) return
    if (!this.#vcpus[vcpu]?.testAndSetUpcallPending()) this.#target.upcall(vcpu)
  }

  /** Makes the tail's LINK name the port. False if the guest has taken the tail: it is no queue. */
  #link(tail: number, number: number): boolean {
    const word = this.#read(tail)
    if (word < 0 || !(word & LINKED_BIT)) return false
    this.#write(tail, (word & ~EVTCHN_FIFO_LINK_MASK) | number)
    return true
  }

  /** The event word, unsigned; negative if the guest has given no page for it. */
  #read(number: number): number {
    const mfn = this.#array[number >>> WORD_SHIFT]
    return mfn === undefined ? -1 : this.#memory.get32(mfn, (number & (WORDS_PER_PAGE - 1)) * 4)
  }

  #write(number: number, word: number): void {
    const mfn = this.#array[number >>> WORD_SHIFT] as Mfn
    this.#memory.set32(mfn, (number & (WORDS_PER_PAGE - 1)) * 4, word)
  }
}
