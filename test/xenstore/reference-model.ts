// A model of xenstored to compare the daemon with: a map from paths to nodes, copied whole for each
// transaction. Written from docs/misc/xenstore.txt (and, for which of two errors comes first, from
// what xenstored 4.17 was recorded to answer), not from our daemon; slow and simple on purpose.

/** A node; a change makes a new object, so that identity tells what was changed. */
interface ModelNode {
  readonly value: string
  /** Entries as on the wire, such as `n5`; the first names the owner. */
  readonly permissions: readonly string[]
}

export interface ModelRequest {
  readonly verb: 'READ' | 'DIRECTORY' | 'GET_PERMS' | 'WRITE' | 'MKDIR' | 'RM' | 'SET_PERMS'
  /** As the client gave it. */
  readonly path: string
  /** The value of WRITE, the permissions of SET_PERMS. */
  readonly more: readonly string[]
}

interface Watch {
  readonly path: string
  readonly token: string
  readonly isRelative: boolean
}

/** A change that watches are told of; an exact one only tells watches on that very path. */
type Changes = Map<string, boolean>

type Tree = Map<string, ModelNode>

export class ModelTransaction {
  readonly base: Tree
  tree: Tree
  /** Paths that were looked at: they, and the nodes there, take memory. */
  readonly touched = new Set<string>()
  readonly requests: (readonly [request: ModelRequest, answer: string])[] = []
  readonly changes: Changes = new Map()
  /** Paths that others have changed since the start. */
  readonly foreign: string[] = []

  constructor(tree: Tree) {
    this.base = tree
    this.tree = new Map(tree)
  }
}

export class ModelClient {
  readonly domid: number
  readonly watches: Watch[] = []
  readonly transactions = new Map<number, ModelTransaction>()
  /** Events since they were last taken, `path token` each. */
  events: string[] = []

  constructor(domid: number) {
    this.domid = domid
  }

  get home(): string {
    return `/local/domain/${this.domid}`
  }

  absolute(path: string): string {
    return path.startsWith('/') ? path : `${this.home}/${path}`
  }
}

const READ = 1
const WRITE = 2
const OWN = 4
const LETTERS: Readonly<Record<string, number>> = { n: 0, r: READ, w: WRITE, b: READ | WRITE }

export class ReferenceModel {
  tree: Tree = new Map([['/', { value: '', permissions: ['n0'] }]])
  readonly clients: readonly ModelClient[]
  /** The most memory of a domain, exclusive. */
  limit: number

  constructor(clients: readonly ModelClient[], limit = Infinity) {
    this.clients = clients
    this.limit = limit
  }

  /**
   * Bytes that a domain takes: its nodes with their paths, its watches, and what its transactions
   * have looked at.
   */
  memory({ domid, watches, transactions }: ModelClient, tree = this.tree): number {
    let bytes = nodeBytes(tree, domid)
    for (const { path, token } of watches) bytes += path.length + token.length
    for (const open of transactions.values()) bytes += touchedBytes(open.touched, open.tree)
    return bytes
  }

