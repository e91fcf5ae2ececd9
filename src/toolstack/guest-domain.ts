// A guest as the toolstack sees it: built from its images, with a console and a place in
// xenstore, until it ends and is destroyed.

import { Bug, invariant, UserError } from '../base/errors.ts'
import { ConsoleRing } from '../backends/console/ring.ts'
import type { RingPage } from '../backends/ring-page.ts'
import type { XenstoreClient } from '../backends/xenstore/client.ts'
import {
  removeDomainTree,
  renameDomain,
  writeDomainTree,
} from '../backends/xenstore/domain-tree.ts'
import { pvhAcpiTables } from '../machine/acpi/pvh-tables.ts'
import * as S from '../x86/state.ts'
import { updateWalker } from '../x86/system/control-registers.ts'
import { setSegment } from '../x86/system/segment-access.ts'
import {
  HVM_PARAM_CONSOLE_EVTCHN,
  HVM_PARAM_CONSOLE_PFN,
  HVM_PARAM_STORE_EVTCHN,
  HVM_PARAM_STORE_PFN,
} from '../xen/abi/hvm-params.ts'
import { SHUTDOWN_suspend } from '../xen/abi/sched.ts'
import type { Domain } from '../xen/domain.ts'
import {
  createGuestPort,
  type HostChannel,
  type HostPage,
  mapForeignPage,
} from '../xen/host-services.ts'
import { P2mType } from '../xen/phys-map.ts'
import { attributesOfControlBlock, type X86Processor } from '../xen/x86-processor.ts'
import { type GuestPhysicalMemory, PAGE_SIZE } from './build/guest-physical-memory.ts'
import { SPECIAL_PAGES } from './build/memory-map.ts'
import { planPvh, pvhPopulated, type PvhConfig, type PvhLayout, writePvh } from './build/pvh.ts'
import type { EntrySegment } from './build/pvh-entry-state.ts'
import { type GuestDisk, GuestDisks } from './guest-disks.ts'
import { GuestNetworks } from './guest-networks.ts'
import type { KernelImage } from './image/kernel.ts'
import type { GuestSymbols } from './image/symbols/guest-symbols.ts'
import type { GuestConfig, XenHost } from './xen-host.ts'

/** What a guest boots from. */
export interface GuestImages {
  readonly kernel: KernelImage
  readonly ramdisk?: { readonly name: string; readonly bytes: Uint8Array } | undefined
  /** Names for its kernel's code, for profilers. */
  readonly symbols?: GuestSymbols | undefined
}

/** A page with a ring, and the channel by which its guest is told of news. */
interface RingHolder {
  readonly page: RingPage
  channel: HostChannel | undefined
}

const E820_ENTRY_BYTES = 20
/** Where the local APIC's registers lie after reset. */
const LOCAL_APIC_GFN = 0xfee00
const NO_FRAME = -1

export class GuestDomain {
  readonly domain: Domain
  readonly config: GuestConfig
  readonly console: ConsoleRing
  readonly layout: PvhLayout
  readonly networks: GuestNetworks
  readonly disks: GuestDisks
  /** Told, in one line and once, what is wrong with a device, the console or xenstore. */
  onComplaint: ((text: string) => void) | undefined
  /** What its balloon driver is asked for. */
  memoryTargetKiB: number
  /** Told once when the domain has shut down. */
  onShutdown: ((reason: number) => void) | undefined
  /** Told once, in place of {@link onShutdown}, when the domain has suspended itself as asked. */
  onSuspended: (() => void) | undefined
  readonly #host: XenHost
  readonly #channels: HostChannel[] = []
  readonly #pages: HostPage[] = []
  readonly #consolePage: RingHolder
  readonly #storePage: RingHolder
  #name: string
  #isDestroyed = false

