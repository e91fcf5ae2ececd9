// The gateways of a host's domains: one passt for each interface that has a way out, each guest
// with an address of its own, so that guests that share a switch do not share addresses.

import { UserError } from '../base/errors.ts'
import { ipv4Number } from '../toolstack/port-forward.ts'
import { hasGateway, type VifConfig } from '../toolstack/vif-config.ts'
import type { TimeMode } from './host-types.ts'
import {
  FIRST_GUEST_ADDRESS,
  type Gateway,
  GATEWAY_NETWORK,
  ipv4Text,
  LAST_GUEST_ADDRESS,
  startPasst,
} from './passt.ts'

export interface GatewayOptions {
  readonly time: TimeMode
  /** Told when a frame has come in for a guest. */
  readonly onTraffic: () => void
}

export class Gateways {
  readonly #options: GatewayOptions
  readonly #used = new Set<number>()
  /** Closed, but still in the way of who wants to listen on the same ports. */
  readonly #exiting = new Set<Promise<void>>()

  constructor(options: GatewayOptions) {
    this.#options = options
  }

  /**
   * The gateway of an interface, running; undefined if it is to have none.
   * @param what whose interface it is, as messages name it
   * @param onEnd told when it ends by itself
   * @throws UserError if it cannot be had
   */
  async start(
    what: string,
    vif: VifConfig,
    onEnd: (why: string) => void,
  ): Promise<Gateway | undefined> {
    if (!hasGateway(vif)) return undefined
    if (this.#options.time === 'virtual') {
      throw new UserError(
        `${what} gets no way to the outside.`,
        'In virtual time idle time is skipped: answers from outside would always come too late.',
        'Use real time (--time real), or give the interface gateway=none or a bridge.',
      )
    }
    await Promise.all(this.#exiting)
    const address = this.#addressFor(what, vif)
    this.#used.add(address)
    return startPasst({
      what,
      address,
      forwards: vif.forwards ?? [],
      mtu: vif.mtu,
      onEnd,
      onTraffic: this.#options.onTraffic,
      onClose: (exited) => {
        this.#used.delete(address)
        this.#exiting.add(exited)
        void exited.then(() => this.#exiting.delete(exited))
      },
    })
  }

  #addressFor(what: string, { ip }: VifConfig): number {
    if (ip === undefined) {
      for (let address = FIRST_GUEST_ADDRESS; address <= LAST_GUEST_ADDRESS; address++) {
        if (!this.#used.has(address)) return address
      }
      throw noAddress(what, 'All addresses of the network are taken.')
    }
    const address = ipv4Number(ip)
    if (address === undefined || address < FIRST_GUEST_ADDRESS || address > LAST_GUEST_ADDRESS) {
      throw noAddress(what, `${ip} is not one that a gateway gives.`)
    }
    if (this.#used.has(address)) throw noAddress(what, `Another guest has ${ip}.`)
    return address
  }
}

function noAddress(what: string, why: string): UserError {
  const network = `${ipv4Text(GATEWAY_NETWORK.address)}/${GATEWAY_NETWORK.bits}`
  return new UserError(
    `${what} gets no address.`,
    why,
    `Give one from ${ipv4Text(FIRST_GUEST_ADDRESS)} to ${ipv4Text(LAST_GUEST_ADDRESS)} of ` +
      `${network}, or none, or gateway=none.`,
  )
}
