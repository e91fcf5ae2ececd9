// The console backend: takes what a guest prints out of its ring page and puts what is typed in.
// Follows public/io/console.h. The guest writes the page as it likes: indices are read once, and
// those that no ring can have are refused and said once.

import { Layout } from '../../base/layout.ts'
import { type RingPage, ringFill } from '../ring-page.ts'
import { Scrollback, type ScrollbackState } from './scrollback.ts'

const IN_SIZE = 1024
/** Bytes of input that wait for a guest at most. */
const MOST_INPUT = 1 << 20
const OUT_SIZE = 2048

export const xencons_interface = new Layout('xencons_interface', {
  in: { bytes: IN_SIZE },
  out: { bytes: OUT_SIZE },
  in_cons: 'u32',
  in_prod: 'u32',
  out_cons: 'u32',
  out_prod: 'u32',
})

const OUT = xencons_interface.offsetOf('out')

/** A console as plain data; the ring itself is in the guest's memory. */
export interface ConsoleState {
  readonly version: 1
  readonly scrollback: ScrollbackState
  readonly input: Uint8Array
  readonly isRefused: boolean
}

export interface ConsoleOptions {
  /** Bytes of output that are kept; 1 MiB by default. */
  readonly scrollbackSize?: number
  /** Told, once for each, what is wrong: indices that are those of no ring, input that is lost. */
  readonly onComplaint?: (text: string) => void
}

export class ConsoleRing {
  readonly scrollback: Scrollback
  readonly #page: RingPage
  readonly #onComplaint: (text: string) => void
  readonly #listeners = new Set<(bytes: Uint8Array) => void>()
  #input = new Uint8Array()
  #isRefused = false
  #isLost = false

  constructor(page: RingPage, options: ConsoleOptions = {}) {
    this.#page = page
    this.scrollback = new Scrollback(options.scrollbackSize)
    this.#onComplaint = options.onComplaint ?? (() => {})
  }

  /** Bytes of input for which the guest has had no room yet. */
  get waitingInput(): number {
    return this.#input.length
  }

  /** Calls `listener` with all output from now on. Gives the function that ends it. */
  listen(listener: (bytes: Uint8Array) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /**
   * Types into the console. What does not fit the ring waits for the guest to read; what would be
   * more than 1 MiB then is lost, which is said once.
   */
  write(bytes: Uint8Array): void {
    const room = MOST_INPUT - this.#input.length
    if (bytes.length > room) this.#lose()
    const taken = bytes.subarray(0, room)
    const longer = new Uint8Array(this.#input.length + taken.length)
    longer.set(this.#input)
    longer.set(taken, this.#input.length)
    this.#input = longer
    if (this.#feed()) this.#page.notify()
  }

  /** The guest sent the event: it printed, or read input. */
  onEvent(): void {
    const output = this.#drain()
    const isFed = this.#feed()
    if (output || isFed) this.#page.notify()
    if (output) this.show(output)
  }

  /** Output of the guest, whichever way it came: also what it wrote to Xen's own console. */
  show(output: Uint8Array): void {
    this.scrollback.append(output)
    for (const listener of [...this.#listeners]) listener(output)
  }

  save(): ConsoleState {
    return {
      version: 1,
      scrollback: this.scrollback.save(),
      input: this.#input.slice(),
      isRefused: this.#isRefused,
    }
  }

  restore(state: ConsoleState): void {
    this.scrollback.restore(state.scrollback)
    this.#input = state.input.slice()
    this.#isRefused = state.isRefused
  }

  #drain(): Uint8Array | undefined {
    const view = this.#page.page()
    const { out_cons, out_prod } = indices(view)
    const fill = ringFill(out_prod, out_cons, OUT_SIZE)
    if (fill === undefined) return this.#refuse('output', out_prod, out_cons)
    if (fill === 0) return undefined
    const ring = new Uint8Array(view.buffer, view.byteOffset + OUT, OUT_SIZE)
    const at = out_cons & (OUT_SIZE - 1)
    const output = new Uint8Array(fill)
    const first = ring.subarray(at, at + fill)
    output.set(first)
    output.set(ring.subarray(0, fill - first.length), first.length)
    this.#set(view, 'out_cons', out_prod)
    return output
  }

  /** Moves input into the ring as far as there is room; whether anything moved. */
  #feed(): boolean {
    if (this.#input.length === 0) return false
    const view = this.#page.page()
    const { in_cons, in_prod } = indices(view)
    const fill = ringFill(in_prod, in_cons, IN_SIZE)
    if (fill === undefined) return this.#refuse('input', in_prod, in_cons) ?? false
    const bytes = this.#input.subarray(0, IN_SIZE - fill)
    if (bytes.length === 0) return false
    const ring = new Uint8Array(view.buffer, view.byteOffset, IN_SIZE)
    const at = in_prod & (IN_SIZE - 1)
    const first = bytes.subarray(0, IN_SIZE - at)
    ring.set(first, at)
    ring.set(bytes.subarray(first.length))
    this.#page.written(at, first.length)
    if (first.length < bytes.length) this.#page.written(0, bytes.length - first.length)
    this.#set(view, 'in_prod', in_prod + bytes.length)
    this.#input = this.#input.slice(bytes.length)
    return true
  }

  #set(view: DataView, field: 'in_prod' | 'out_cons', value: number): void {
    xencons_interface.set(view, 0, field, value >>> 0)
    this.#page.written(xencons_interface.offsetOf(field), 4)
  }

  #lose(): void {
    if (this.#isLost) return
    this.#isLost = true
    this.#onComplaint('what is typed is lost: it does not read its input')
  }

  #refuse(ring: string, producer: number, consumer: number): undefined {
    if (this.#isRefused) return
    this.#isRefused = true
    const indices = `producer ${producer}, consumer ${consumer}`
    this.#onComplaint(`the indices of its ${ring} ring are those of no ring (${indices}); it waits`)
  }
}

function indices(view: DataView) {
  const get = (field: 'in_cons' | 'in_prod' | 'out_cons' | 'out_prod'): number =>
    xencons_interface.get(view, 0, field)
  return {
    in_cons: get('in_cons'),
    in_prod: get('in_prod'),
    out_cons: get('out_cons'),
    out_prod: get('out_prod'),
  }
}
