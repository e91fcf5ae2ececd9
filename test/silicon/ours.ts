// Our execution of a case: a processor with the pages and segments that runner.c has under Linux,
// and an IDT whose handlers halt, so that an exception shows as the handler that was reached.

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
import { BareMachine } from '../../src/x86/testing/bare-machine.ts'
import { type TranslationMode, translatorOptions } from '../../src/x86/translator/options.ts'
import {
  CODE,
  CODE_AT,
  CODE_BYTES,
  CR2,
  DATA,
  DATA_BYTES,
  ERROR_CODE,
  FPU,
  FS_BASE,
  GPR,
  GS_BASE,
  hashOfRest,
  INSTRUCTION,
  INSTRUCTION_BYTES,
  MEMORY,
  NUMBER,
  RECORD_BYTES,
  type Records,
  REST,
  RFLAGS,
  RIP,
  SELECTORS,
  START,
  VECTOR,
  WINDOWS,
} from './layout.ts'
import { descriptorOf, GDT as GDT_ENTRIES, LDT as LDT_ENTRIES } from './modes.ts'

/** Where the supervisor sees the first MiB: where no case's address leads by chance. */
const HIGH = 0xffffffff80000000n
// Physical addresses.
const PML4 = 0x1000
const PDPT = 0x2000
const PD = 0x3000
const PT_LOW = 0x4000
const PT_DATA = 0x5000
const PT_CODE = 0x6000
const PDPT_HIGH = 0x7000
const IDT = 0x8000
const GDT = 0x9000
const TSS = 0xa000
const LDT = 0xa800
const STACK_TOP = 0xc000
const HANDLERS = 0xd000
const PD_HIGH = 0xf000
const CODE_FRAME = 0x20000
const DATA_FRAME = 0x24000

const P = 1n
const RW = 2n
const US = 4n
const NX = 1n << 63n

const KERNEL_CODE = 0x10
const HLT = 0xf4
const INT3 = 0xcc
/** Vectors that push an error code. */
const WITH_CODE = new Set([8, 10, 11, 12, 13, 14, 17])
/** Runs that an instruction may take: repeated ones take several. */
const MOST_RUNS = 64
/** Instructions of a run to the handler of what ends a case. */
const MOST_INSTRUCTIONS = 1000
/** A part of the cases of a batch that need something made for them. */
const LITTLE_NEW = 0.02

export class OurProcessor {
  readonly machine: BareMachine
  readonly #segments = new Map<number, bigint>()
  readonly #isTranslating: boolean
  #isWarm = false
  #dirty = { at: CODE_FRAME, bytes: CODE_BYTES }

  /** `features`: those of the processor underneath. */
  constructor(features: ReadonlySet<string>, mode: TranslationMode = 'off') {
    this.machine = new BareMachine(1 << 20, 64, features, mode)
    this.#isTranslating = translatorOptions(mode).translation === 'always'
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
    setSegment(cpu, S.LDTR, 0x50, HIGH + BigInt(LDT), LDT_ENTRIES.length * 8 + 7, 0x8200)
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
    for (let i = 0; i < 2; i++) entry(PT_CODE, i, BigInt(CODE_FRAME + i * 4096) | P | US)
    const describe = (selector: number, descriptor: bigint) => {
      this.#u64((selector & 4 ? LDT : GDT) + (selector & ~7), descriptor)
      this.#segments.set(selector | 3, descriptor)
    }
    for (const [index, descriptor] of GDT_ENTRIES) describe(index * 8, descriptor)
    for (const [i, line] of LDT_ENTRIES.entries()) describe((i + 1) * 8 + 4, descriptorOf(line))
    this.#u64(TSS + 4, HIGH + BigInt(STACK_TOP))
    // The I/O map lies beyond the limit: no port is allowed.
    this.#u64(TSS + 0x60, 0xffffn << 48n)
    this.machine.load(HANDLERS, new Uint8Array(0x1000).fill(HLT))
    for (let vector = 0; vector < 256; vector++) {
      const target = HIGH + BigInt(HANDLERS + vector * 8)
      const dpl = vector === 3 || vector === 4 ? 3n : 0n
      const gate =
        (target & 0xffffn) | (BigInt(KERNEL_CODE) << 16n) | (0x8e00n << 32n) | (dpl << 45n)
      this.#u64(IDT + vector * 16, gate | ((target & 0xffff0000n) << 32n))
      this.#u64(IDT + vector * 16 + 8, target >> 32n)
    }
  }

