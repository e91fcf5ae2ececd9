// The daemon: the store, its clients, and the domains it talks to. Clients come by ring (guests),
// by byte stream (tools) or as objects of the host itself.
// Follows docs/misc/xenstore.txt, "Domain management and xenstored communications".

import type { RingPage } from '../ring-page.ts'
import { type ByteStream, StreamClient } from './byte-stream.ts'
import { Connection, type ConnectionState, type Daemon } from './connection.ts'
import { control, type ControlReply, type DomainUsage } from './control.ts'
import { MemoryLimits } from './memory.ts'
import { type Caller, MAY_READ, OWNS, type Permissions, rightsOf } from './permissions.ts'
import { DEFAULT_QUOTAS, type MutableQuotas, type Quotas } from './quotas.ts'
import { type RingComplaint, type RingState, XenstoreRing } from './ring.ts'
import { Store, type StoreState } from './store.ts'
import type { Transaction } from './transaction.ts'
import type { Node } from './tree.ts'
import type { Errno } from './wire.ts'
import type { Change } from './workspace.ts'

/** A guest that xenstored is in communication with. */
interface Domain {
  readonly domid: number
  readonly ring: XenstoreRing
  /** It has shut down, and `@releaseDomain` has said so. */
  isShutDown: boolean
}

/** A client of the host itself: told when events wait in its connection. */
export interface HostClient {
  readonly connection: Connection
  flush(): void
}

/** A guest's connection as plain data. */
export interface DomainState {
  readonly domid: number
  readonly isShutDown: boolean
  readonly ring: RingState
  readonly connection: ConnectionState
}

/** The daemon as plain data: all but streams and clients of the host, which connect anew. */
export interface XenstoredState {
  readonly version: 1
  readonly store: StoreState
  readonly domains: DomainState[]
  readonly special: [event: string, permissions: Permissions][]
}

export interface XenstoredOptions {
  readonly quotas?: Quotas
  /**
   * Carries out an INTRODUCE that came over the wire: finds the page and the event channel of a
   * domain, or gives undefined if there is none, which answers ENOENT.
   */
  readonly findPage?: (domid: number, frame: number, port: number) => RingPage | undefined
  /** Whether there is such a domain, introduced or not. Without it every id is that of one. */
  readonly domainExists?: (domid: number) => boolean
}

/** Ids from here on are not those of domains (DOMID_FIRST_RESERVED in xen.h). */
const DOMID_FIRST_RESERVED = 0x7ff0
const DOMID_SELF = 0x7ff0

