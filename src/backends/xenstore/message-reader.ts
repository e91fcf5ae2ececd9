// Cuts a byte stream into messages. It never asks for more than the rest of one message, so its
// memory is bounded by one, and a transport can stop between two messages for back pressure.

import { Bug } from '../../base/errors.ts'
import { type Message, XENSTORE_PAYLOAD_MAX, xsd_sockmsg } from './wire.ts'

/** A message that has arrived in part, as plain data. */
export interface MessageReaderState {
  readonly partial: Uint8Array
}

export class MessageReader {
  #buffer = new Uint8Array(xsd_sockmsg.size)
  #have = 0

  /** Bytes that complete the header or, once that is known, the message. Never zero. */
  get wanted(): number {
    return this.#buffer.length - this.#have
  }

  /**
   * Takes at most {@link wanted} bytes. Gives the message they complete, 'too-long' if its header
   * announces more than a payload may have (the stream is then lost), or undefined.
   */
  accept(bytes: Uint8Array): Message | 'too-long' | undefined {
    if (bytes.length > this.wanted) throw new Bug('more bytes than the message reader wanted')
    this.#buffer.set(bytes, this.#have)
    this.#have += bytes.length
    if (this.wanted > 0) return undefined
    const { type, req_id, tx_id, len } = xsd_sockmsg.decode(this.#buffer)
    if (len > XENSTORE_PAYLOAD_MAX) return 'too-long'
    const whole = xsd_sockmsg.size + len
    if (this.#have < whole) {
      const longer = new Uint8Array(whole)
      longer.set(this.#buffer)
      this.#buffer = longer
      return undefined
    }
    const payload = this.#buffer.subarray(xsd_sockmsg.size)
    this.reset()
    return { type, requestId: req_id, transactionId: tx_id, payload }
  }

  /** Forgets a message that has arrived in part. */
  reset(): void {
    this.#buffer = new Uint8Array(xsd_sockmsg.size)
    this.#have = 0
  }

  save(): MessageReaderState {
    return { partial: this.#buffer.slice(0, this.#have) }
  }

  restore(state: MessageReaderState): void {
    this.reset()
    for (let at = 0; at < state.partial.length; ) {
      const piece = state.partial.subarray(at, at + this.wanted)
      if (this.accept(piece) !== undefined) throw new Bug('a saved partial message is whole')
      at += piece.length
    }
  }
}
