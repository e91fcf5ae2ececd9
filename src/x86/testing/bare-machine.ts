// A processor with nothing around it, for tests and benchmarks of instructions: flat memory
// without paging, a code segment of the wanted size, no devices.

import type { CpuHost } from '../cpu-host.ts'
import { Cpu } from '../cpu.ts'
import { Engine, type EngineOptions } from '../engine.ts'
import { HostMemory } from '../memory/host-memory.ts'
import {
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  CR4_OSXSAVE,
  EFER_LMA,
  EFER_LME,
  MMIO_FRAME,
} from '../mmu/walker.ts'
import * as S from '../state.ts'
import {
  ATTR_ACCESSED,
  ATTR_CODE,
  ATTR_DB,
  ATTR_G,
  ATTR_L,
  ATTR_P,
  ATTR_READABLE,
  ATTR_S,
  ATTR_WRITABLE,
} from '../system/current-mode.ts'
import { setSegment } from '../system/segment-access.ts'
import type { TranslationMode } from '../translator/options.ts'
import { testedMode } from './tested-mode.ts'

const CR0_PE_ET_NE = 0x31

/** Every feature that the processor implements and a test may want. */
export const ALL_FEATURES: ReadonlySet<string> = new Set(
  (
    'adx aesni avx bmi1 bmi2 clflushopt clwb cmov cx16 cx8 erms fsgsbase fxsr invpcid lahf_lm abm ' +
    'mmx movbe nx pclmulqdq popcnt rdpid rdrand rdseed rdtscp sep serialize sha sse sse2 sse3 sse4_1 sse4_2 ' +
    'ssse3 syscall tsc xsave xsavec xsaveopt xsaves smap smep x87 fpu'
  ).split(' '),
)

/** A device that takes the place of a page of memory. */
export interface PageDevice {
  readonly gfn: number
  read(offset: number, size: number): bigint
  write(offset: number, size: number, value: bigint): void
}

export class BareMachine {
  readonly memory: HostMemory
  readonly engine: Engine
  readonly cpu: Cpu
  /** Host offset of guest physical address 0. */
  readonly ram: number
  /** What the guest wrote to ports, in order. */
  readonly ports: { readonly port: number; readonly value: number }[] = []
  /** Vectors of interrupts that wait, first come first served; tell the processor after a change. */
  readonly interrupts: number[] = []
  /** Non-maskable interrupts that wait. */
  nmis = 0
  /** There is none if not set. */
  device: PageDevice | undefined
  /** Called when the guest writes to a port. */
  onPortWrite: (port: number, value: number) => void = () => {}

  /**
   * `ramBytes` of memory from guest physical address 0; code of `codeSize` bits at CPL 0. `mode`: as
   * the tests run if not given.
   */
  constructor(
    ramBytes: number,
    codeSize: 16 | 32 | 64 = 64,
    features: ReadonlySet<string> = ALL_FEATURES,
    mode: TranslationMode = testedMode(),
    options: EngineOptions = {},
  ) {
    this.memory = new HostMemory(ramBytes + (176 << 20))
    this.engine = new Engine(this.memory, mode, options)
    this.ram = this.memory.allocate(ramBytes, 4096, 'ram')
    const base = this.ram >>> 12
    const frames = ramBytes >>> 12
    const host: CpuHost = {
      frameOf: (gfn) => {
        if (gfn === this.device?.gfn) return MMIO_FRAME
        return gfn >= 0 && gfn < frames ? base + gfn : -1
      },
      isWritable: () => true,
      pendingInterrupt: () => this.interrupts[0] ?? -1,
      acknowledgeInterrupt: () => {
        this.interrupts.shift()
      },
      takeNmi: () => this.nmis > 0 && this.nmis-- > 0,
      portRead: () => 0xffffffff,
      portWrite: (port, _size, value) => {
        this.ports.push({ port, value })
        this.onPortWrite(port, value)
      },
      mmioRead: (gpa, size) => this.device?.read(gpa & 0xfff, size) ?? 0n,
      mmioWrite: (gpa, size, value) => this.device?.write(gpa & 0xfff, size, value),
      readMsr: () => undefined,
      writeMsr: () => false,
      cpuid: () => ({ eax: 0, ebx: 0, ecx: 0, edx: 0 }),
      vmcall: () => {},
      readTsc: () => BigInt(this.cpu.executedInRun),
      readTaskPriority: () => 0,
      writeTaskPriority: () => {},
    }
    this.cpu = new Cpu(this.engine, host, features)
    this.#reset(codeSize)
  }

  #reset(codeSize: 16 | 32 | 64): void {
    const { cpu } = this
    const data = ATTR_P | ATTR_S | ATTR_WRITABLE | ATTR_ACCESSED
    const big = codeSize === 16 ? 0 : ATTR_DB | ATTR_G
    const limit = codeSize === 16 ? 0xffff : 0xffffffff
    for (const segment of [S.ES, S.SS, S.DS, S.FS, S.GS]) {
      setSegment(cpu, segment, 0x10, 0n, limit, data | big)
    }
    const code = ATTR_P | ATTR_S | ATTR_CODE | ATTR_READABLE | ATTR_ACCESSED
    const size = codeSize === 64 ? ATTR_L | ATTR_G : big
    setSegment(cpu, S.CS, 0x08, 0n, limit, code | size)
    cpu.set32(S.CR0, CR0_PE_ET_NE)
    cpu.set32(S.CR4, CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE)
    if (codeSize === 64) {
      cpu.set32(S.EFER, EFER_LMA | EFER_LME)
      cpu.linear.isLongMode = true
    }
    cpu.rflags = 2
    cpu.set32(S.MXCSR, 0x1f80)
    cpu.set32(S.FCW, 0x37f)
    cpu.walker.efer = cpu.efer
    cpu.walker.cr4 = cpu.cr4
    cpu.modeChanged()
  }

  /** Puts bytes at a guest physical address. */
  load(gpa: number, bytes: Uint8Array): void {
    this.memory.u8.set(bytes, this.ram + gpa)
    this.engine.written(this.ram + gpa, bytes.length)
  }
}
