// A client on a stream of bytes, as over a socket: cuts what arrives into requests and sends
// whatever the connection has to say.

import type { Connection } from './connection.ts'
import { MessageReader } from './message-reader.ts'

/** The other end of a stream, as xenstored sees it. */
export interface ByteStream {
  /** Sends bytes, all of them, in order. The array is the stream's from then on. */
  send(bytes: Uint8Array): void
  /** Closes the stream: the client broke the protocol. */
  close(): void
}

export class StreamClient {
  readonly connection: Connection
  readonly #stream: ByteStream
  readonly #reader = new MessageReader()
  readonly #settle: () => void
  readonly #leave: () => void
  #isClosed = false

  /** `settle` is called after each request, `leave` once when the client has gone. */
  constructor(connection: Connection, stream: ByteStream, settle: () => void, leave: () => void) {
    this.connection = connection
    this.#stream = stream
    this.#settle = settle
    this.#leave = leave
  }

  /** Bytes from the client, cut anywhere. */
  receive(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length && !this.#isClosed; ) {
      const piece = bytes.subarray(at, at + this.#reader.wanted)
      at += piece.length
      const request = this.#reader.accept(piece)
      if (request === undefined) continue
      if (request === 'too-long') {
        this.#stream.close()
        this.close()
        return
      }
      this.connection.receive(request)
      this.#settle()
    }
  }

  /** Sends what waits. */
  flush(): void {
    for (let bytes = this.connection.output.peek(); bytes; bytes = this.connection.output.peek()) {
      this.connection.output.take(bytes.length)
      if (!this.#isClosed) this.#stream.send(bytes.slice())
    }
  }

  /** The client has gone: its watches and transactions go too. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#leave()
  }
}
