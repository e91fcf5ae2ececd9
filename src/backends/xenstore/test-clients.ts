// Stands in for guests and tools in tests: clients that speak the wire protocol to a daemon in
// the same process, over a ring page in plain memory or over a byte stream.

import { encodeMessage, type Message } from './wire.ts'
import { MessageReader } from './message-reader.ts'
import type { RingPage } from '../ring-page.ts'
import { RingGuest } from './ring-guest.ts'
import type { Xenstored } from './xenstored.ts'

/** A client that sends requests and collects what comes back. */
export interface TestClient {
  send(request: Partial<Message> & { type: number }): void
  /** All that has come since the last call. */
  take(): Message[]
}

/** A page of memory for one side and the other. */
export class TestPage implements RingPage {
  readonly bytes = new Uint8Array(4096)
  /** Ranges that the daemon said it has written. */
  readonly writes: [offset: number, length: number][] = []
  notifications = 0

  page(): DataView {
    return new DataView(this.bytes.buffer)
  }

  written(offset: number, length: number): void {
    this.writes.push([offset, length])
  }

  notify(): void {
    this.notifications++
  }
}

/** The guest's end of a ring in `page`; it notifies the daemon through `onEvent`. */
export function guestOn(page: TestPage, onEvent: () => void): RingGuest {
  return new RingGuest({
    read: (offset, length) => page.bytes.slice(offset, offset + length),
    write: (offset, bytes) => page.bytes.set(bytes, offset),
    notify: onEvent,
  })
}

/** A guest with its ring in `page`, which the daemon knows by `domid` whenever it is introduced. */
export function ringClient(daemon: Xenstored, domid: number, page: TestPage): TestClient {
  const guest = guestOn(page, () => daemon.ringOf(domid)?.onEvent())
  return {
    send: (request) => guest.send(whole(request)),
    take: () => {
      const messages: Message[] = []
      for (let isMore = true; isMore; ) {
        const news = guest.pull()
        messages.push(...news)
        isMore = guest.push() || news.length > 0
      }
      return messages
    },
  }
}

/** A tool on a byte stream. */
export function streamClient(daemon: Xenstored): TestClient {
  const reader = new MessageReader()
  let messages: Message[] = []
  const client = daemon.connect({
    send: (bytes) => {
      for (let at = 0; at < bytes.length; ) {
        const piece = bytes.subarray(at, at + reader.wanted)
        at += piece.length
        const message = reader.accept(piece)
        if (message && message !== 'too-long') messages.push(message)
      }
    },
    close: () => {},
  })
  return {
    send: (request) => client.receive(encodeMessage(whole(request))),
    take: () => {
      const news = messages
      messages = []
      return news
    },
  }
}

function whole(request: Partial<Message> & { type: number }): Message {
  return { requestId: 0, transactionId: 0, payload: new Uint8Array(), ...request }
}
