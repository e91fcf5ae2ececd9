// What a domain may use up. Privileged connections are bound by the length of paths only.
// The defaults are those of Xen's own xenstored 4.17.

export interface Quotas {
  /** Nodes that a domain owns. */
  readonly nodes: number
  /** Bytes of a node: a header of 24, 8 for each permission, the value, its children's names. */
  readonly nodeSize: number
  /** Permission entries of a node. */
  readonly permissions: number
  /** Characters of a path behind the domain's home. */
  readonly pathLength: number
  /** Watches; as with transactions xenstored lets a client have one more than this. */
  readonly watches: number
  /** Transactions open at once. */
  readonly transactions: number
  /** Nodes that one transaction looks at or changes. */
  readonly transactionNodes: number
  /** Replies that wait to be read before further requests are taken. */
  readonly outstandingReplies: number
  /** Bytes that wait to be read before watch events are dropped. */
  readonly outputSize: number
  /**
   * Bytes of all that a domain makes the daemon remember, see memory.ts: what would reach this is
   * refused, and who is there all the same is not served. 0 means that there is no limit.
   */
  readonly memory: number
  /** Bytes of which, when they are reached, the user is told. 0 means never. */
  readonly softMemory: number
}

/** Quotas that can be changed while the daemon runs. */
export type MutableQuotas = { -readonly [K in keyof Quotas]: Quotas[K] }

export const DEFAULT_QUOTAS: Quotas = {
  nodes: 1000,
  nodeSize: 2048,
  permissions: 5,
  pathLength: 2048,
  watches: 128,
  transactions: 10,
  transactionNodes: 1024,
  outstandingReplies: 20,
  outputSize: 2 << 20,
  memory: (2 << 20) + (512 << 10),
  softMemory: 2 << 20,
}
