// The backend's walk through the states of xenbus, the same for every kind of device: it offers
// what it can do and waits; connects when the frontend is ready; lets go when that closes or breaks
// the protocol, and offers again when another frontend comes; and ends when it is unplugged. The
// order is that of Linux's backends and of libxl.

import {
  XenbusStateClosed,
  XenbusStateClosing,
  XenbusStateConnected,
  XenbusStateInitialised,
  XenbusStateInitialising,
  XenbusStateInitWait,
} from '../xen/abi/xenbus.ts'
import type { XenstoreClient } from './xenstore/client.ts'

/** Entries of the backend's folder in xenstore. */
export type XenbusEntries = Readonly<Record<string, string | number>>

/** What is particular to a device. */
export interface XenbusDevice {
  /** What the backend can do, told to each frontend anew. */
  offer(): XenbusEntries
  /**
   * Sets up what the frontend has named: entries that only hold for this connection, or why it
   * cannot be.
   */
  connect(): XenbusEntries | string
  /** Both ends are connected, and know it. */
  connected(): void
  /** Gives back what was set up; does nothing if nothing is. */
  disconnect(): void
}

export interface XenbusOptions {
  readonly store: XenstoreClient
  /** The folders of both ends, which exist. */
  readonly front: string
  readonly back: string
  readonly device: XenbusDevice
  /** Told of each kind of trouble with the frontend once, in a line. */
  readonly onComplaint: (text: string) => void
}

export class XenbusBackend {
  readonly #options: XenbusOptions
  readonly #said = new Set<string>()
  readonly #endWatch: () => void
  #state = XenbusStateInitialising
  #onDetached: (() => void) | undefined
  #isEnded = false

  constructor(options: XenbusOptions) {
    this.#options = options
    this.#offer()
    this.#endWatch = options.store.watch(`${options.front}/state`, () => this.#frontendChanged())
  }

  /** XenbusState of the backend. */
  get state(): number {
    return this.#state
  }

  get isConnected(): boolean {
    return this.#state === XenbusStateConnected
  }

  /** Asks the frontend to let go; calls `onDetached` when it has, or when there is none. */
  detach(onDetached: () => void): void {
    const others = this.#onDetached
    this.#onDetached = () => {
      others?.()
      onDetached()
    }
    this.#options.store.write(`${this.#options.back}/online`, '0')
    if (this.#state === XenbusStateClosed) return this.#closed()
    this.#enter(XenbusStateClosing)
    this.#frontendChanged()
  }

  /**
   * The frontend is one that knows nothing of this backend, such as that of a guest that has been
   * suspended: `write` puts both ends' folders into their first state, and the device is offered anew.
   */
  renew(write: () => void): void {
    if (this.#isEnded) return
    this.#options.device.disconnect()
    this.#state = XenbusStateInitialising
    write()
    if (this.#state === XenbusStateInitialising) this.#offer()
  }

  /** Lets go of a frontend that breaks the protocol, until it has closed and comes again. */
  refuse(why: string): void {
    this.#options.device.disconnect()
    this.complain('protocol', `the frontend broke the protocol: ${why}`)
    if (!this.#isEnded) this.#enter(XenbusStateClosing)
  }

  /** Says what is wrong, the first time of its kind. */
  complain(kind: string, text: string): void {
    if (this.#said.has(kind)) return
    this.#said.add(kind)
    this.#options.onComplaint(text)
  }

  /** Takes the device away, whatever the frontend does with it; a second time does nothing. */
  end(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#endWatch()
    this.#options.device.disconnect()
  }

  #frontendChanged(): void {
    if (this.#isEnded) return
    const { store, front, device } = this.#options
    const state = store.read(`${front}/state`)
    switch (state === undefined ? XenbusStateClosed : Number(state)) {
      case XenbusStateInitialising:
        // No driver has taken the device up, or one that has just started.
        device.disconnect()
        if (this.#onDetached) this.#closed()
        else if (this.#state !== XenbusStateInitWait) this.#offer()
        return
      case XenbusStateInitialised:
      case XenbusStateConnected:
        if (this.#state === XenbusStateInitWait) this.#connect()
        return
      case XenbusStateClosing:
        device.disconnect()
        if (this.#state !== XenbusStateClosing) this.#enter(XenbusStateClosing)
        return
      case XenbusStateClosed:
        this.#closed()
        return
      default:
        // A state that is none has nothing to give back.
        if (this.#onDetached) this.#closed()
    }
  }

  #offer(): void {
    this.#enter(XenbusStateInitWait, this.#options.device.offer())
  }

  #connect(): void {
    const { device } = this.#options
    const entries = device.connect()
    if (typeof entries === 'string') return this.refuse(entries)
    this.#enter(XenbusStateConnected, entries)
    device.connected()
  }

  #closed(): void {
    this.#options.device.disconnect()
    if (this.#state !== XenbusStateClosed) this.#enter(XenbusStateClosed)
    const onDetached = this.#onDetached
    this.#onDetached = undefined
    onDetached?.()
  }

  /** Writes entries, and the state that makes them hold. */
  #enter(state: number, entries: XenbusEntries = {}): void {
    const { store, back } = this.#options
    this.#state = state
    store.transaction((t) => {
      for (const [key, value] of Object.entries(entries)) t.write(`${back}/${key}`, String(value))
      t.write(`${back}/state`, String(state))
    })
  }
}
