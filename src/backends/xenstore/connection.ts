// One client of xenstored: takes a request at a time, answers it, and keeps the client's watches
// and transactions. Follows docs/misc/xenstore.txt; the order of checks is that of xenstored 4.17.
// It knows nothing of transports: these hand it messages and empty its output queue.

import type { ControlReply } from './control.ts'
import { OutputQueue, type OutputQueueState } from './output-queue.ts'
import { absolutePath, domainPath, isSpecial, isValidPath } from './path.ts'
import { type Caller, formatPermission, parsePermissions, type Permissions } from './permissions.ts'
import type { MemoryLimits } from './memory.ts'
import type { Quotas } from './quotas.ts'
import { isVisible, type Store } from './store.ts'
import type { Transaction } from './transaction.ts'
import type { Node } from './tree.ts'
import { type Watch, Watches } from './watches.ts'
import * as wire from './wire.ts'
import type { Change, Workspace } from './workspace.ts'

type Errno = wire.Errno
type Reply = Uint8Array | undefined | Errno

/** What a connection asks of the daemon it belongs to. Domain ids are as the client sent them. */
export interface Daemon {
  readonly store: Store
  readonly quotas: Quotas
  readonly memory: MemoryLimits
  introduce(domid: number, frame: number, port: number): undefined | Errno
  release(domid: number): undefined | Errno
  resume(domid: number): undefined | Errno
  setTarget(domid: number, target: number): undefined | Errno
  isIntroduced(domid: number): boolean
  /** Carries out a command of CONTROL. */
  control(words: readonly string[]): ControlReply | Errno
  /** Whether there is a domain of this id that could own a node. */
  domainExists(domid: number): boolean
  /** Says who may be told of a special event. */
  setSpecialPermissions(caller: Caller, event: string, to: Permissions): undefined | Errno
}

/** A connection as plain data. Transactions are places in the store's list. */
export interface ConnectionState {
  readonly caller: Caller
  readonly watches: Watch[]
  readonly transactions: [id: number, transaction: number][]
  readonly nextTransaction: number
  readonly output: OutputQueueState
}

/** Removed from the protocol, as xs_wire.h says. */
const XS_RESTRICT = 20
const OK = wire.encodeStrings('OK')
const PRIVILEGED = new Set([
  wire.XS_CONTROL,
  wire.XS_INTRODUCE,
  wire.XS_RELEASE,
  wire.XS_RESUME,
  wire.XS_IS_DOMAIN_INTRODUCED,
  wire.XS_SET_TARGET,
])
/** All that may be asked for; events and errors may not. */
const KNOWN = new Set([...Array(wire.XS_DIRECTORY_PART + 1).keys()])
for (const type of [wire.XS_WATCH_EVENT, wire.XS_ERROR, XS_RESTRICT]) KNOWN.delete(type)
/** Requests whose transaction id is ignored. */
const OUTSIDE_TRANSACTIONS = new Set([wire.XS_WATCH, wire.XS_UNWATCH])

export class Connection {
  caller: Caller
  readonly output: OutputQueue
  readonly #daemon: Daemon
  readonly #base: string
  readonly #watches: Watches
  readonly #transactions = new Map<number, Transaction>()
  #nextTransaction = 1
  #freshWatch: Watch | undefined

  constructor(daemon: Daemon, caller: Caller) {
    this.#daemon = daemon
    this.caller = caller
    this.#base = domainPath(caller.domid)
    this.#watches = new Watches(this.#base)
    this.output = new OutputQueue(
      caller.isPrivileged ? Infinity : daemon.quotas.outputSize,
      this.#mayTake,
    )
  }

  /** Whether more replies wait than the client may leave unread, or it has no memory left. */
  get isBackedUp(): boolean {
    if (this.caller.isPrivileged) return false
    const isUnread = this.output.replies >= this.#daemon.quotas.outstandingReplies
    return isUnread || this.#daemon.memory.isStalled(this.caller.domid)
  }