export class Xenstored implements Daemon {
  readonly store: Store
  readonly quotas: MutableQuotas
  readonly memory: MemoryLimits
  readonly #findPage: XenstoredOptions['findPage']
  readonly #domainExists: (domid: number) => boolean
  readonly #domains = new Map<number, Domain>()
  readonly #clients = new Set<HostClient>()
  readonly #special = new Map<string, Permissions>([
    ['@introduceDomain', [{ domid: 0, access: 'n' }]],
    ['@releaseDomain', [{ domid: 0, access: 'n' }]],
  ])
  #isSettling = false

  constructor(options: XenstoredOptions = {}) {
    this.quotas = { ...(options.quotas ?? DEFAULT_QUOTAS) }
    this.#findPage = options.findPage
    this.#domainExists = options.domainExists ?? ((domid) => domid < DOMID_FIRST_RESERVED)
    this.memory = new MemoryLimits(
      this.quotas,
      (domid) => this.#memoryOf(domid),
      (domid, text) => this.ringOf(domid)?.complain(text),
    )
    this.store = new Store(this.quotas)
    this.store.mayGrow = this.memory.mayGrow
    this.store.makeNode({ domid: 0, isPrivileged: true }, '/tool/xenstored')
    this.store.onChange = (changes, before, after) => this.#spread(changes, before, after)
  }

  /** A client of domain 0 on a byte stream. Hand it what arrives, and tell it of the end. */
  connect(stream: ByteStream): StreamClient {
    const connection = new Connection(this, { domid: 0, isPrivileged: true })
    const settle = () => this.settle()
    const client = new StreamClient(connection, stream, settle, () => this.#clients.delete(client))
    this.#clients.add(client)
    return client
  }

  /** A client of the host; `flush` is called when events wait in its connection. */
  addHostClient(domid: number, flush: () => void): HostClient {
    const client = { connection: new Connection(this, { domid, isPrivileged: true }), flush }
    this.#clients.add(client)
    return client
  }

  removeHostClient(client: HostClient): void {
    this.#clients.delete(client)
  }

  /**
   * Starts to serve a guest on its ring; call `onEvent` of the result when the guest notifies.
   * A guest that is known already starts afresh, without watches and transactions. `onComplaint`
   * is told once of each thing that the guest does wrong.
   */
  introduceDomain(domid: number, page: RingPage, onComplaint?: RingComplaint): XenstoreRing {
    const known = this.#domains.get(domid)
    const { ring } = this.#addDomain(domid, page, onComplaint, known?.ring.connection)
    ring.restart()
    if (!known) this.#fireSpecial('@introduceDomain')
    this.settle()
    return ring
  }

  /** The ring of a guest, or undefined if it is not introduced. */
  ringOf(domid: number): XenstoreRing | undefined {
    return this.#domains.get(domid)?.ring
  }

  /** The domain has shut down: it is said once, until {@link resume}. */
  domainHasShutDown(domid: number): void {
    const domain = this.#domains.get(domid)
    if (!domain || domain.isShutDown) return
    domain.isShutDown = true
    this.#fireSpecial('@releaseDomain')
    this.settle()
  }

  /** The domain is no more: its connection, its nodes and its permissions go. */
  domainIsGone(domid: number): void {
    const wasKnown = this.#domains.delete(domid)
    this.store.forgetDomain(domid)
    for (const { connection } of this.#allClients()) {
      if (connection.caller.target === domid) {
        connection.caller = { ...connection.caller, target: undefined }
      }
    }
    if (wasKnown) this.#fireSpecial('@releaseDomain')
    this.settle()
  }

  introduce(domid: number, frame: number, port: number): undefined | Errno {
    if (port <= 0) return 'EINVAL'
    if (domid === 0) return undefined
    const page = this.#findPage?.(domid, frame, port)
    if (!page) return 'ENOENT'
    this.introduceDomain(domid, page)
    return undefined
  }

  release(domid: number): undefined | Errno {
    if (domid === 0) return 'EINVAL'
    if (!this.#domains.has(domid)) return 'ENOENT'
    this.domainIsGone(domid)
    return undefined
  }

  resume(domid: number): undefined | Errno {
    const domain = this.#domains.get(domid)
    if (!domain) return domid === 0 ? 'EINVAL' : 'ENOENT'
    domain.isShutDown = false
    return undefined
  }

  setTarget(domid: number, target: number): undefined | Errno {
    if (!this.isIntroduced(domid) || !this.isIntroduced(target)) return 'ENOENT'
    const connection = this.#domains.get(domid)?.ring.connection
    if (connection) connection.caller = { ...connection.caller, target }
    return undefined
  }

  isIntroduced(domid: number): boolean {
    return domid === 0 || domid === DOMID_SELF || this.#domains.has(domid)
  }

  control(words: readonly string[]): ControlReply | Errno {
    return control(this, words)
  }

  /** What a domain uses of its quotas; undefined if it is not introduced. */
  usageOf(domid: number): DomainUsage | undefined {
    const connection = this.#domains.get(domid)?.ring.connection
    if (!connection && domid !== 0) return undefined
    return {
      nodes: this.store.owned.get(domid)?.nodes ?? 0,
      watches: connection?.watches ?? 0,
      transactions: connection?.transactions.length ?? 0,
      outstanding: connection?.output.replies ?? 0,
      memory: this.#memoryOf(domid),
    }
  }

  #memoryOf(domid: number): number {
    const nodes = this.store.owned.get(domid)?.bytes ?? 0
    return nodes + (this.#domains.get(domid)?.ring.connection.bytes ?? 0)
  }

  domainExists(domid: number): boolean {
    return domid === 0 || this.#domains.has(domid) || this.#domainExists(domid)
  }

  setSpecialPermissions(caller: Caller, event: string, to: Permissions): undefined | Errno {
    const now = this.#special.get(event)
    if (!now) return 'ENOENT'
    if ((rightsOf(caller, now) & OWNS) === 0) return 'EACCES'
    if (!caller.isPrivileged && to[0].domid !== now[0].domid) return 'EPERM'
    this.#special.set(event, to)
    return undefined
  }

  /** Lets every client send what waits for it, until nothing new is caused by that. */
  settle(): void {
    if (this.#isSettling) return
    this.#isSettling = true
    try {
      for (let isNew = true; isNew; ) {
        isNew = false
        for (const client of this.#allClients()) {
          const waited = client.connection.output.peek() !== undefined
          client.flush()
          isNew ||= waited && client.connection.output.peek() === undefined
        }
        for (const { domid, ring } of [...this.#domains.values()]) {
          this.memory.look(domid)
          if (ring.resume()) isNew = true
        }
      }
    } finally {
      this.#isSettling = false
    }
  }

  save(): XenstoredState {
    const transactions: Transaction[] = []
    const domains: DomainState[] = []
    for (const { domid, isShutDown, ring } of this.#domains.values()) {
      const connection = ring.connection.save(transactions.length)
      transactions.push(...ring.connection.transactions)
      domains.push({ domid, isShutDown, ring: ring.save(), connection })
    }
    return {
      version: 1,
      store: this.store.save(transactions),
      domains,
      special: [...this.#special],
    }
  }

  /** Takes a saved state; `pageOf` finds the ring page of each domain in it. */
  restore(state: XenstoredState, pageOf: (domid: number) => RingPage): void {
    this.#domains.clear()
    this.#special.clear()
    for (const [event, permissions] of state.special) this.#special.set(event, permissions)
    const transactions = this.store.restore(state.store)
    for (const saved of state.domains) {
      const domain = this.#addDomain(saved.domid, pageOf(saved.domid))
      domain.isShutDown = saved.isShutDown
      domain.ring.restore(saved.ring)
      domain.ring.connection.restore(saved.connection, transactions)
    }
  }

  #addDomain(
    domid: number,
    page: RingPage,
    onComplaint?: RingComplaint,
    connection = new Connection(this, { domid, isPrivileged: false }),
  ): Domain {
    const ring = new XenstoreRing(page, connection, () => this.settle(), onComplaint)
    const domain = { domid, ring, isShutDown: false }
    this.#domains.set(domid, domain)
    return domain
  }

  *#allClients(): Generator<HostClient> {
    yield* [...this.#clients]
    for (const { ring } of [...this.#domains.values()]) yield ring
  }

  #spread(changes: readonly Change[], before: Node, after: Node): void {
    for (const { connection } of this.#allClients()) connection.notice(changes, before, after)
  }

  #fireSpecial(event: string): void {
    const permissions = this.#special.get(event)
    for (const { connection } of this.#allClients()) {
      const rights = permissions ? rightsOf(connection.caller, permissions) : 0
      if ((rights & MAY_READ) !== 0) connection.noticeSpecial(event)
    }
  }
}
