// A domain's network interfaces as the library shows them: gateways are started before an
// interface is plugged in, and a capture sees all that pass.

import { withChecksum } from '../backends/net/checksum.ts'
import { UserError } from '../base/errors.ts'
import { vifInfos } from '../toolstack/device-info.ts'
import type { SpecRemark } from '../toolstack/device-spec.ts'
import type { GuestDomain } from '../toolstack/guest-domain.ts'
import type { PluggedVif } from '../toolstack/guest-networks.ts'
import { formatVifSpec, parseVifSpec, type VifConfig } from '../toolstack/vif-config.ts'
import { Capture } from './capture.ts'
import type { Bridges } from './bridges.ts'
import type { Gateways } from './gateways.ts'
import type { CaptureSink, NetworkInfo, Packet } from './host-types.ts'
import type { Gateway } from './passt.ts'

/** What an interface is to be, and its gateway, which runs. */
export interface PreparedVif {
  readonly config: VifConfig
  readonly uplink: Gateway | undefined
}

/**
 * Reads what is asked for and starts the gateways; none is left running if one fails.
 * @throws UserError
 */
export async function prepareVifs(
  domain: string,
  vifs: readonly (VifConfig | string)[],
  { gateways, bridges }: WaysOut,
  notice: (text: string) => void,
): Promise<PreparedVif[]> {
  const prepared: PreparedVif[] = []
  const joined: string[] = []
  const warn = ({ message, hint }: SpecRemark) =>
    notice(`network interface: ${message}: ${hint ?? ''}`)
  try {
    for (const [i, vif] of vifs.entries()) {
      // What was made as an object is looked at like a text.
      const config = parseVifSpec(typeof vif === 'string' ? vif : formatVifSpec(vif), warn)
      const what = `Network interface ${config.devid ?? i} of domain "${domain}"`
      const onEnd = (why: string) => notice(`${what} has lost its way to the outside. ${why}`)
      prepared.push({ config, uplink: await gateways.start(what, config, onEnd) })
      if (config.bridge === undefined) continue
      joined.push(config.bridge)
      await bridges.join(config.bridge, notice)
    }
    return prepared
  } catch (error) {
    releaseVifs(prepared)
    for (const bridge of joined) bridges.release(bridge)
    throw error
  }
}

/** They are in their places, or never will be. */
export function settleVifs(prepared: readonly PreparedVif[], { bridges }: WaysOut): void {
  for (const { config } of prepared) if (config.bridge !== undefined) bridges.release(config.bridge)
}

export function releaseVifs(prepared: readonly PreparedVif[]): void {
  for (const { uplink } of prepared) uplink?.close()
}

/** How frames of a host come to the outside. */
export interface WaysOut {
  readonly gateways: Gateways
  readonly bridges: Bridges
}

/** What a domain's interfaces need of its host. */
export interface NetworkWorld extends WaysOut {
  /** Takes a remark about the domain. */
  readonly notice: (text: string) => void
  /** The guests' time, in nanoseconds since 1970. */
  readonly nowNs: () => bigint
  /** Makes an idle host go on: there is something for the guest to see. */
  readonly wake: () => void
}

export class DomainNetworks {
  readonly #guest: GuestDomain
  readonly #world: NetworkWorld
  /** By device number. */
  readonly #prepared = new Map<number, PreparedVif>()
  readonly #listeners = new Set<(packet: Packet) => void>()
  readonly #captures = new Set<Capture>()

  constructor(guest: GuestDomain, prepared: readonly PreparedVif[], world: NetworkWorld) {
    this.#guest = guest
    this.#world = world
    const { networks } = guest
    for (const [i, plugged] of networks.attached.entries()) {
      const known = prepared[i]
      if (known) this.#added(plugged, known)
    }
  }

  list(): NetworkInfo[] {
    return vifInfos(this.#guest).map((info) => {
      const { config, uplink } = this.#prepared.get(info.devid) ?? {}
      return { ...info, address: uplink?.guestAddress, forwards: config?.forwards ?? [] }
    })
  }

  /** @throws UserError */
  async attach(vif: VifConfig | string): Promise<number> {
    const { notice } = this.#world
    const [prepared] = await prepareVifs(this.#guest.name, [vif], this.#world, notice)
    if (!prepared) return -1
    try {
      if (this.#guest.domain.isDying) throw isGone(this.#guest.name)
      const plugged = this.#guest.networks.attach(prepared.config, prepared.uplink)
      this.#added(plugged, prepared)
      this.#world.wake()
      return plugged.vif.description.devid
    } catch (error) {
      releaseVifs([prepared])
      throw error
    } finally {
      settleVifs([prepared], this.#world)
    }
  }

  /** @throws UserError */
  async detach(devid: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#guest.networks.detach(devid, resolve)
    this.#world.wake()
    return promise
  }

  listen(listener: (packet: Packet) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  capture(sink: CaptureSink): () => void {
    const capture = new Capture(sink, this.#world.nowNs)
    this.#captures.add(capture)
    for (const { vif } of this.#guest.networks.all) capture.add(vif)
    return () => {
      this.#captures.delete(capture)
      capture.close()
    }
  }

  /** The domain is gone. */
  close(): void {
    for (const capture of this.#captures) capture.close()
    this.#captures.clear()
  }

  #added({ vif }: PluggedVif, prepared: PreparedVif): void {
    this.#prepared.set(vif.description.devid, prepared)
    for (const capture of this.#captures) capture.add(vif)
    vif.listen((frame, direction) => {
      if (this.#listeners.size === 0) return
      const { bytes } = withChecksum(frame)
      const { devid } = vif.description
      for (const listener of this.#listeners) {
        listener({ devid, direction: direction === 'in' ? 'sent' : 'received', bytes })
      }
    })
  }
}

function isGone(name: string): UserError {
  return new UserError(
    `Domain "${name}" gets no network interface.`,
    'It has ended meanwhile.',
    'Create it again.',
  )
}
