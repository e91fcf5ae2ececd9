// The store as the host's own parts use it: the toolstack and the backends, which act as domain 0.
// Values are text in UTF-8. What cannot fail for domain 0 is a Bug of the caller when it fails.

import { Bug } from '../../base/errors.ts'
import { isSpecial, isValidPath } from './path.ts'
import type { Caller, Permission, Permissions } from './permissions.ts'
import type { Transaction } from './transaction.ts'
import {
  decodeStrings,
  encodeStrings,
  type Errno,
  isErrno,
  XENSTORE_ABS_PATH_MAX,
  XS_UNWATCH,
  XS_WATCH,
} from './wire.ts'
import type { Workspace } from './workspace.ts'
import type { HostClient, Xenstored } from './xenstored.ts'

/** Reads and writes, outside of transactions or in one. Paths are absolute. */
export class XenstoreView {
  readonly #workspace: Workspace
  readonly #caller: Caller
  readonly #settle: () => void

  constructor(workspace: Workspace, caller: Caller, settle: () => void) {
    this.#workspace = workspace
    this.#caller = caller
    this.#settle = settle
  }

  /** The value as text, or undefined if there is no such node. */
  read(path: string): string | undefined {
    const bytes = this.readBytes(path)
    return bytes && new TextDecoder().decode(bytes)
  }

  readBytes(path: string): Uint8Array | undefined {
    return found(path, this.#workspace.read(this.#caller, checked(path)))
  }

  /** The names of the children, or undefined if there is no such node. */
  list(path: string): string[] | undefined {
    return found(path, this.#workspace.list(this.#caller, checked(path)))?.names
  }

  permissions(path: string): Permissions | undefined {
    return found(path, this.#workspace.permissions(this.#caller, checked(path)))
  }

  /** Creates the node and its parents if need be. */
  write(path: string, value: string | Uint8Array): void {
    const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value
    this.#done(path, this.#workspace.write(this.#caller, checked(path), bytes))
  }

  makeNode(path: string): void {
    this.#done(path, this.#workspace.makeNode(this.#caller, checked(path)))
  }

  /** Removes the node and all below it; false if there was none. */
  remove(path: string): boolean {
    const existed = this.readBytes(path) !== undefined
    if (existed) this.#done(path, this.#workspace.remove(this.#caller, path))
    return existed
  }

  setPermissions(path: string, first: Permission, ...others: Permission[]): void {
    this.#done(path, this.#workspace.setPermissions(this.#caller, path, [first, ...others]))
  }

  #done(path: string, result: undefined | Errno): void {
    if (result !== undefined) throw new Bug(`xenstore: ${path}: ${result}`)
    this.#settle()
  }
}

export class XenstoreClient extends XenstoreView {
  readonly #daemon: Xenstored
  readonly #client: HostClient
  readonly #callbacks = new Map<string, (path: string) => void>()
  #nextToken = 0

  constructor(daemon: Xenstored) {
    const client = daemon.addHostClient(0, () => this.#deliver())
    super(daemon.store, client.connection.caller, () => daemon.settle())
    this.#daemon = daemon
    this.#client = client
  }

  /**
   * Calls `callback` with the path of each change at or below `path` (or special event), and
   * once at first. Gives the function that ends it.
   */
  watch(path: string, callback: (path: string) => void): () => void {
    if (!isSpecial(path)) checked(path)
    const token = String(this.#nextToken++)
    this.#callbacks.set(token, callback)
    this.#request(XS_WATCH, path, token)
    return () => {
      if (this.#callbacks.delete(token)) this.#request(XS_UNWATCH, path, token)
    }
  }

  /** Makes the changes of `work` all at once; nothing else runs in between, so it never fails. */
  transaction<T>(work: (view: XenstoreView) => T): T {
    const { store } = this.#daemon
    const { caller } = this.#client.connection
    const transaction: Transaction = store.begin()
    const result = work(new XenstoreView(transaction, caller, () => {}))
    const error = store.commit(caller, transaction)
    if (error) throw new Bug(`xenstore: the host's own transaction failed: ${error}`)
    this.#daemon.settle()
    return result
  }

  /** Ends all watches. */
  close(): void {
    this.#callbacks.clear()
    this.#daemon.removeHostClient(this.#client)
  }

  #request(type: number, ...strings: string[]): void {
    const payload = encodeStrings(...strings)
    this.#client.connection.receive({ type, requestId: 0, transactionId: 0, payload })
    this.#daemon.settle()
  }

  #deliver(): void {
    const { output } = this.#client.connection
    for (let bytes = output.peek(); bytes; bytes = output.peek()) {
      const [path, token] = decodeStrings(bytes.subarray(16))
      output.take(bytes.length)
      if (path !== undefined && token !== undefined) this.#callbacks.get(token)?.(path)
    }
  }
}

function checked(path: string): string {
  if (!isValidPath(path, XENSTORE_ABS_PATH_MAX)) throw new Bug(`xenstore: ${path}: no valid path`)
  return path
}

function found<T>(path: string, result: T | Errno): T | undefined {
  if (!isErrno(result)) return result
  if (result !== 'ENOENT') throw new Bug(`xenstore: ${path}: ${result}`)
  return undefined
}