  /** What watches, transactions and unread messages take of the client's memory. */
  get bytes(): number {
    let bytes = this.#watches.bytes + this.output.bytes
    for (const transaction of this.#transactions.values()) bytes += transaction.bytes
    return bytes
  }

  /** Carries a request out and queues the reply, and all events it causes. */
  receive(request: wire.Message): void {
    const reply = this.#answer(request)
    if (wire.isErrno(reply)) this.#send(wire.XS_ERROR, request, wire.encodeStrings(reply))
    else if (reply && reply.length > wire.XENSTORE_PAYLOAD_MAX) {
      this.#send(wire.XS_ERROR, request, wire.encodeStrings('E2BIG'))
    } else this.#send(request.type, request, reply ?? OK)
    if (this.#freshWatch) this.#sendEvent(this.#freshWatch, this.#freshWatch.path)
    this.#freshWatch = undefined
  }

  /** Queues the events of changes to those watches that may see them. */
  notice(changes: readonly Change[], before: Node, after: Node): void {
    for (const change of changes) {
      const watches = this.#watches.matching(change)
      if (watches.length === 0 || !isVisible(this.caller, change.path, before, after)) continue
      for (const watch of watches) this.#sendEvent(watch, change.path)
    }
  }

  /** Queues a special event to the watches on it. */
  noticeSpecial(event: string): void {
    const change = { path: event, isExact: true }
    for (const watch of this.#watches.matching(change)) this.#sendEvent(watch, event)
  }

  /** Drops watches and transactions, as RESET_WATCHES and a lost connection do. */
  reset(): void {
    this.#watches.clear()
    this.#transactions.clear()
  }

  /** How many watches there are. */
  get watches(): number {
    return this.#watches.size
  }

  /** The open transactions, in the order in which {@link save} counts them. */
  get transactions(): Transaction[] {
    return [...this.#transactions.values()]
  }

  /** The first of this connection's transactions is the store's `first`. */
  save(first: number): ConnectionState {
    return {
      caller: this.caller,
      watches: this.#watches.save(),
      transactions: [...this.#transactions.keys()].map((id, i) => [id, first + i]),
      nextTransaction: this.#nextTransaction,
      output: this.output.save(),
    }
  }

  restore(state: ConnectionState, transactions: readonly Transaction[]): void {
    this.reset()
    this.caller = state.caller
    this.#watches.restore(state.watches)
    for (const [id, place] of state.transactions) {
      const transaction = transactions[place]
      if (transaction) this.#transactions.set(id, transaction)
    }
    this.#nextTransaction = state.nextTransaction
    this.output.restore(state.output)
  }

  #send(type: number, { requestId, transactionId }: wire.Message, payload: Uint8Array): void {
    this.output.push({ type, requestId, transactionId, payload })
  }

  #sendEvent(watch: Watch, path: string): void {
    const payload = wire.encodeStrings(this.#watches.pathFor(watch, path), watch.token)
    this.output.push({ type: wire.XS_WATCH_EVENT, requestId: 0, transactionId: 0, payload })
  }

  #answer(request: wire.Message): Reply {
    const { type, payload } = request
    if (!KNOWN.has(type)) return 'ENOSYS'
    if (PRIVILEGED.has(type) && !this.caller.isPrivileged) return 'EACCES'
    const id = OUTSIDE_TRANSACTIONS.has(type) ? 0 : request.transactionId
    const transaction = this.#transactions.get(id)
    if (id !== 0 && !transaction) return 'ENOENT'
    const on = transaction ?? this.#daemon.store
    const single = wire.decodeString(payload)
    switch (type) {
      case wire.XS_DIRECTORY:
        return this.#at(single, (path) => listing(on.list(this.caller, path)))
      case wire.XS_DIRECTORY_PART:
        return this.#directoryPart(on, payload)
      case wire.XS_READ:
        return this.#at(single, (path) => on.read(this.caller, path))
      case wire.XS_WRITE:
        return this.#write(on, payload)
      case wire.XS_MKDIR:
        return this.#at(single, (path) => on.makeNode(this.caller, path))
      case wire.XS_RM:
        return this.#at(single, (path) => on.remove(this.caller, path))
      case wire.XS_GET_PERMS:
        return this.#getPermissions(on, single)
      case wire.XS_SET_PERMS:
        return this.#setPermissions(on, payload)
      case wire.XS_WATCH:
        return this.#watch(payload)
      case wire.XS_UNWATCH:
        return this.#unwatch(payload)
      case wire.XS_RESET_WATCHES:
        this.reset()
        return undefined
      case wire.XS_TRANSACTION_START:
        return this.#startTransaction(id)
      case wire.XS_TRANSACTION_END:
        return this.#endTransaction(id, transaction, single)
      default:
        return this.#answerAboutDomains(type, payload, single)
    }
  }

  #answerAboutDomains(type: number, payload: Uint8Array, single: string | undefined): Reply {
    const daemon = this.#daemon
    const words = wire.decodeStrings(payload)
    switch (type) {
      case wire.XS_CONTROL: {
        const reply = daemon.control(words)
        return wire.isErrno(reply) ? reply : wire.encodeStrings(reply.text)
      }
      case wire.XS_INTRODUCE:
        if (words.length < 3) return 'EINVAL'
        return daemon.introduce(number(words[0]), number(words[1]), number(words[2]))
      case wire.XS_SET_TARGET:
        if (words.length < 2) return 'EINVAL'
        return daemon.setTarget(number(words[0]), number(words[1]))
    }
    if (single === undefined) return 'EINVAL'
    const domid = number(single)
    switch (type) {
      case wire.XS_RELEASE:
        return daemon.release(domid)
      case wire.XS_RESUME:
        return daemon.resume(domid)
      case wire.XS_GET_DOMAIN_PATH:
        return wire.encodeStrings(domainPath(domid >>> 0))
      default:
        return wire.encodeStrings(daemon.isIntroduced(domid) ? 'T' : 'F')
    }
  }

  /** Carries `operation` out on the path that the client gave, if it is one. */
  #at(given: string | undefined, operation: (path: string) => Reply): Reply {
    if (given === undefined) return 'EINVAL'
    const path = absolutePath(given, this.#base)
    return isValidPath(path, this.#daemon.quotas.pathLength) ? operation(path) : 'EINVAL'
  }

  /** Ends with an empty name when the last child is among those given. */
  #directoryPart(on: Workspace, payload: Uint8Array): Reply {
    const [given, offsetText, ...more] = wire.decodeStrings(payload)
    if (offsetText === undefined || more.length > 0) return 'EINVAL'
    return this.#at(given, (path) => {
      const listed = on.list(this.caller, path)
      if (wire.isErrno(listed)) return listed
      const generation = String(listed.generation)
      const names = wire.encodeStrings(...listed.names)
      const rest = names.subarray(number(offsetText) >>> 0)
      const room = wire.XENSTORE_PAYLOAD_MAX - generation.length - 2
      if (rest.length <= room) return concat(wire.encodeStrings(generation), rest, NUL)
      return concat(
        wire.encodeStrings(generation),
        rest.subarray(0, rest.lastIndexOf(0, room - 1) + 1),
      )
    })
  }

