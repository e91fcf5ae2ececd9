// A domain's network interfaces as the library shows them: gateways are started before an
// interface is plugged in, and a capture sees all that pass.

import { withChecksum } from '../backends/net/checksum.ts'
import { formatMac } from '../backends/net/mac.ts'
import type { Vif } from '../backends/net/vif.ts'
import type { GuestNetworks, PluggedVif } from '../toolstack/guest-networks.ts'
import { parseVifSpec, type VifConfig } from '../toolstack/vif-config.ts'
import type { CaptureFile } from './capture-file.ts'
import type { Gateways } from './gateways.ts'
import type { NetworkInfo, Packet } from './host-types.ts'
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
  gateways: Gateways,
  notice: (text: string) => void,
): Promise<PreparedVif[]> {
  const prepared: PreparedVif[] = []
  try {
    for (const [i, vif] of vifs.entries()) {
      const config = typeof vif === 'string' ? parseVifSpec(vif, notice) : vif
      const what = `Network interface ${config.devid ?? i} of domain "${domain}"`
      const onEnd = (why: string) => notice(`${what} has lost its way to the outside. ${why}`)
      prepared.push({ config, uplink: await gateways.start(what, config, onEnd) })
    }
    return prepared
  } catch (error) {
    releaseVifs(prepared)
    throw error
  }
}

export function releaseVifs(prepared: readonly PreparedVif[]): void {
  for (const { uplink } of prepared) uplink?.close()
}

export class DomainNetworks {
  readonly #name: string
  readonly #networks: GuestNetworks
  readonly #gateways: Gateways
  readonly #notice: (text: string) => void
  readonly #configs = new Map<Vif, PreparedVif>()
  readonly #listeners = new Set<(packet: Packet) => void>()
  #capture: CaptureFile | undefined

  constructor(
    name: string,
    networks: GuestNetworks,
    prepared: readonly PreparedVif[],
    gateways: Gateways,
    notice: (text: string) => void,
  ) {
    this.#name = name
    this.#networks = networks
    this.#gateways = gateways
    this.#notice = notice
    for (const [i, plugged] of networks.attached.entries()) {
      const known = prepared[i]
      if (known) this.#added(plugged, known)
    }
  }

  list(): readonly NetworkInfo[] {
    return this.#networks.all.map(({ vif, bridge }) => {
      const { config, uplink } = this.#configs.get(vif) ?? {}
      return {
        devid: vif.description.devid,
        name: vif.name,
        mac: formatMac(vif.description.mac),
        bridge,
        state: vif.state,
        queues: vif.queueCount,
        address: uplink?.guestAddress,
        forwards: config?.forwards ?? [],
        counters: { ...vif.counters },
      }
    })
  }

  /** @throws UserError */
  async attach(vif: VifConfig | string): Promise<number> {
    const [prepared] = await prepareVifs(this.#name, [vif], this.#gateways, this.#notice)
    if (!prepared) return -1
    try {
      const plugged = this.#networks.attach(prepared.config, prepared.uplink)
      this.#added(plugged, prepared)
      return plugged.vif.description.devid
    } catch (error) {
      releaseVifs([prepared])
      throw error
    }
  }

  detach(devid: number): boolean {
    return this.#networks.detach(devid)
  }

  listen(listener: (packet: Packet) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Keeps what passes the interfaces, those that are plugged in later too, in a file. */
  captureTo(file: CaptureFile): void {
    this.#capture = file
    for (const { vif } of this.#networks.all) file.add(vif)
  }

  close(): void {
    this.#capture?.close()
  }

  #added({ vif }: PluggedVif, prepared: PreparedVif): void {
    this.#configs.set(vif, prepared)
    this.#capture?.add(vif)
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