  /**
   * Decodes all cases, so that what executes them is made at once: a module each takes longer.
   * Once there is little new among the cases it is not worth the while.
   */
  prepare(cases: Records): void {
    if (this.#isWarm) return
    const { cpu, engine } = this.machine
    const known = engine.handlers.count
    engine.handlers.hold()
    for (let i = 0; i < cases.count; i++) {
      this.#loadCode(cases, i)
      this.#loadRegisters(cases, i)
      cpu.lookup(0)
    }
    engine.handlers.release()
    this.#isWarm = engine.handlers.count - known < cases.count * LITTLE_NEW
  }

  /** Runs a case and writes the outcome. */
  run(cases: Records, index: number, outcomes: Records): void {
    this.#load(cases, index)
    this.#execute()
    this.#save(cases, index, outcomes)
  }

  #load(cases: Records, index: number): void {
    const { cpu, memory, ram } = this.machine
    const from = index * RECORD_BYTES
    const { u8 } = memory
    this.#loadCode(cases, index)
    u8.fill(0, ram + DATA_FRAME, ram + DATA_FRAME + DATA_BYTES)
    let window = from + MEMORY
    for (const { at, bytes } of WINDOWS) {
      u8.set(cases.u8.subarray(window, window + bytes), ram + DATA_FRAME + at - DATA)
      window += bytes
    }
    u8.set(cases.u8.subarray(from + GPR, from + GPR + 128), cpu.state + S.GPR)
    this.#loadRegisters(cases, index)
    this.#loadFpu(cases, from + FPU)
  }