  #write(on: Workspace, payload: Uint8Array): Reply {
    const end = payload.indexOf(0)
    if (end < 0) return 'EINVAL'
    const value = payload.subarray(end + 1)
    return this.#at(wire.textOf(payload.subarray(0, end)), (path) =>
      on.write(this.caller, path, value),
    )
  }

  #getPermissions(on: Workspace, given: string | undefined): Reply {
    return this.#at(given, (path) => {
      const permissions = on.permissions(this.caller, path)
      if (wire.isErrno(permissions)) return permissions
      return wire.encodeStrings(...permissions.map(formatPermission))
    })
  }

  #setPermissions(on: Workspace, payload: Uint8Array): Reply {
    const [given, ...texts] = wire.decodeStrings(payload)
    if (given === undefined) return 'EINVAL'
    const isTooMany = texts.length > this.#daemon.quotas.permissions
    if (isTooMany && !this.caller.isPrivileged) return 'ENOSPC'
    const permissions = parsePermissions(texts)
    if (wire.isErrno(permissions)) return permissions
    const [owner, ...listed] = permissions
    if (!this.#daemon.domainExists(owner.domid)) return 'ENOENT'
    const marked = listed.map((p) =>
      this.#daemon.domainExists(p.domid) ? p : { ...p, isVoid: true as const },
    )
    if (isSpecial(given)) {
      return this.#daemon.setSpecialPermissions(this.caller, given, [owner, ...marked])
    }
    return this.#at(given, (path) => on.setPermissions(this.caller, path, [owner, ...marked]))
  }

  #watch(payload: Uint8Array): Reply {
    const [path, token, ...more] = wire.decodeStrings(payload)
    if (path === undefined || token === undefined || more.length > 0) return 'EINVAL'
    const { quotas } = this.#daemon
    const limit = this.caller.isPrivileged ? Infinity : quotas.watches
    const limits = { limit, pathLength: quotas.pathLength, mayTake: this.#mayTake }
    const watch = this.#watches.add(path, token, limits)
    if (wire.isErrno(watch)) return watch
    this.#freshWatch = watch
    return undefined
  }

  #unwatch(payload: Uint8Array): Reply {
    const [path, token, ...more] = wire.decodeStrings(payload)
    if (path === undefined || token === undefined || more.length > 0) return 'EINVAL'
    return this.#watches.remove(path, token)
  }

  readonly #mayTake = (bytes: number): boolean => {
    const { isPrivileged, domid } = this.caller
    return isPrivileged || this.#daemon.memory.mayGrow(domid, bytes)
  }

  #startTransaction(id: number): Reply {
    if (id !== 0) return 'EBUSY'
    const isFull = this.#transactions.size > this.#daemon.quotas.transactions
    if (isFull && !this.caller.isPrivileged) return 'ENOSPC'
    while (this.#nextTransaction === 0 || this.#transactions.has(this.#nextTransaction)) {
      this.#nextTransaction = (this.#nextTransaction + 1) >>> 0
    }
    const fresh = this.#nextTransaction
    this.#transactions.set(fresh, this.#daemon.store.begin())
    this.#nextTransaction = (fresh + 1) >>> 0
    return wire.encodeStrings(String(fresh))
  }

  #endTransaction(
    id: number,
    transaction: Transaction | undefined,
    verdict: string | undefined,
  ): Reply {
    if (verdict !== 'T' && verdict !== 'F') return 'EINVAL'
    if (!transaction) return 'ENOENT'
    this.#transactions.delete(id)
    return verdict === 'T' ? this.#daemon.store.commit(this.caller, transaction) : undefined
  }
}

const NUL = new Uint8Array(1)

/** Reads a number as C's atoi does: 0 where there is none. */
function number(text: string | undefined): number {
  const value = Number.parseInt(text ?? '', 10)
  return Number.isNaN(value) ? 0 : value
}

function listing(listed: { names: string[] } | Errno): Reply {
  return wire.isErrno(listed) ? listed : wire.encodeStrings(...listed.names)
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, p) => sum + p.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
