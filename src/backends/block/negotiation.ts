// What a frontend says in xenstore about how it wants to talk (public/io/blkif.h, "Frontend XenBus
// Nodes" and "Multiple hardware queues"), read and checked. All of it is the guest's: what is not a
// number in its bounds is refused with a sentence.

import type { Width } from '../../xen/abi/structure.ts'
import type { XenstoreClient } from '../xenstore/client.ts'

/** What we offer at most; Linux's backend offers the same order. */
export const MAX_RING_PAGE_ORDER = 4
export const MAX_QUEUES = 4

const ABIS: Readonly<Record<string, Width>> = { 'x86_64-abi': 64, 'x86_32-abi': 32 }
/** The ABI of a frontend that does not say: our own. */
const NATIVE = 'x86_64-abi'

export interface QueueTerms {
  /** Grants of the ring's pages. */
  readonly refs: readonly number[]
  readonly port: number
}

export interface Terms {
  readonly width: Width
  readonly isPersistent: boolean
  readonly queues: readonly QueueTerms[]
}

/** What the frontend in `path` proposes; a sentence if that cannot be. */
export function readTerms(xenstore: XenstoreClient, path: string): Terms | string {
  const read = (key: string) => numberIn(xenstore.read(`${path}/${key}`))
  const protocol = xenstore.read(`${path}/protocol`) ?? NATIVE
  const width = Object.hasOwn(ABIS, protocol) ? ABIS[protocol] : undefined
  if (width === undefined) return 'protocol names an ABI that is not known'
  const order = read('ring-page-order')
  if (order !== undefined && !(order <= MAX_RING_PAGE_ORDER)) return 'ring-page-order is too large'
  const count = read('multi-queue-num-queues') ?? 1
  if (!(count >= 1 && count <= MAX_QUEUES)) {
    return 'multi-queue-num-queues is not a number of queues that was offered'
  }
  const queues: QueueTerms[] = []
  for (let i = 0; i < count; i++) {
    const prefix = count === 1 ? '' : `queue-${i}/`
    const port = read(`${prefix}event-channel`)
    const keys =
      order === undefined
        ? [`${prefix}ring-ref`]
        : Array.from({ length: 2 ** order }, (_, page) => `${prefix}ring-ref${page}`)
    // A frontend that knows of ring-page-order may still call its only page ring-ref.
    if (order === 0 && read(keys[0] ?? '') === undefined) keys[0] = `${prefix}ring-ref`
    const refs = keys.map((key) => read(key) ?? Number.NaN)
    if (port === undefined || Number.isNaN(port)) return `${prefix}event-channel is no port`
    const bad = refs.findIndex((ref) => Number.isNaN(ref))
    if (bad >= 0) return `${keys[bad]} is no grant reference`
    queues.push({ refs, port })
  }
  return { width, isPersistent: read('feature-persistent') === 1, queues }
}

/** NaN for what is there and is no number of 32 bits; undefined for what is not there. */
function numberIn(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  return value < 2 ** 32 ? value : Number.NaN
}