  #loadRegisters(cases: Records, index: number): void {
    const { cpu } = this.machine
    const from = index * RECORD_BYTES
    for (let segment = 0; segment < 6; segment++) {
      const selector = cases.u16[((from + SELECTORS) >>> 1) + segment] as number
      this.#setSegment(segment, selector)
    }
    if (cpu.selector(S.FS) <= 3) cpu.setSegmentBase(S.FS, cases.u64(index, FS_BASE))
    if (cpu.selector(S.GS) <= 3) cpu.setSegmentBase(S.GS, cases.u64(index, GS_BASE))
    cpu.set32(S.CPL, 3)
    cpu.rflags = cases.word(index, RFLAGS)
    cpu.rip = BigInt(cases.word(index, START))
    cpu.isHalted = false
    cpu.hasShadow = false
    cpu.modeChanged()
  }

  #loadCode(cases: Records, index: number): void {
    const { memory, ram, engine } = this.machine
    const offset = cases.word(index, CODE_AT) - CODE
    const at = CODE_FRAME + offset
    const bytes = Math.min(INSTRUCTION_BYTES, CODE_BYTES - offset)
    const from = index * RECORD_BYTES + INSTRUCTION
    memory.u8.fill(INT3, ram + this.#dirty.at, ram + this.#dirty.at + this.#dirty.bytes)
    memory.u8.set(cases.u8.subarray(from, from + bytes), ram + at)
    engine.written(ram + this.#dirty.at, this.#dirty.bytes)
    engine.written(ram + at, bytes)
    this.#dirty = { at, bytes }
  }

  #setSegment(segment: number, selector: number): void {
    const { cpu } = this.machine
    const descriptor = this.#segments.get(selector)
    if (descriptor === undefined) {
      // A null selector.
      setSegment(cpu, segment, selector, 0n, 0, 0x10000)
      return
    }
    const low = Number(descriptor & 0xffffffffn)
    const high = Number(descriptor >> 32n)
    const base = ((low >>> 16) | ((high & 0xff) << 16) | (high & 0xff000000)) >>> 0
    const units = (low & 0xffff) | (high & 0xf0000)
    const limit = high & 0x800000 ? units * 4096 + 4095 : units
    setSegment(cpu, segment, selector, BigInt(base), limit, high & 0xf0ff00)
  }

  #execute(): void {
    const { cpu } = this.machine
    cpu.rest()
    // The first instruction of a budget that is larger than one is translated; what follows it is
    // an INT3, and then the HLT of a handler.
    if (this.#isTranslating) {
      cpu.run(MOST_INSTRUCTIONS)
      return
    }
    const start = cpu.getU32(S.RIP)
    for (let i = 0; i < MOST_RUNS; i++) {
      cpu.run(1)
      if (cpu.getU32(S.RIP) !== start || cpu.getU32(S.RIP + 4) !== 0) break
    }
  }

  #save(cases: Records, index: number, out: Records): void {
    const { cpu, memory, ram } = this.machine
    const to = index * RECORD_BYTES
    const { u8 } = memory
    out.setWord(index, NUMBER, cases.word(index, NUMBER))
    out.u8.set(u8.subarray(cpu.state + S.GPR, cpu.state + S.GPR + 128), to + GPR)
    let window = to + MEMORY
    for (const { at, bytes } of WINDOWS) {
      const from = ram + DATA_FRAME + at - DATA
      out.u8.set(u8.subarray(from, from + bytes), window)
      window += bytes
    }
    out.setWord(index, REST, hashOfRest(memory.u32, (ram + DATA_FRAME) >>> 2))
    this.#saveFpu(out, to + FPU)
    for (let segment = 0; segment < 6; segment++) {
      out.u16[((to + SELECTORS) >>> 1) + segment] = cpu.selector(segment)
    }
    out.setU64(index, FS_BASE, cpu.segmentBase(S.FS))
    out.setU64(index, GS_BASE, cpu.segmentBase(S.GS))
    if (cpu.cpl !== 0) {
      out.setWord(index, VECTOR, 3)
      out.setWord(index, ERROR_CODE, 0)
      out.setU64(index, CR2, 0n)
      out.setU64(index, RIP, cpu.rip + 1n)
      out.setWord(index, RFLAGS, cpu.rflags)
      out.setWord(index, RFLAGS + 4, 0)
      return
    }
    this.#saveException(out, index)
  }

  /** Reads what the exception pushed. */
  #saveException(out: Records, index: number): void {
    const { cpu, memory, ram } = this.machine
    const vector = (cpu.getU32(S.RIP) - Number(HIGH & 0xffffffffn) - HANDLERS) >> 3
    const offset = cpu.getU32(S.GPR + S.RSP * 8) - Number(HIGH & 0xffffffffn)
    const frame = ram + offset + (WITH_CODE.has(vector) ? 8 : 0)
    const { view } = memory
    out.setWord(index, VECTOR, vector)
    out.setWord(index, ERROR_CODE, WITH_CODE.has(vector) ? view.getUint32(ram + offset, true) : 0)
    out.setU64(index, CR2, cpu.getU64(S.CR2))
    out.setU64(index, RIP, view.getBigUint64(frame, true))
    out.u16[((index * RECORD_BYTES + SELECTORS) >>> 1) + S.CS] = view.getUint16(frame + 8, true)
    out.setU64(index, RFLAGS, view.getBigUint64(frame + 16, true))
    out.setU64(index, GPR + S.RSP * 8, view.getBigUint64(frame + 24, true))
    out.u16[((index * RECORD_BYTES + SELECTORS) >>> 1) + S.SS] = view.getUint16(frame + 32, true)
  }

  #loadFpu(cases: Records, from: number): void {
    const { cpu, memory } = this.machine
    const { view, u8 } = cases
    const fsw = view.getUint16(from + 2, true)
    cpu.set32(S.FCW, view.getUint16(from, true))
    cpu.set32(S.FSW, fsw)
    cpu.set32(S.FTW, u8[from + 4] as number)
    cpu.set32(S.MXCSR, view.getUint32(from + 24, true))
    cpu.set32(S.FOP, 0)
    cpu.setU64(S.FIP, 0n)
    cpu.setU64(S.FDP, 0n)
    cpu.set32(S.FCS, 0)
    cpu.set32(S.FDS, 0)
    for (let i = 0; i < 8; i++) {
      const at = cpu.state + S.X87 + ((((fsw >> 11) & 7) + i) & 7) * S.X87_SIZE
      memory.u8.set(u8.subarray(from + 32 + i * 16, from + 42 + i * 16), at)
    }
    for (let i = 0; i < 16; i++) {
      const at = cpu.state + S.VECTORS + i * S.VECTOR_SIZE
      memory.u8.set(u8.subarray(from + 160 + i * 16, from + 176 + i * 16), at)
    }
  }

  #saveFpu(out: Records, to: number): void {
    const { cpu, memory } = this.machine
    const { view, u8 } = out
    const fsw = cpu.getU32(S.FSW)
    view.setUint16(to, cpu.getU32(S.FCW), true)
    view.setUint16(to + 2, fsw, true)
    u8[to + 4] = cpu.getU32(S.FTW)
    view.setUint32(to + 24, cpu.getU32(S.MXCSR), true)
    for (let i = 0; i < 8; i++) {
      const at = cpu.state + S.X87 + ((((fsw >> 11) & 7) + i) & 7) * S.X87_SIZE
      u8.set(memory.u8.subarray(at, at + 10), to + 32 + i * 16)
    }
    for (let i = 0; i < 16; i++) {
      const at = cpu.state + S.VECTORS + i * S.VECTOR_SIZE
      u8.set(memory.u8.subarray(at, at + 16), to + 160 + i * 16)
    }
  }
}
