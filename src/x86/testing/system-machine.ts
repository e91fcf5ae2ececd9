// A bare machine with descriptor tables, task state segments and page tables, for tests of what
// operating systems do. Everything lies at fixed places in the lowest 128 KiB:
//
//   1000 GDT   2000 IDT   3000 TSS   4000 handlers, 16 bytes a vector, each a HLT
//   8000 code  a000 stack of level 0 (top b000)  c000 IST1 (top d000)  e000 user stack (top f000)
//   10000 page tables: identity, 4 KiB pages, everything allowed

import type { TranslationMode } from '../translator/options.ts'
import * as S from '../state.ts'
import { CR0_PG, CR0_WP, CR4_PAE, EFER_LMA, EFER_LME, EFER_NXE, EFER_SCE } from '../mmu/walker.ts'
import { updateWalker } from '../system/control-registers.ts'
import { setSegment } from '../system/segment-access.ts'
import { ALL_FEATURES, BareMachine } from './bare-machine.ts'

export const GDT = 0x1000
export const IDT = 0x2000
export const TASK = 0x3000
export const HANDLERS = 0x4000
export const CODE = 0x8000
export const STACK = 0xb000
export const IST1 = 0xd000
export const USER_STACK = 0xf000
export const TABLES = 0x10000

/** Selectors of the GDT that a SystemMachine starts with. */
export const CODE64 = 0x08
export const DATA = 0x10
export const USER_CODE32 = 0x18 | 3
export const USER_DATA = 0x20 | 3
export const USER_CODE64 = 0x28 | 3
export const CODE32 = 0x30
export const CODE16 = 0x38
export const DATA16 = 0x40
export const TASK_SELECTOR = 0x48
/** Selectors from here on are free. */
export const FREE = 0x60

/** Access bytes. */
export const ACCESS_CODE = 0x9b
export const ACCESS_DATA = 0x93
/** Flag nibbles: granularity, default size, long. */
export const FLAGS_64 = 0xa
export const FLAGS_32 = 0xc
export const FLAGS_16 = 0

/** A segment or system descriptor; `limit` in units of the granularity. */
export function descriptor(base: number, limit: number, access: number, flags: number): bigint {
  const low = (limit & 0xffff) | ((base & 0xffff) << 16)
  const high =
    ((base >>> 16) & 0xff) | (access << 8) | (limit & 0xf0000) | (flags << 20) | (base & 0xff000000)
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)
}

/** Where a gate leads. */
export interface Gate {
  readonly selector?: number
  readonly offset?: number
  /** 14 interrupt, 15 trap gate. */
  readonly type?: number
  readonly dpl?: number
  readonly ist?: number
  readonly isPresent?: boolean
}

/** What a handler found when it was entered. */
export interface Entry {
  readonly vector: number
  /** The words that were pushed, last one first, up to `count`. */
  words(count: number): bigint[]
}

export class SystemMachine extends BareMachine {
  readonly isLong: boolean
  readonly #bits: 16 | 32 | 64

  /** A machine at level 0 in 64-bit mode, or in protected mode with 32-bit or 16-bit code. */
  constructor(
    bits: 16 | 32 | 64 = 64,
    features: ReadonlySet<string> = ALL_FEATURES,
    mode?: TranslationMode,
  ) {
    super(4 << 20, bits, features, mode)
    this.isLong = bits === 64
    this.#bits = bits
    const { cpu } = this
    this.descriptor(CODE64, descriptor(0, 0xfffff, ACCESS_CODE, FLAGS_64))
    this.descriptor(DATA, descriptor(0, 0xfffff, ACCESS_DATA, FLAGS_32))
    this.descriptor(USER_CODE32, descriptor(0, 0xfffff, ACCESS_CODE | 0x60, FLAGS_32))
    this.descriptor(USER_DATA, descriptor(0, 0xfffff, ACCESS_DATA | 0x60, FLAGS_32))
    this.descriptor(USER_CODE64, descriptor(0, 0xfffff, ACCESS_CODE | 0x60, FLAGS_64))
    this.descriptor(CODE32, descriptor(0, 0xfffff, ACCESS_CODE, FLAGS_32))
    this.descriptor(CODE16, descriptor(0, 0xffff, ACCESS_CODE, FLAGS_16))
    this.descriptor(DATA16, descriptor(0, 0xffff, ACCESS_DATA, FLAGS_16))
    this.descriptor(TASK_SELECTOR, descriptor(TASK, 0xfff, 0x8b, 0))
    cpu.setU64(S.GDT_BASE, BigInt(GDT))
    cpu.set32(S.GDT_LIMIT, 0xfff)
    cpu.setU64(S.IDT_BASE, BigInt(IDT))
    cpu.set32(S.IDT_LIMIT, 0xfff)
    setSegment(cpu, S.TR, TASK_SELECTOR, BigInt(TASK), 0xfff, 0x8b00)
    this.#handlers()
    this.#task()
    if (this.isLong) this.pageLong()
    this.enter(this.defaultCode, DATA, STACK)
    cpu.rip = BigInt(CODE)
  }

  /** Selector of level 0 code of the machine's size. */
  get defaultCode(): number {
    return this.#bits === 64 ? CODE64 : this.#bits === 32 ? CODE32 : CODE16
  }

