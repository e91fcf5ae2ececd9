// Our execution of a test case: the processor at CPL 3 with the same pages as runner.c has, and
// an IDT whose handlers halt, so that an exception shows as the handler that was reached.

import { BareMachine } from '../../src/x86/testing/bare-machine.ts'
import {
  CR0_PG,
  CR4_FSGSBASE,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  CR4_OSXSAVE,
  CR4_PAE,
  EFER_LMA,
  EFER_LME,
  EFER_NXE,
  EFER_SCE,
} from '../../src/x86/mmu/walker.ts'
import * as S from '../../src/x86/state.ts'
import { updateWalker } from '../../src/x86/system/control-registers.ts'
import { setSegment } from '../../src/x86/system/segment-access.ts'
import {
  CODE,
  DATA,
  FPU_BYTES,
  type Outcome,
  type TestCase,
  WINDOW_BYTES,
  WINDOWS,
} from './case.ts'

// Physical addresses, all within the first MiB, which is mapped for the supervisor.
/** Where the supervisor sees the first MiB: where no case's address leads by chance. */
const HIGH = 0xffffffff80000000n
const PML4 = 0x1000
const PDPT = 0x2000
const PD = 0x3000
const PT_LOW = 0x4000
const PT_DATA = 0x5000
const PT_CODE = 0x6000
const PDPT_HIGH = 0x7000
const PD_HIGH = 0xf000
const IDT = 0x8000
const GDT = 0x9000
const TSS = 0xa000
const STACK_TOP = 0xc000
const HANDLERS = 0xd000
const CODE_FRAME = 0x20000
const DATA_FRAME = 0x24000

const P = 1n
const RW = 2n
const US = 4n
const NX = 1n << 63n

const USER_CODE = 0x33
const USER_DATA = 0x2b
const KERNEL_CODE = 0x10
const HLT = 0xf4

export class OurProcessor {
  readonly machine = new BareMachine(1 << 20)

  constructor() {
    this.#writeTables()
    const { cpu } = this.machine
    cpu.set32(S.CR4, CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_FSGSBASE)
    cpu.set32(S.EFER, EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE)
    cpu.setU64(S.CR3, BigInt(PML4))
    cpu.set32(S.CR0, cpu.cr0 | CR0_PG | 0x10002)
    cpu.setU64(S.XCR0, 3n)
    cpu.setU64(S.IDT_BASE, HIGH + BigInt(IDT))
    cpu.set32(S.IDT_LIMIT, 0xfff)
    cpu.setU64(S.GDT_BASE, HIGH + BigInt(GDT))
    cpu.set32(S.GDT_LIMIT, 0x7f)
    setSegment(cpu, S.TR, 0x40, HIGH + BigInt(TSS), 0x67, 0x8b00)
    updateWalker(cpu)
    cpu.flushTlb()
  }