  #hasRoom(client: ModelClient, more: number): boolean {
    return client.domid === 0 || more <= 0 || this.memory(client) + more < this.limit
  }

  /** A transaction on the tree as it is now. */
  begin(): ModelTransaction {
    return new ModelTransaction(new Map(this.tree))
  }

  /** The answer to a request, in a transaction or outside of all. */
  request(client: ModelClient, request: ModelRequest, transaction?: ModelTransaction): string {
    if (transaction) {
      const answer = this.#within(client, request, transaction)
      transaction.requests.push([request, answer])
      return answer
    }
    const before = this.tree
    const after = new Map(before)
    const changes: Changes = new Map()
    const answer = apply(client, request, after, changes)
    const growth = (owner: ModelClient) =>
      nodeBytes(after, owner.domid) - nodeBytes(before, owner.domid)
    const isTooMuch = this.clients.some((owner) => !this.#hasRoom(owner, growth(owner)))
    if (client.domid !== 0 && isTooMuch) return 'EIO'
    this.tree = after
    this.#tell(changes, before)
    return answer
  }

  #within(client: ModelClient, request: ModelRequest, open: ModelTransaction): string {
    const path = client.absolute(request.path)
    const looked = [path]
    for (let at = path; !open.tree.has(at); looked.push(at)) at = parentOf(at)
    if (!this.#touch(client, open, looked)) return 'ENOMEM'
    const after = new Map(open.tree)
    const changes: Changes = new Map(open.changes)
    const answer = apply(client, request, after, changes)
    if (request.verb === 'RM' && answer === 'OK') {
      const removed = [...open.tree.keys()].filter((below) => isWithin(below, path))
      if (!this.#touch(client, open, removed)) return 'ENOMEM'
    }
    const growth = touchedBytes(open.touched, after) - touchedBytes(open.touched, open.tree)
    if (!this.#hasRoom(client, growth)) return 'EIO'
    open.tree = after
    for (const [at, isExact] of changes) open.changes.set(at, isExact)
    return answer
  }

  /** Looks at paths one after the other, until one takes too much memory. */
  #touch(client: ModelClient, open: ModelTransaction, paths: readonly string[]): boolean {
    for (const path of paths) {
      if (open.touched.has(path)) continue
      if (!this.#hasRoom(client, touchedBytes(new Set([path]), open.tree))) return false
      open.touched.add(path)
    }
    return true
  }

  /**
   * The daemon has committed a transaction. It must then be as if all of it had run just now; what
   * is wrong otherwise.
   */
  committed(client: ModelClient, transaction: ModelTransaction): string | undefined {
    if (transaction.changes.size === 0) return undefined
    const before = new Map(this.tree)
    for (const [request, answer] of transaction.requests) {
      if (isRefusal(answer)) continue
      const now = apply(client, request, this.tree, new Map())
      if (now === answer) continue
      return `${request.verb} ${request.path} answered ${answer}, but would answer ${now} at the end`
    }
    const { base, tree } = transaction
    for (const path of transaction.changes.keys()) {
      if (base.get(path) === tree.get(path)) transaction.changes.delete(path)
    }
    this.#tell(transaction.changes, before)
    return undefined
  }

  /** The daemon refused to commit: whether others have changed anything that could matter to it. */
  mayConflict(client: ModelClient, transaction: ModelTransaction): boolean {
    return transaction.requests.some(([{ path }]) => {
      const mine = client.absolute(path)
      return transaction.foreign.some((theirs) => isWithin(mine, theirs) || isWithin(theirs, mine))
    })
  }

  watch(client: ModelClient, path: string, token: string, limit: number): string {
    const absolute = client.absolute(path)
    const isKnown = client.watches.some((w) => w.path === absolute && w.token === token)
    if (isKnown) return 'EEXIST'
    if (client.domid !== 0 && client.watches.length > limit) return 'E2BIG'
    if (!this.#hasRoom(client, absolute.length + token.length)) return 'ENOMEM'
    client.watches.push({ path: absolute, token, isRelative: absolute !== path })
    client.events.push(`${path} ${token}`)
    return 'OK'
  }

  unwatch(client: ModelClient, path: string, token: string): string {
    const absolute = client.absolute(path)
    const at = client.watches.findIndex((w) => w.path === absolute && w.token === token)
    if (at < 0) return 'ENOENT'
    client.watches.splice(at, 1)
    return 'OK'
  }

  #tell(changes: Changes, before: Tree): void {
    const made = [...this.tree.keys()].filter((path) => !before.has(path))
    for (const client of this.clients) {
      for (const { foreign } of client.transactions.values()) {
        foreign.push(...changes.keys(), ...made)
      }
    }
    for (const [path, isExact] of changes) {
      for (const client of this.clients) {
        if (!isVisible(client, path, before) && !isVisible(client, path, this.tree)) continue
        for (const watch of client.watches) {
          const sees = isExact ? watch.path === path : isWithin(path, watch.path)
          const told = watch.isRelative ? path.slice(client.home.length + 1) : path
          const event = `${told} ${watch.token}`
          // What waits already is not said twice.
          if (sees && !client.events.includes(event)) client.events.push(event)
        }
      }
    }
  }
}

/** Is it an answer to a request that was not carried out, for want of memory. */
export function isRefusal(answer: string): boolean {
  return answer === 'EIO' || answer === 'ENOMEM'
}

function nodeBytes(tree: Tree, domid: number): number {
  let bytes = 0
  for (const [path, { permissions }] of tree) {
    if (Number(permissions[0]?.slice(1)) === domid) bytes += path.length + nodeSize(tree, path)
  }
  return bytes
}

function touchedBytes(touched: ReadonlySet<string>, tree: Tree): number {
  let bytes = 0
  for (const path of touched) bytes += path.length + nodeSize(tree, path)
  return bytes
}

/** As the quota for one node has it: a header, the permissions, the value, the children's names. */
function nodeSize(tree: Tree, path: string): number {
  const node = tree.get(path)
  if (!node) return 0
  const names = childrenOf(tree, path).reduce((sum, name) => sum + name.length + 1, 0)
  return 24 + 8 * node.permissions.length + node.value.length + names
}

/** Who can read a node or its parent is told of its changes. */
function isVisible(client: ModelClient, path: string, tree: Tree): boolean {
  const node = tree.get(path)
  if (!node) return false
  const above = tree.get(parentOf(path)) ?? node
  return ((rights(client, node) | rights(client, above)) & READ) !== 0
}

function rights(client: ModelClient, { permissions }: ModelNode): number {
  const domids = permissions.map((entry) => Number(entry.slice(1)))
  if (client.domid === 0 || domids[0] === client.domid) return READ | WRITE | OWN
  const at = domids.indexOf(client.domid, 1)
  return LETTERS[permissions[Math.max(at, 0)]?.[0] ?? 'n'] ?? 0
}

function apply(client: ModelClient, request: ModelRequest, tree: Tree, changes: Changes): string {
  const path = client.absolute(request.path)
  const need = { READ, DIRECTORY: READ, GET_PERMS: READ, SET_PERMS: WRITE | OWN }
  const wanted = request.verb in need ? need[request.verb as keyof typeof need] : WRITE
  const node = tree.get(path)
  let nearest = path
  while (!tree.has(nearest)) nearest = parentOf(nearest)
  const has = rights(client, tree.get(nearest) as ModelNode) & wanted
  if (node ? has !== wanted : has === 0) return 'EACCES'
  switch (request.verb) {
    case 'READ':
      return node ? `=${node.value}` : 'ENOENT'
    case 'GET_PERMS':
      return node ? node.permissions.join() : 'ENOENT'
    case 'DIRECTORY':
      return node ? childrenOf(tree, path).toSorted().join() : 'ENOENT'
    case 'WRITE':
      make(client, tree, path, changes)
      tree.set(path, { ...(tree.get(path) as ModelNode), value: request.more[0] ?? '' })
      note(changes, path, false)
      return 'OK'
    case 'MKDIR':
      make(client, tree, path, changes)
      return 'OK'
    case 'RM':
      if (!node) return tree.has(parentOf(path)) ? 'OK' : 'ENOENT'
      if (path === '/') return 'EINVAL'
      for (const below of [...tree.keys()].filter((p) => isWithin(p, path))) {
        tree.delete(below)
        note(changes, below, below !== path)
      }
      return 'OK'
    case 'SET_PERMS': {
      if (!node) return 'ENOENT'
      const owner = (entries: readonly string[]) => Number(entries[0]?.slice(1))
      if (client.domid !== 0 && owner(request.more) !== owner(node.permissions)) return 'EPERM'
      tree.set(path, { ...node, permissions: request.more })
      note(changes, path, false)
      return 'OK'
    }
  }
}

/** Creates a node with the parents that it lacks, each with the permissions of the one above. */
function make(client: ModelClient, tree: Tree, path: string, changes: Changes): void {
  if (tree.has(path)) return
  const above = parentOf(path)
  make(client, tree, above, new Map())
  const [owner = 'n0', ...others] = (tree.get(above) as ModelNode).permissions
  const first = client.domid === 0 ? owner : `${owner[0]}${client.domid}`
  tree.set(path, { value: '', permissions: [first, ...others] })
  note(changes, path, false)
}

function note(changes: Changes, path: string, isExact: boolean): void {
  changes.set(path, isExact && (changes.get(path) ?? true))
}

export function childrenOf(tree: ReadonlyMap<string, unknown>, path: string): string[] {
  const paths = [...tree.keys()].filter((p) => p !== '/' && parentOf(p) === path)
  return paths.map((p) => p.slice(p.lastIndexOf('/') + 1))
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/'
}

function isWithin(path: string, ancestor: string): boolean {
  return ancestor === '/' || path === ancestor || path.startsWith(`${ancestor}/`)
}