  #handlers(): void {
    const bytes = new Uint8Array(256 * 16).fill(0xf4)
    this.load(HANDLERS, bytes)
    for (let vector = 0; vector < 256; vector++) this.gate(vector)
  }

  #task(): void {
    // No bitmap of ports.
    this.write(TASK + 102, 0xffffn, 2)
    if (this.isLong) {
      this.write(TASK + 4, BigInt(STACK), 8)
      this.write(TASK + 36, BigInt(IST1), 8)
      return
    }
    this.write(TASK + 4, BigInt(STACK), 4)
    this.write(TASK + 8, BigInt(this.#bits === 16 ? DATA16 : DATA), 2)
  }

  /** Maps the memory one to one, writable for everyone, and turns 4-level paging on. */
  pageLong(): void {
    const { cpu } = this
    this.write(TABLES, BigInt(TABLES + 0x1007), 8)
    this.write(TABLES + 0x1000, BigInt(TABLES + 0x2007), 8)
    for (let i = 0; i < 2; i++) {
      this.write(TABLES + 0x2000 + i * 8, BigInt(TABLES + 0x3007 + i * 0x1000), 8)
    }
    for (let i = 0; i < 1024; i++) this.page(i * 4096, BigInt(i * 4096 + 7))
    cpu.set32(S.CR4, cpu.cr4 | CR4_PAE)
    cpu.set32(S.EFER, EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE)
    cpu.set32(S.CR0, cpu.cr0 | CR0_PG | CR0_WP)
    cpu.setU64(S.CR3, BigInt(TABLES))
    updateWalker(cpu)
    cpu.flushTlb()
  }

  /** Sets the 4-level page table entry of a linear address below 4 MiB. */
  page(linear: number, entry: bigint): void {
    this.write(TABLES + 0x3000 + (linear >>> 12) * 8, entry, 8)
  }

  /** Page table entry of a linear address below 4 MiB. */
  pageEntry(linear: number): bigint {
    return this.read(TABLES + 0x3000 + (linear >>> 12) * 8, 8)
  }

  /** Puts a descriptor into the GDT. */
  descriptor(selector: number, value: bigint): void {
    this.write(GDT + (selector & 0xfff8), value, 8)
  }

  /** Sets an IDT entry; by default an interrupt gate to the vector's HLT at level 0. */
  gate(vector: number, gate: Gate = {}): void {
    const offset = gate.offset ?? HANDLERS + vector * 16
    const access =
      (gate.isPresent === false ? 0 : 0x80) | ((gate.dpl ?? 0) << 5) | (gate.type ?? 14)
    const selector = gate.selector ?? this.defaultCode
    const low = (offset & 0xffff) | (selector << 16)
    const high = (offset & 0xffff0000) | (access << 8) | (gate.ist ?? 0)
    const value = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)
    this.write(IDT + vector * (this.isLong ? 16 : 8), value, 8)
    if (this.isLong) this.write(IDT + vector * 16 + 8, 0n, 8)
  }

  /** Loads CS, SS and RSP as they are in the GDT, without checks, and the level of CS. */
  enter(cs: number, ss: number, rsp: number): void {
    const { cpu } = this
    for (const [segment, selector] of [
      [S.CS, cs],
      [S.SS, ss],
      [S.DS, ss],
      [S.ES, ss],
    ] as const) {
      const value = this.read(GDT + (selector & 0xfff8), 8)
      const high = Number(value >> 32n) | 0
      const raw = (Number(value & 0xffffn) | (high & 0xf0000)) >>> 0
      const limit = high & (1 << 23) ? ((raw << 12) | 0xfff) >>> 0 : raw
      const base = ((value >> 16n) & 0xffffffn) | ((value >> 32n) & 0xff000000n)
      setSegment(cpu, segment, selector, base, limit, high & 0x00f0ff00)
    }
    cpu.set32(S.CPL, cs & 3)
    cpu.writeRegister(S.RSP, BigInt(rsp))
    cpu.modeChanged()
  }

  /** Writes guest physical memory. */
  write(gpa: number, value: bigint, size: number): void {
    const bytes = new Uint8Array(size)
    for (let i = 0; i < size; i++) bytes[i] = Number((value >> BigInt(8 * i)) & 255n)
    this.load(gpa, bytes)
  }

  /** Reads guest physical memory. */
  read(gpa: number, size: number): bigint {
    let value = 0n
    for (let i = size - 1; i >= 0; i--) {
      value = (value << 8n) | BigInt(this.memory.u8[this.ram + gpa + i] as number)
    }
    return value
  }

  /** Runs until a handler's HLT; undefined if the guest ended otherwise. */
  runToHandler(maxInstructions = 1000): Entry | undefined {
    const { cpu } = this
    const { reason } = cpu.run(maxInstructions)
    const at = Number(cpu.rip) - 1 - HANDLERS
    if (reason !== 'halt' || at < 0 || at >= 4096 || at % 16 !== 0) return undefined
    const size = this.isLong ? 8 : this.#bits / 8
    return {
      vector: at / 16,
      words: (count) =>
        Array.from({ length: count }, (_, i) => {
          return this.read(Number(cpu.readRegister(S.RSP)) + i * size, size)
        }),
    }
  }
}