  #u64(gpa: number, value: bigint): void {
    const { memory, ram } = this.machine
    memory.view.setBigUint64(ram + gpa, value, true)
  }

  #writeTables(): void {
    const entry = (table: number, index: number, value: bigint) =>
      this.#u64(table + index * 8, value)
    entry(PML4, 0, BigInt(PDPT) | P | RW | US)
    entry(PDPT, 0, BigInt(PD) | P | RW | US)
    entry(PML4, 511, BigInt(PDPT_HIGH) | P | RW)
    entry(PDPT_HIGH, 510, BigInt(PD_HIGH) | P | RW)
    entry(PD_HIGH, 0, BigInt(PT_LOW) | P | RW)
    entry(PD, DATA >>> 21, BigInt(PT_DATA) | P | RW | US)
    entry(PD, CODE >>> 21, BigInt(PT_CODE) | P | RW | US)
    for (let i = 0; i < 256; i++) entry(PT_LOW, i, BigInt(i * 4096) | P | RW)
    for (let i = 0; i < 3; i++) {
      entry(PT_DATA, i, BigInt(DATA_FRAME + i * 4096) | P | US | NX | (i < 2 ? RW : 0n))
    }
    for (let i = 0; i < 2; i++) entry(PT_CODE, i, BigInt(CODE_FRAME + i * 4096) | P | US | RW)
    // Code and data of ring 0, then data and code of ring 3.
    this.#u64(GDT + KERNEL_CODE, 0x00af9b000000ffffn)
    this.#u64(GDT + 0x18, 0x00cf93000000ffffn)
    this.#u64(GDT + 0x28, 0x00cff3000000ffffn)
    this.#u64(GDT + 0x30, 0x00affb000000ffffn)
    this.#u64(TSS + 4, HIGH + BigInt(STACK_TOP))
    // The I/O map lies beyond the limit: no port is allowed.
    this.#u64(TSS + 0x60, 0xffffn << 48n)
    const handlers = new Uint8Array(0x1000).fill(HLT)
    this.machine.load(HANDLERS, handlers)
    for (let vector = 0; vector < 256; vector++) {
      const target = HIGH + BigInt(HANDLERS + vector * 8)
      const dpl = vector === 3 || vector === 4 ? 3n : 0n
      const gate =
        (target & 0xffffn) | (BigInt(KERNEL_CODE) << 16n) | (0x8e00n << 32n) | (dpl << 45n)
      this.#u64(IDT + vector * 16, gate | ((target & 0xffff0000n) << 32n))
      this.#u64(IDT + vector * 16 + 8, target >> 32n)
    }
  }

  run(test: TestCase): Outcome {
    const { cpu, memory, ram } = this.machine
    const codePages = new Uint8Array(8192).fill(0xcc)
    codePages.set(test.code, test.codeOffset)
    this.machine.load(CODE_FRAME, codePages)
    this.machine.load(DATA_FRAME, new Uint8Array(12288))
    for (const [i, window] of WINDOWS.entries()) {
      const bytes = test.memory.subarray(i * WINDOW_BYTES, (i + 1) * WINDOW_BYTES)
      this.machine.load(DATA_FRAME + window - DATA, bytes)
    }
    for (const [n, value] of test.gpr.entries()) cpu.writeRegister(n, value)
    setSegment(cpu, S.CS, USER_CODE, 0n, 0xffffffff, 0x00a0fb00)
    setSegment(cpu, S.SS, USER_DATA, 0n, 0xffffffff, 0x00c0f300)
    for (const segment of [S.DS, S.ES, S.FS, S.GS])
      setSegment(cpu, segment, 0, 0n, 0xffffffff, 0x00c0f300)
    cpu.set32(S.CPL, 3)
    cpu.rflags = test.rflags
    cpu.rip = BigInt(CODE + test.codeOffset)
    cpu.isHalted = false
    cpu.setU64(S.CR2, 0n)
    this.#loadFpu(test.fpu)
    cpu.modeChanged()
    // A string instruction may take several runs.
    const start = cpu.rip
    for (let i = 0; i < 100; i++) {
      cpu.run(1)
      if (cpu.rip !== start) break
    }
    const memoryAfter = new Uint8Array(WINDOWS.length * WINDOW_BYTES)
    for (const [i, window] of WINDOWS.entries()) {
      const at = ram + DATA_FRAME + window - DATA
      memoryAfter.set(memory.u8.subarray(at, at + WINDOW_BYTES), i * WINDOW_BYTES)
    }
    const gpr = BigUint64Array.from({ length: 16 }, (_, n) => cpu.readRegister(n))
    const rest = { fpu: this.#storeFpu(), memory: memoryAfter }
    if (cpu.cpl !== 0) {
      return {
        vector: 3,
        errorCode: 0,
        cr2: 0n,
        rip: cpu.rip + 1n,
        gpr,
        rflags: cpu.rflags,
        ...rest,
      }
    }
    const rip = Number(cpu.rip - HIGH)
    const vector = (rip - HANDLERS) >> 3
    const frame = ram + Number(cpu.readRegister(S.RSP) - HIGH)
    const hasCode = [8, 10, 11, 12, 13, 14, 17].includes(vector)
    const word = (i: number) => memory.view.getBigUint64(frame + (i + (hasCode ? 1 : 0)) * 8, true)
    gpr[S.RSP] = word(3)
    return {
      vector,
      errorCode: hasCode ? Number(memory.view.getBigUint64(frame, true)) : 0,
      cr2: cpu.getU64(S.CR2),
      rip: word(0),
      gpr,
      rflags: Number(word(2)),
      ...rest,
    }
  }

  #loadFpu(image: Uint8Array): void {
    const { cpu, memory } = this.machine
    const view = new DataView(image.buffer, image.byteOffset, image.byteLength)
    const fsw = view.getUint16(2, true)
    cpu.set32(S.FCW, view.getUint16(0, true))
    cpu.set32(S.FSW, fsw)
    cpu.set32(S.FTW, image[4] as number)
    cpu.set32(S.MXCSR, view.getUint32(24, true))
    for (let i = 0; i < 8; i++) {
      const at = cpu.state + S.X87 + ((((fsw >> 11) & 7) + i) & 7) * S.X87_SIZE
      memory.u8.set(image.subarray(32 + i * 16, 32 + i * 16 + 10), at)
    }
    for (let i = 0; i < 16; i++) {
      const at = cpu.state + S.VECTORS + i * S.VECTOR_SIZE
      memory.u8.set(image.subarray(160 + i * 16, 176 + i * 16), at)
    }
  }

  #storeFpu(): Uint8Array {
    const { cpu, memory } = this.machine
    const image = new Uint8Array(FPU_BYTES)
    const view = new DataView(image.buffer)
    const fsw = cpu.getU32(S.FSW)
    view.setUint16(0, cpu.getU32(S.FCW), true)
    view.setUint16(2, fsw, true)
    image[4] = cpu.getU32(S.FTW)
    view.setUint32(24, cpu.getU32(S.MXCSR), true)
    for (let i = 0; i < 8; i++) {
      const at = cpu.state + S.X87 + ((((fsw >> 11) & 7) + i) & 7) * S.X87_SIZE
      image.set(memory.u8.subarray(at, at + 10), 32 + i * 16)
    }
    for (let i = 0; i < 16; i++) {
      const at = cpu.state + S.VECTORS + i * S.VECTOR_SIZE
      image.set(memory.u8.subarray(at, at + 16), 160 + i * 16)
    }
    return image
  }
}
