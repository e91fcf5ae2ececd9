// The registers of a virtual processor as TypeScript sees them: typed access to its state block.
// 64-bit values are unsigned bigint; `…Low` gives the lower half as a signed number.

import type { HostMemory } from './memory/host-memory.ts'
import * as S from './state.ts'

/** RFLAGS bits (SDM vol. 1, 3.4.3). */
export const FLAG_CF = 1 << 0
export const FLAG_PF = 1 << 2
export const FLAG_AF = 1 << 4
export const FLAG_ZF = 1 << 6
export const FLAG_SF = 1 << 7
export const FLAG_TF = 1 << 8
export const FLAG_IF = 1 << 9
export const FLAG_DF = 1 << 10
export const FLAG_OF = 1 << 11
export const FLAG_IOPL = 3 << 12
export const FLAG_NT = 1 << 14
export const FLAG_RF = 1 << 16
export const FLAG_VM = 1 << 17
export const FLAG_AC = 1 << 18
export const FLAG_VIF = 1 << 19
export const FLAG_VIP = 1 << 20
export const FLAG_ID = 1 << 21
/** Bits that are always zero. */
export const FLAGS_UNUSED = 0x8028
export const ARITHMETIC = FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF

export class Registers {
  /** Host offset of the state block. */
  readonly state: number
  protected readonly memory: HostMemory

  constructor(memory: HostMemory) {
    this.memory = memory
    this.state = memory.allocate(S.STATE_SIZE, 4096, 'processor state')
  }

  getU64(offset: number): bigint {
    return this.memory.view.getBigUint64(this.state + offset, true)
  }

  setU64(offset: number, value: bigint): void {
    this.memory.view.setBigUint64(this.state + offset, BigInt.asUintN(64, value), true)
  }

  getU32(offset: number): number {
    return this.memory.u32[(this.state + offset) >>> 2] as number
  }

  getI32(offset: number): number {
    return this.memory.i32[(this.state + offset) >>> 2] as number
  }

  /** Sets a 64-bit field by its halves. */
  setWords(offset: number, lo: number, hi: number): void {
    const { i32 } = this.memory
    i32[(this.state + offset) >>> 2] = lo
    i32[(this.state + offset + 4) >>> 2] = hi
  }

  set32(offset: number, value: number): void {
    this.memory.i32[(this.state + offset) >>> 2] = value
  }

  /** General register by its encoding: 0 RAX, 1 RCX, … 15 R15. */
  readRegister(index: number): bigint {
    return this.getU64(S.GPR + index * 8)
  }

  writeRegister(index: number, value: bigint): void {
    this.setU64(S.GPR + index * 8, value)
  }

  registerLow(index: number): number {
    return this.getI32(S.GPR + index * 8)
  }

  get rip(): bigint {
    return this.getU64(S.RIP)
  }

  set rip(value: bigint) {
    this.setU64(S.RIP, value)
  }

  get cpl(): number {
    return this.getI32(S.CPL)
  }

  get cr0(): number {
    return this.getI32(S.CR0)
  }

  get cr4(): number {
    return this.getI32(S.CR4)
  }

  get efer(): number {
    return this.getI32(S.EFER)
  }

  /** RFLAGS bits 31:0, arithmetic flags included. */
  get rflags(): number {
    const result = this.getI32(S.FLAG_RESULT)
    const upper = this.getI32(S.FLAG_RESULT + 4)
    const aux = this.getI32(S.FLAG_AUX)
    let flags = this.getI32(S.RFLAGS)
    if (aux < 0) flags |= FLAG_CF
    if (aux & 8) flags |= FLAG_AF
    if ((aux ^ (aux << 1)) < 0) flags |= FLAG_OF
    if ((result | upper) === 0) flags |= FLAG_ZF
    if (upper < 0 !== ((aux & 0x10000) !== 0)) flags |= FLAG_SF
    let low = (result ^ (aux >> 8)) & 0xff
    low ^= low >> 4
    low ^= low >> 2
    low ^= low >> 1
    if (!(low & 1)) flags |= FLAG_PF
    return flags
  }

  set rflags(value: number) {
    this.set32(S.RFLAGS, (value & ~ARITHMETIC & ~FLAGS_UNUSED) | 2)
    const zf = value & FLAG_ZF ? 1 : 0
    const cf = value & FLAG_CF ? 1 : 0
    const of = value & FLAG_OF ? 1 : 0
    const pf = value & FLAG_PF ? 1 : 0
    let aux = (cf << 31) | ((cf ^ of) << 30) | ((pf ^ zf) << 8)
    if (value & FLAG_SF) aux |= 0x10000
    if (value & FLAG_AF) aux |= 8
    this.set32(S.FLAG_AUX, aux)
    this.setWords(S.FLAG_RESULT, zf ? 0 : 1, 0)
  }

  // Segments.

  selector(segment: number): number {
    return this.getI32(S.SEGMENT + segment * S.SEGMENT_SIZE + S.SEG_SELECTOR)
  }

  segmentBase(segment: number): bigint {
    return this.getU64(S.SEG_BASE + segment * 8)
  }

  setSegmentBase(segment: number, base: bigint): void {
    this.setU64(S.SEG_BASE + segment * 8, base)
  }

  /**
   * Writes what a segment register holds besides its base; `reads`, `writes`: loads, stores at
   * offsets up to the limit need no closer look.
   */
  setSegmentFields(
    segment: number,
    selector: number,
    limit: number,
    attributes: number,
    reads: boolean,
    writes: boolean,
  ): void {
    const { i32 } = this.memory
    const at = (this.state + S.SEGMENT + segment * S.SEGMENT_SIZE) >>> 2
    i32[at + (S.SEG_SELECTOR >> 2)] = selector
    i32[at + (S.SEG_LIMIT >> 2)] = limit
    i32[at + (S.SEG_ATTRIBUTES >> 2)] = attributes
    i32[at + (S.SEG_READ_LIMIT >> 2)] = reads ? limit : -1
    i32[at + (S.SEG_READ_LIMIT >> 2) + 1] = reads ? 0 : -1
    i32[at + (S.SEG_WRITE_LIMIT >> 2)] = writes ? limit : -1
    i32[at + (S.SEG_WRITE_LIMIT >> 2) + 1] = writes ? 0 : -1
  }

  segmentLimit(segment: number): number {
    return this.getU32(S.SEGMENT + segment * S.SEGMENT_SIZE + S.SEG_LIMIT)
  }

  segmentAttributes(segment: number): number {
    return this.getI32(S.SEGMENT + segment * S.SEGMENT_SIZE + S.SEG_ATTRIBUTES)
  }

  // Values between emitted code and host instructions.

  /** The i-th value passed to a host instruction. */
  argument(index: number): bigint {
    return this.getU64(S.ARGUMENTS + 8 * index)
  }

  /** Its lower half, signed. */
  argumentLow(index: number): number {
    return this.getI32(S.ARGUMENTS + 8 * index)
  }

  /** What hostResult(index) of the emitter gives after the host instruction. */
  setResult(value: bigint, index = 0): void {
    this.setU64(S.ARGUMENTS + 8 * index, value)
  }
}
