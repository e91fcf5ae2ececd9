// What a client has still to read: replies and watch events, in order, as one stream of bytes.
// An event that waits already is not queued again, and beyond the quota events are dropped, so a
// client that does not read cannot make the host remember more and more.

import { encodeMessage, type Message, XS_WATCH_EVENT } from './wire.ts'

const HEADER_BYTES = 16

/** One message that waits; events carry their payload as a key. */
interface Waiting {
  readonly bytes: Uint8Array
  readonly event: string | undefined
}

/** The queue as plain data: messages as bytes, the first one perhaps sent in part. */
export interface OutputQueueState {
  readonly messages: Uint8Array[]
  readonly sent: number
  readonly dropped: number
}

export class OutputQueue {
  readonly #waiting: Waiting[] = []
  readonly #events = new Set<string>()
  readonly #limit: number
  readonly #mayTake: (bytes: number) => boolean
  /** Bytes of the first message that are sent. */
  #sent = 0
  #size = 0
  #replies = 0
  /** Watch events that were dropped because too much waited already. */
  dropped = 0

  /** Above `limit` bytes, and without leave of `mayTake`, events are dropped; replies are not. */
  constructor(limit: number, mayTake: (bytes: number) => boolean = () => true) {
    this.#limit = limit
    this.#mayTake = mayTake
  }

  /** What all that waits takes; a message counts whole until its last byte is taken. */
  get bytes(): number {
    return this.#size
  }

  /** Replies that wait. */
  get replies(): number {
    return this.#replies
  }

  push(message: Message): void {
    const isEvent = message.type === XS_WATCH_EVENT
    const event = isEvent ? String.fromCharCode(...message.payload) : undefined
    if (event !== undefined) {
      if (this.#events.has(event)) return
      const size = HEADER_BYTES + message.payload.length
      if (this.#size + message.payload.length > this.#limit || !this.#mayTake(size)) {
        this.dropped++
        return
      }
      this.#events.add(event)
    }
    this.#append({ bytes: encodeMessage(message), event })
  }

  /** The rest of the first message, or undefined if nothing waits. */
  peek(): Uint8Array | undefined {
    return this.#waiting[0]?.bytes.subarray(this.#sent)
  }

  /** Takes `count` bytes off; no more than {@link peek} gave. An event being sent may recur. */
  take(count: number): void {
    const [first] = this.#waiting
    if (!first || count === 0) return
    this.#sent += count
    if (first.event !== undefined) this.#events.delete(first.event)
    if (this.#sent < first.bytes.length) return
    this.#waiting.shift()
    this.#sent = 0
    this.#size -= first.bytes.length
    if (first.event === undefined) this.#replies--
  }

  clear(): void {
    this.#waiting.length = 0
    this.#events.clear()
    this.#sent = 0
    this.#size = 0
    this.#replies = 0
  }

  save(): OutputQueueState {
    return {
      messages: this.#waiting.map((w) => w.bytes),
      sent: this.#sent,
      dropped: this.dropped,
    }
  }

  restore(state: OutputQueueState): void {
    this.clear()
    for (const bytes of state.messages) {
      const isEvent = bytes[0] === XS_WATCH_EVENT
      const event = isEvent ? String.fromCharCode(...bytes.subarray(HEADER_BYTES)) : undefined
      if (event !== undefined) this.#events.add(event)
      this.#append({ bytes, event })
    }
    const [first] = this.#waiting
    if (state.sent > 0 && first?.event !== undefined) this.#events.delete(first.event)
    this.#sent = state.sent
    this.dropped = state.dropped
  }

  #append(waiting: Waiting): void {
    this.#waiting.push(waiting)
    this.#size += waiting.bytes.length
    if (waiting.event === undefined) this.#replies++
  }
}