  /** @throws UserError if the images do not fit or the host has no memory left */
  constructor(
    host: XenHost,
    domain: Domain,
    config: GuestConfig,
    images: GuestImages,
    disks: readonly GuestDisk[] = [],
  ) {
    this.#host = host
    this.domain = domain
    this.config = config
    this.#name = config.name
    this.memoryTargetKiB = config.memoryMiB * 1024
    this.layout = this.#build(images)
    this.#consolePage = this.#ringPage(SPECIAL_PAGES.console)
    this.#storePage = this.#ringPage(SPECIAL_PAGES.xenstore)
    this.console = new ConsoleRing(this.#consolePage.page, {
      onComplaint: (text) => this.onComplaint?.(`console: ${text}`),
    })
    const { consolePort, storePort } = this.#connectRings()
    domain.params.set(HVM_PARAM_CONSOLE_PFN, BigInt(SPECIAL_PAGES.console))
    domain.params.set(HVM_PARAM_STORE_PFN, BigInt(SPECIAL_PAGES.xenstore))
    this.#writeTree(consolePort, storePort)
    this.networks = new GuestNetworks(host, domain, (text) => this.onComplaint?.(text))
    this.disks = new GuestDisks(host, domain.domid, (text) => this.onComplaint?.(text))
    this.#attach(disks)
    if (images.symbols) this.#nameCode(images.symbols)
    this.#enter()
  }

  #nameCode(symbols: GuestSymbols): void {
    for (const { processor } of this.domain.vcpus) {
      const cpu = processor as X86Processor
      cpu.symbolAt = (address) => symbols.nameAt(address, cpu.getU64(S.LSTAR))
    }
  }

  /** What it is called now. */
  get name(): string {
    return this.#name
  }

  rename(name: string): void {
    this.#name = name
    renameDomain(this.#host.xenstore, this.domain.domid, this.uuid, name)
  }

  /** The store, as the control domain sees it. */
  get xenstore(): XenstoreClient {
    return this.#host.xenstore
  }

  /** It was built with so much; more would need hot-plug. */
  get maxMemoryMiB(): number {
    return this.config.maxMemoryMiB ?? this.config.memoryMiB
  }

  get uuid(): string {
    const hex = [...this.domain.uuid].map((b) => b.toString(16).padStart(2, '0')).join('')
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
  }

  /** The hypervisor has shut the domain down. */
  hasShutDown(): void {
    // What the guest printed last may still be in its ring.
    this.console.onEvent()
    this.#host.xenstored.domainHasShutDown(this.domain.domid)
    const { shutdownReason = 0 } = this.domain
    const { onSuspended } = this
    this.onSuspended = undefined
    if (shutdownReason === SHUTDOWN_suspend && onSuspended) onSuspended()
    else this.onShutdown?.(shutdownReason)
  }

  /** Has it suspended itself, and not gone on. */
  get isSuspended(): boolean {
    return this.domain.shutdownReason === SHUTDOWN_suspend
  }

  /**
   * A guest that has suspended itself goes on. It finds what one finds that was restored: its memory
   * and processors as they were, and for the rest a new domain. Its drivers connect again: console
   * and xenstore at once, disks and networks as their backends offer them.
   */
  resume(): void {
    const { domain } = this
    invariant(this.isSuspended, `domain ${domain.domid} is not suspended`)
    this.networks.renew()
    this.disks.renew()
    for (const channel of this.#channels.splice(0)) channel.close()
    domain.renew()
    this.#connectRings()
    this.#host.xenstored.resume(domain.domid)
    domain.resume()
  }

  /** Text that the guest wrote to Xen's own console. */
  xenConsole(text: Uint8Array): void {
    this.console.show(text)
  }

  /** Takes the domain from the host, with all it has there. */
  destroy(): void {
    if (this.#isDestroyed) return
    this.#isDestroyed = true
    const { domid } = this.domain
    this.networks.destroy()
    this.disks.close()
    for (const channel of this.#channels) channel.close()
    this.#host.xenstored.domainIsGone(domid)
    removeDomainTree(this.#host.xenstore, domid, this.uuid)
    for (const page of this.#pages) page.release()
    this.#host.hypervisor.destroyDomain(this.domain)
    this.#host.removed(this.domain)
  }

  #attach(disks: readonly GuestDisk[]): void {
    try {
      for (const { config, uplink } of this.config.vifs ?? []) this.networks.attach(config, uplink)
    } catch (error) {
      this.destroy()
      throw error
    }
    // These are known to go together.
    for (const disk of disks) this.disks.attach(disk)
  }

  #build(images: GuestImages): PvhLayout {
    const { config, domain } = this
    const acpi = pvhAcpiTables({ vcpus: config.maxVcpus ?? config.vcpus })
    const build: PvhConfig = {
      kernel: images.kernel,
      memoryBytes: this.maxMemoryMiB * 2 ** 20,
      commandLine: config.commandLine,
      ramdisk: images.ramdisk,
      acpi: { rsdp: acpi.rsdp, tables: acpi.pieces },
    }
    const layout = planPvh(build)
    const populated = pvhPopulated(layout)
    // Known beforehand: taking all the memory that there is, to give it back, would take seconds.
    const pages = populated.reduce((sum, { size }) => sum + size / PAGE_SIZE, 0)
    if (pages > domain.world.memory.table.freeFrames) throw noMemory(config)
    for (const { start, size } of populated) {
      const first = start / PAGE_SIZE
      for (let i = 0; i < size / PAGE_SIZE; i++) {
        if (!domain.populate(first + i)) throw noMemory(config)
      }
    }
    domain.physMap.set(LOCAL_APIC_GFN, NO_FRAME, P2mType.mmio_dm)
    writePvh(build, layout, physicalMemoryOf(domain))
    domain.memoryMap = e820Of(layout)
    return layout
  }

  /** Event channels for the console and xenstore, always in this order: the guest knows them. */
  #connectRings(): { readonly consolePort: number; readonly storePort: number } {
    const { params, domid } = this.domain
    const { xenstored } = this.#host
    const consolePort = this.#connect(this.#consolePage, () => this.console.onEvent())
    const storePort = this.#connect(this.#storePage, () => store.onEvent())
    const onComplaint = (text: string) => this.onComplaint?.(`xenstore: ${text}`)
    const store = xenstored.introduceDomain(domid, this.#storePage.page, onComplaint)
    params.set(HVM_PARAM_CONSOLE_EVTCHN, BigInt(consolePort))
    params.set(HVM_PARAM_STORE_EVTCHN, BigInt(storePort))
    return { consolePort, storePort }
  }

  #ringPage(gfn: number): RingHolder {
    // Held, so that it stays this ring whatever the guest does with its memory.
    const held = mapForeignPage(this.domain, gfn)
    if (!held) throw new Bug(`special page ${gfn} has no frame`)
    this.#pages.push(held)
    const { memory, engine } = this.#host
    const at = held.mfn * PAGE_SIZE
    const view = new DataView(memory.memory.buffer, at, PAGE_SIZE)
    const holder = {
      channel: undefined as HostChannel | undefined,
      page: {
        page: () => view,
        written: (offset: number, length: number) => engine.written(at + offset, length),
        notify: () => holder.channel?.notify(),
      },
    }
    return holder
  }

  #connect(ring: RingHolder, onEvent: () => void): number {
    const made = createGuestPort(this.#host.hypervisor, this.domain, onEvent)
    if (typeof made === 'number') throw new Bug(`no event channel for a new domain: ${made}`)
    ring.channel = made.channel
    this.#channels.push(made.channel)
    return made.guestPort
  }

  #writeTree(consolePort: number, storePort: number): void {
    const { config, domain } = this
    writeDomainTree(this.#host.xenstore, {
      domid: domain.domid,
      name: config.name,
      uuid: this.uuid,
      type: 'pvh',
      maxMemoryKiB: this.maxMemoryMiB * 1024,
      targetMemoryKiB: config.memoryMiB * 1024,
      vcpus: Array.from({ length: config.maxVcpus ?? config.vcpus }, (_, i) => i < config.vcpus),
      startTime: this.#host.clock.wallBase.seconds,
      store: { port: storePort, frame: SPECIAL_PAGES.xenstore },
      console: { port: consolePort, frame: SPECIAL_PAGES.console },
    })
  }

  /** Brings the first processor to the kernel's entry point. */
  #enter(): void {
    const [vcpu] = this.domain.vcpus
    if (!vcpu) throw new Bug('a guest without processors')
    const cpu = vcpu.processor as X86Processor
    const { entry } = this.layout
    cpu.reset()
    const put = (segment: number, from: EntrySegment) =>
      setSegment(
        cpu,
        segment,
        from.selector,
        BigInt(from.base),
        from.limit,
        attributesOfControlBlock(from.attributes),
      )
    put(S.CS, entry.cs)
    put(S.DS, entry.ds)
    put(S.ES, entry.es)
    put(S.SS, entry.ss)
    put(S.TR, entry.tr)
    cpu.writeRegister(S.RDX, 0n)
    cpu.writeRegister(S.RBX, BigInt(entry.ebx))
    cpu.rip = BigInt(entry.eip)
    cpu.rflags = entry.eflags
    cpu.set32(S.CR0, entry.cr0)
    updateWalker(cpu)
    cpu.flushTlb()
    vcpu.isInitialised = true
    vcpu.bringUp()
  }
}

function noMemory(config: GuestConfig): UserError {
  return new UserError(
    `Domain "${config.name}" cannot be built.`,
    `The host has no ${config.maxMemoryMiB ?? config.memoryMiB} MiB of memory left.`,
    'Give it less memory, or end another domain.',
  )
}

function physicalMemoryOf(domain: Domain): GuestPhysicalMemory {
  const write = (gpa: number, bytes: Uint8Array) => {
    if (!domain.writePhysical(gpa, bytes)) throw new Bug(`no memory at 0x${gpa.toString(16)}`)
  }
  return { write, zero: (gpa, length) => write(gpa, new Uint8Array(length)) }
}

/** The memory map as XENMEM_memory_map gives it. */
function e820Of(layout: PvhLayout): Uint8Array {
  const bytes = new Uint8Array(layout.memoryMap.length * E820_ENTRY_BYTES)
  const view = new DataView(bytes.buffer)
  for (const [i, { address, size, type }] of layout.memoryMap.entries()) {
    const at = i * E820_ENTRY_BYTES
    view.setBigUint64(at, BigInt(address), true)
    view.setBigUint64(at + 8, BigInt(size), true)
    view.setUint32(at + 16, type, true)
  }
  return bytes
}
