// What a frontend has written into xenstore when it says that it is connected: rings, ports, and
// what it can take (netif.h). All of it is the guest's word.

import type { XenstoreClient } from '../xenstore/client.ts'

/** One pair of rings with its events. */
export interface QueueOffer {
  readonly txRing: number
  readonly rxRing: number
  readonly txPort: number
  /** The same as `txPort` without split event channels. */
  readonly rxPort: number
}

export interface FrontendOffer {
  readonly queues: readonly QueueOffer[]
  readonly canScatter: boolean
  readonly canGsoV4: boolean
  readonly canGsoV6: boolean
  /** Whether it takes frames without checksum. */
  readonly canBlankV4: boolean
  readonly canBlankV6: boolean
  readonly wantsMulticastControl: boolean
}

/** Reads what a frontend offers, or says what is wrong with it. */
export function readFrontendOffer(
  store: XenstoreClient,
  path: string,
  maxQueues: number,
): FrontendOffer | string {
  const number = (key: string) => numberAt(store, `${path}/${key}`)
  const flag = (key: string, otherwise: boolean) => {
    const value = number(key)
    return value === undefined ? otherwise : value !== 0
  }
  if (!flag('request-rx-copy', false)) return 'it does not ask for copies on receiving'
  const count = number('multi-queue-num-queues') ?? 1
  if (count < 1 || count > maxQueues) return `it asks for ${count} queues`
  const queues: QueueOffer[] = []
  for (let i = 0; i < count; i++) {
    const queue = queueAt(store, count === 1 ? path : `${path}/queue-${i}`)
    if (!queue) return `queue ${i} lacks its rings or its event channels`
    queues.push(queue)
  }
  return {
    queues,
    canScatter: flag('feature-sg', false),
    canGsoV4: flag('feature-gso-tcpv4', false),
    canGsoV6: flag('feature-gso-tcpv6', false),
    canBlankV4: !flag('feature-no-csum-offload', false),
    canBlankV6: flag('feature-ipv6-csum-offload', false),
    wantsMulticastControl: wantsMulticastControl(store, path),
  }
}

/** May be changed while the frontend is connected. */
export function wantsMulticastControl(store: XenstoreClient, path: string): boolean {
  return (numberAt(store, `${path}/request-multicast-control`) ?? 0) !== 0
}

function queueAt(store: XenstoreClient, path: string): QueueOffer | undefined {
  const number = (key: string) => numberAt(store, `${path}/${key}`)
  const txRing = number('tx-ring-ref')
  const rxRing = number('rx-ring-ref')
  const both = number('event-channel')
  const txPort = number('event-channel-tx') ?? both
  const rxPort = number('event-channel-rx') ?? both
  if (txRing === undefined || rxRing === undefined) return undefined
  if (txPort === undefined || rxPort === undefined) return undefined
  return { txRing, rxRing, txPort, rxPort }
}

/** An unsigned number of 32 bits, or undefined if it is absent or none. */
function numberAt(store: XenstoreClient, path: string): number | undefined {
  const text = store.read(path)
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined
  const value = Number(text)
  return value <= 0xffff_ffff ? value : undefined
}
