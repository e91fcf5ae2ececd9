// Guests that mean harm: tiny PVH kernels of assembly, run to their end on a host, with a look at
// what they cost. Whatever a guest does, the host throws nothing, no step takes long, the domain
// never owns more than it may, and after its end everything is free again.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { tinyPvhElf } from '../../src/toolstack/image/tiny-kernel.ts'
import { PT_LOAD } from '../../src/toolstack/image/elf.ts'
import { NO_DECOMPRESSORS } from '../../src/toolstack/image/tiny-kernel.ts'
import { openKernel } from '../../src/toolstack/image/kernel.ts'
import { XenHost } from '../../src/toolstack/xen-host.ts'
import type { GuestDomain } from '../../src/toolstack/guest-domain.ts'
import { assemble } from '../x86/assemble.ts'

const ENTRY = 0x100000
const LONG_MODE = readFileSync(new URL('long-mode.asm', import.meta.url), 'utf8')
/** The longest that a step may take: a slice of the event loop is 8 ms; machines are busy. */
const STEP_LIMIT_MS = 1500

/** How a domain that was run came out. */
export interface Outcome {
  /** SHUTDOWN_*; undefined for one that still ran, or waited for nothing. */
  readonly reason: number | undefined
  /** Why the processor or the host gave up, if one did. */
  readonly cause: string
  /** `ended`; `waits`: nothing will ever wake it; `runs`: the steps were used up. */
  readonly state: 'ended' | 'waits' | 'runs'
  /** What it printed. */
  readonly text: string
  readonly steps: number
  readonly slowestStepMs: number
}

export interface Run {
  readonly memoryMiB?: number
  readonly vcpus?: number
  /** Rounds after which a guest that runs on is ended. */
  readonly steps?: number
  /** Wall-clock time after which it is ended. */
  readonly ms?: number
  readonly stepLimitMs?: number
  /** Called with the domain before it runs. */
  readonly prepare?: (guest: GuestDomain) => void
  /** Called after each step. */
  readonly watch?: (guest: GuestDomain) => void
}

/** An ELF image of 32-bit code at 1 MiB, where paging is off. */
export function kernel32(source: string): Uint8Array {
  const data = assemble(source, 32, ENTRY)
  return tinyPvhElf(BigInt(ENTRY), [
    { type: PT_LOAD, flags: 7, paddr: BigInt(ENTRY), memsz: 0x10000n, data },
  ])
}

/** An ELF image that enters long mode (long-mode.asm) and goes on at the source's `main`. */
export function kernel64(source: string): Uint8Array {
  return kernel32(`${LONG_MODE}\n${source}`)
}

/** A host for several guests, one after the other. */
export class HostileHost {
  readonly xen = new XenHost({
    time: 'virtual',
    wallBase: { seconds: 1_767_225_600, nanoseconds: 0 },
  })

  /** What must be the same before and after a guest. */
  holdings() {
    const { hypervisor, frames } = this.xen
    const { control, timers } = hypervisor
    return {
      freeFrames: frames.freeFrames,
      timers: timers.size,
      ports: control.channels.boundPorts(),
      mappings: control.grants.mappings(),
      domains: hypervisor.domainsInOrder().map(({ domid }) => domid),
    }
  }

  async run(image: Uint8Array, options: Run = {}): Promise<Outcome> {
    const before = this.holdings()
    const kernel = await openKernel(image, 'hostile', NO_DECOMPRESSORS)
    const guest = this.xen.createGuest(
      {
        name: 'hostile',
        commandLine: '',
        memoryMiB: options.memoryMiB ?? 16,
        vcpus: options.vcpus ?? 1,
      },
      { kernel },
    )
    try {
      options.prepare?.(guest)
      return this.#steps(guest, options)
    } finally {
      guest.destroy()
      assert.deepEqual(this.holdings(), before, 'after a guest everything is free again')
    }
  }

  #steps(guest: GuestDomain, options: Run): Outcome {
    const { domain } = guest
    let steps = 0
    let slowestStepMs = 0
    let state: Outcome['state'] = 'runs'
    const end = performance.now() + (options.ms ?? 20_000)
    while (steps < (options.steps ?? 100_000) && performance.now() < end) {
      const start = performance.now()
      const result = this.xen.step()
      slowestStepMs = Math.max(slowestStepMs, performance.now() - start)
      steps++
      assert.ok(domain.totalPages <= domain.maxPages, 'a domain owns no more than it may')
      options.watch?.(guest)
      if (domain.shutdownReason !== undefined) state = 'ended'
      else if (result.state === 'idle') state = 'waits'
      else continue
      break
    }
    // What it printed last is told after its end.
    this.xen.step()
    const limit = options.stepLimitMs ?? STEP_LIMIT_MS
    assert.ok(slowestStepMs < limit, `a step took ${slowestStepMs.toFixed(0)} ms`)
    return {
      reason: domain.shutdownReason,
      cause: domain.vcpus
        .map(({ processor }) => (processor as unknown as { shutdownCause: string }).shutdownCause)
        .join(''),
      state,
      text: guest.console.scrollback.text(),
      steps,
      slowestStepMs,
    }
  }
}
