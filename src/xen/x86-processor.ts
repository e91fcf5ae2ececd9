// The processor of x86, as the hypervisor wants it: what brings it into a state from outside.

import { Cpu } from '../x86/cpu.ts'
import type { CpuidDynamic } from '../x86/cpuid/policy.ts'
import type { CpuHost } from '../x86/cpu-host.ts'
import type { Engine } from '../x86/engine.ts'
import { CR4_OSXSAVE } from '../x86/mmu/walker.ts'
import * as S from '../x86/state.ts'
import { updateWalker } from '../x86/system/control-registers.ts'
import { resetProcessor, startProcessor } from '../x86/system/reset.ts'
import { setSegment } from '../x86/system/segment-access.ts'
import type { Processor, ProcessorControl, VcpuContext } from './processor.ts'

const EFER_LMA = 1 << 10
const EFER_LME = 1 << 8
const CR0_PG = 1 << 31
const FLAT_CODE_64 = 0xa9b
const FLAT_DATA = 0xc93
const BUSY_TSS = 0x8b

/** Attributes as the virtual machine control blocks have them, to those of a descriptor. */
export function attributesOfControlBlock(attributes: number): number {
  return ((attributes & 0xff) << 8) | ((attributes & 0xf00) << 12)
}

export class X86Processor extends Cpu implements Processor, ProcessorControl {
  constructor(engine: Engine, host: CpuHost, features: ReadonlySet<string>) {
    super(engine, host, features)
    this.reset()
  }

  reset(): void {
    resetProcessor(this)
  }

  startAt(vector: number): void {
    startProcessor(this, vector)
  }

  /** What CPUID answers depend on in the running processor. */
  cpuidState(apicId: number): CpuidDynamic {
    const cr4 = this.cr4
    return {
      apicId,
      isApicEnabled: true,
      cr4OsXsave: (cr4 & CR4_OSXSAVE) !== 0,
      cr4Pke: false,
      is64BitMode: this.codeSize === 64,
      xcr0: this.getU64(S.XCR0),
      ia32Xss: this.getU64(S.XSS),
    }
  }

  load(context: VcpuContext): boolean {
    const cr0 = Number(context.cr0 & 0xffffffffn) | 0
    const efer = Number(context.efer & 0xffffffffn) | 0
    const isLong = (efer & EFER_LME) !== 0 && (cr0 & CR0_PG) !== 0
    if (isLong !== context.is64) return false
    resetProcessor(this)
    for (const [i, value] of context.registers.entries()) this.writeRegister(i, value)
    this.rip = context.rip
    this.rflags = Number(context.rflags & 0xffffffffn) | 2
    this.set32(S.CR0, cr0 | 0x10)
    this.set32(S.CR4, Number(context.cr4 & 0xffffffffn))
    this.set32(S.EFER, isLong ? efer | EFER_LMA : efer)
    this.setU64(S.CR3, context.cr3)
    if (context.is64) this.#flat()
    else this.#segments(context)
    updateWalker(this)
    this.flushTlb()
    return true
  }

  #flat(): void {
    const put = (segment: number, attributes: number, limit = 0xffffffff) =>
      setSegment(this, segment, 0, 0n, limit, attributesOfControlBlock(attributes))
    put(S.CS, FLAT_CODE_64)
    for (const segment of [S.DS, S.ES, S.SS, S.FS, S.GS]) put(segment, FLAT_DATA)
    put(S.TR, BUSY_TSS, 0x67)
  }

  #segments({ segments }: VcpuContext): void {
    const numbers = { cs: S.CS, ds: S.DS, ss: S.SS, es: S.ES, tr: S.TR } as const
    for (const [name, number] of Object.entries(numbers)) {
      const { base, limit, attributes } = segments[name as keyof typeof numbers]
      setSegment(this, number, 0, BigInt(base >>> 0), limit, attributesOfControlBlock(attributes))
    }
  }
}
