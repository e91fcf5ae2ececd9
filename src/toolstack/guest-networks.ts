// The network interfaces of a guest: put in place with the domain or plugged in later, each at a
// switch of the host and perhaps with a gateway of its own.

import { UserError } from '../base/errors.ts'
import { formatMac, parseMac } from '../backends/net/mac.ts'
import { Switch, type SwitchPort } from '../backends/net/switch.ts'
import { type Uplink, wire } from '../backends/net/uplink.ts'
import { Vif } from '../backends/net/vif.ts'
import type { XenstoreClient } from '../backends/xenstore/client.ts'
import type { Domain } from '../xen/domain.ts'
import type { Hypervisor } from '../xen/hypervisor.ts'
import { DEFAULT_BRIDGE, type VifConfig } from './vif-config.ts'

/** Linux takes as many queues as it has processors, but no more than this. */
const MOST_QUEUES = 8
const MOST_VIFS = 64
/** The half of Xen's addresses (00:16:3e) for which nobody else is likely to choose. */
const XEN_OUI = 0x0016_3e00_0000

/** The switches of a host, by name; one that nobody uses is forgotten. */
export class Switches {
  readonly #now: () => number
  readonly #switches = new Map<string, Switch>()
  /** Told when an interface has left a switch. */
  onReleased: () => void = () => {}

  constructor(now: () => number) {
    this.#now = now
  }

  /** The switch of that name, which is there when it is asked for. */
  named(name: string): Switch {
    const known = this.#switches.get(name) ?? new Switch(name, this.#now)
    this.#switches.set(name, known)
    return known
  }

  /** A port has been detached. */
  released(name: string): void {
    if (this.#switches.get(name)?.ports.length === 0) this.#switches.delete(name)
  }

  get names(): readonly string[] {
    return [...this.#switches.keys()]
  }
}

/** An interface in its place. */
export interface PluggedVif {
  readonly vif: Vif
  readonly bridge: string
  readonly port: SwitchPort
  readonly uplink: Uplink | undefined
}

/** What networks need of a host. */
export interface NetworkHost {
  readonly hypervisor: Hypervisor
  readonly xenstore: XenstoreClient
  readonly switches: Switches
}

export class GuestNetworks {
  readonly #host: NetworkHost
  readonly #domain: Domain
  readonly #onComplaint: (text: string) => void
  readonly #plugged = new Map<number, PluggedVif>()

  constructor(host: NetworkHost, domain: Domain, onComplaint: (text: string) => void) {
    this.#host = host
    this.#domain = domain
    this.#onComplaint = onComplaint
  }

  /** In the order in which they were attached. */
  get attached(): readonly PluggedVif[] {
    return [...this.#plugged.values()]
  }

  /** By device number, in ascending order. */
  get all(): readonly PluggedVif[] {
    return [...this.#plugged].sort(([a], [b]) => a - b).map(([, plugged]) => plugged)
  }

  /**
   * Plugs an interface in.
   * @throws UserError if the device number is taken, or there are too many
   */
  attach(config: VifConfig, uplink?: Uplink): PluggedVif {
    const { domid } = this.#domain
    const devid = config.devid ?? this.#freeDevid()
    this.#check(devid)
    const bridge = config.bridge ?? DEFAULT_BRIDGE
    const vif = new Vif({
      hypervisor: this.#host.hypervisor,
      store: this.#host.xenstore,
      domid,
      devid,
      mac: macOf(config, this.#domain.config.name, domid, devid),
      bridge,
      vifname: config.vifname,
      ip: config.ip,
      mtu: config.mtu,
      rate: config.rate,
      isTrusted: config.isTrusted ?? true,
      maxQueues: Math.min(this.#domain.vcpus.length, MOST_QUEUES),
      onComplaint: this.#onComplaint,
    })
    const port = this.#host.switches.named(bridge).attach(vif.name, (frame) => vif.deliver(frame))
    wire(vif, port, uplink)
    const plugged = { vif, bridge, port, uplink }
    this.#plugged.set(devid, plugged)
    return plugged
  }

  /**
   * Asks the guest to let go of an interface and takes it away when it has; `onDetached` tells then.
   * @throws UserError if there is none of that number
   */
  detach(devid: number, onDetached: () => void): void {
    const plugged = this.#plugged.get(devid)
    if (!plugged) throw this.#noSuch(devid)
    plugged.vif.detach(() => {
      this.#remove(devid, plugged)
      onDetached()
    })
  }

  /** The guest goes on after it was suspended. */
  renew(): void {
    for (const { vif } of this.all) vif.renew()
  }

  /** Takes all away: the domain ends. */
  destroy(): void {
    for (const [devid, plugged] of this.#plugged) this.#remove(devid, plugged)
  }

  #remove(devid: number, { vif, bridge, port, uplink }: PluggedVif): void {
    if (!this.#plugged.delete(devid)) return
    vif.destroy()
    port.detach()
    this.#host.switches.released(bridge)
    this.#host.switches.onReleased()
    uplink?.close()
  }

  #noSuch(devid: number): UserError {
    const devids = this.all.map(({ vif }) => vif.description.devid)
    return new UserError(
      `There is no network interface ${devid}.`,
      devids.length > 0 ? `There are ${devids.join(', ')}.` : 'The guest has none.',
      'Give the number of one of them.',
    )
  }

  #freeDevid(): number {
    let devid = 0
    while (this.#plugged.has(devid)) devid++
    return devid
  }

  #check(devid: number): void {
    const what = `Domain "${this.#domain.config.name}" cannot get another network interface.`
    if (this.#plugged.has(devid)) {
      throw new UserError(what, `It has one with number ${devid}.`, 'Give another devid, or none.')
    }
    if (this.#plugged.size >= MOST_VIFS) {
      throw new UserError(what, `It has ${MOST_VIFS}, which is the most.`, 'Detach one first.')
    }
  }
}

/** The address asked for, or one made from what the interface is called, so that runs repeat. */
function macOf(config: VifConfig, name: string, domid: number, devid: number): number {
  if (config.mac !== undefined) {
    const mac = parseMac(config.mac)
    if (mac !== undefined) return mac
    throw new UserError(
      `"${config.mac}" is no Ethernet address.`,
      'It has six numbers of two hexadecimal digits.',
      `Give one such as ${formatMac(XEN_OUI + 0x010203)}.`,
    )
  }
  let hash = 0x811c9dc5
  for (const byte of new TextEncoder().encode(`${name}/${domid}/${devid}`)) {
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  }
  return XEN_OUI + (hash & 0x7fffff)
}
