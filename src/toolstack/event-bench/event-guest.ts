// Runs an event guest (guests/events) on a host to its end: one of the three ABIs, one scenario.
// The counter that the guest reads is that of virtual time, a tick an instruction, so that what it
// measures is exact and the same in every run.

import { Bug } from '../../base/errors.ts'
import type { Width } from '../../xen/abi/structure.ts'
import type { EventAbiName } from '../../xen/event-abi.ts'
import type { GuestDomain } from '../guest-domain.ts'
import { PT_LOAD } from '../image/elf.ts'
import { type KernelImage, openKernel } from '../image/kernel.ts'
import { NO_DECOMPRESSORS, tinyPvhElf } from '../image/tiny-kernel.ts'
import { MOST_EVENT_CHANNELS } from '../guest-limits.ts'
import type { XenHost } from '../xen-host.ts'
import * as at from './guest-memory.ts'
import { PROGRAMS } from './programs.ts'

const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
/** Zeros behind the image are part of it. */
const IMAGE_BYTES = 0x10000n

export interface EventRun {
  readonly abi: EventAbiName
  /** The guest's word width; 64 if not given. 32-bit programs know one processor. */
  readonly width?: Width
  readonly scenario: at.Scenario
  /** Ports to bind; 0 for all that the ABI has. */
  readonly channels: number
  readonly iterations?: number
  /** Bitmaps are scanned from where the last scan ended (Linux), not lowest bit first (Mini-OS). */
  readonly rotates?: boolean
  readonly vcpus?: number
  readonly seed?: number
  /** Of the urgent port: 0 is the highest. */
  readonly priority?: number
  /** ABIs that the domain may use; the one it is for, if not given. */
  readonly allowed?: readonly EventAbiName[]
  /** Called after every step of the host. */
  readonly onStep?: (guest: RunningEventGuest) => void
}

/** What came of a run. Times are instructions of the guest. */
export interface EventRunResult {
  /** Ended by power-off: the guest found nothing wrong. */
  readonly isGood: boolean
  /** What the guest printed when it found something wrong. */
  readonly said: string
  readonly bound: number
  readonly delivered: number
  readonly outOfOrder: number
  readonly moves: number
  /** Of the measured part. */
  readonly instructions: number
  readonly samples: Uint32Array
  /** By port, from the first one bound: events it got, and the longest that one waited. */
  readonly got: Uint32Array
  readonly worst: Uint32Array
  /** Memory: pages of the guest that the ABI holds, and bytes of the host's table of ports. */
  readonly guestPages: number
  readonly tableBytes: number
}

const images = new Map<string, Promise<KernelImage>>()

function imageOf(abi: EventAbiName, width: Width): Promise<KernelImage> {
  const name = `${{ '2l': 'two-level', '3l': 'three-level', fifo: 'fifo' }[abi]}-${width}`
  if (!isProgram(name)) throw new Bug(`there is no program ${name}`)
  const known = images.get(name)
  if (known) return known
  const segment = {
    type: PT_LOAD,
    flags: 7,
    paddr: BigInt(at.ENTRY),
    memsz: IMAGE_BYTES,
    data: bytesOf(PROGRAMS[name]),
  }
  const image = openKernel(tinyPvhElf(BigInt(at.ENTRY), [segment]), name, NO_DECOMPRESSORS)
  images.set(name, image)
  return image
}

function isProgram(name: string): name is keyof typeof PROGRAMS {
  return name in PROGRAMS
}

function bytesOf(base64: string): Uint8Array {
  const bytes: number[] = []
  let bits = 0
  let count = 0
  for (const character of base64) {
    const value = BASE64.indexOf(character)
    if (value < 0) continue
    bits = ((bits << 6) | value) & 0xffff
    count += 6
    if (count < 8) continue
    count -= 8
    bytes.push((bits >> count) & 0xff)
  }
  return Uint8Array.from(bytes)
}

/** An event guest that is built, until it is destroyed. */
export class RunningEventGuest {
  readonly host: XenHost
  readonly guest: GuestDomain
  readonly #run: EventRun

  private constructor(host: XenHost, guest: GuestDomain, run: EventRun) {
    this.host = host
    this.guest = guest
    this.#run = run
  }

  static async create(host: XenHost, run: EventRun): Promise<RunningEventGuest> {
    const kernel = await imageOf(run.abi, run.width ?? 64)
    const guest = host.createGuest(
      {
        name: `events ${run.abi}`,
        commandLine: '',
        memoryMiB: at.GUEST_MIB,
        vcpus: run.vcpus ?? 1,
        eventChannelAbi: run.allowed ?? [run.abi],
        maxEventChannels: MOST_EVENT_CHANNELS,
      },
      { kernel },
    )
    const values = {
      scenario: at.Scenario[run.scenario],
      channels: run.channels,
      iterations: run.iterations ?? 0,
      rotates: run.rotates ? 1 : 0,
      cpus: run.vcpus ?? 1,
      seed: run.seed ?? 1,
      priority: run.priority ?? 7,
    }
    guest.domain.writePhysical(at.PARAMETERS, at.parameters.encode(values))
    return new RunningEventGuest(host, guest, run)
  }

  /** What the guest has come to so far. */
  progress(): { isMeasuring: boolean; delivered: number } {
    const { is_measuring, delivered } = at.results.decode(this.#read(at.RESULTS, at.results.size))
    return { isMeasuring: is_measuring !== 0, delivered }
  }

  /** Runs it to its end. */
  finish(): EventRunResult {
    const { domain } = this.guest
    while (domain.shutdownReason === undefined) {
      const { state } = this.host.step()
      if (state !== 'ran') break
      this.#run.onStep?.(this)
    }
    this.host.step()
    return this.result()
  }

  destroy(): void {
    this.guest.destroy()
  }

  /** What came of it so far. */
  result(): EventRunResult {
    const { domain, console } = this.guest
    const result = at.results.decode(this.#read(at.RESULTS, at.results.size))
    const { bound, first_port } = result
    return {
      isGood: domain.shutdownReason === 0 && result.is_done === 1,
      said: console.scrollback.text(),
      bound,
      delivered: result.delivered,
      outOfOrder: result.out_of_order,
      moves: result.moves,
      instructions: Number(result.instructions),
      samples: this.#words(at.SAMPLES, result.sample_count),
      got: this.#words(at.GOT + 4 * first_port, bound),
      worst: this.#words(at.WORST + 4 * first_port, bound),
      guestPages: domain.events.guestPages,
      tableBytes: domain.channels.bytes,
    }
  }

  #words(address: number, count: number): Uint32Array {
    return new Uint32Array(this.#read(address, 4 * count).buffer)
  }

  #read(address: number, length: number): Uint8Array<ArrayBuffer> {
    const bytes = this.guest.domain.readPhysical(address, length)
    if (!bytes) throw new Bug(`an event guest has no memory at 0x${address.toString(16)}`)
    return bytes
  }
}

/** Builds an event guest, runs it to its end, and destroys it. */
export async function runEventGuest(host: XenHost, run: EventRun): Promise<EventRunResult> {
  const running = await RunningEventGuest.create(host, run)
  try {
    return running.finish()
  } finally {
    running.destroy()
  }
}
