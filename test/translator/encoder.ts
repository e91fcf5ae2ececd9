// Encodes instructions with ModRM operands for the generator: prefixes, REX, SIB, displacement.

import type { Random } from '../silicon/random.ts'
import * as L from './layout.ts'
import type { Fixup, Item } from './program.ts'

export type Size = 8 | 16 | 32 | 64

/** A memory operand. */
export interface Memory {
  /** Register, or -1 for none. */
  readonly base: number
  readonly index?: number
  readonly scale?: 0 | 1 | 2 | 3
  readonly displacement: number
  /** In place of base and displacement: an item's address with something added. */
  readonly item?: number
  /** Segment prefix. */
  readonly prefix?: 0x64 | 0x65
}

export type Rm = number | Memory

export const RSP = 4
const RBP = 5

export interface Instruction {
  /** 66, F2, F3 or none, before REX. */
  readonly prefix?: number
  readonly opcode: readonly number[]
  readonly reg: number
  readonly rm: Rm
  readonly immediate?: readonly number[]
  readonly size: Size
  /** ModRM.reg is no byte register. */
  readonly hasByteRm?: boolean
  readonly lock?: boolean
}

/** One instruction as an item. */
export function encode(bits: 32 | 64, instruction: Instruction): Item {
  const { prefix, opcode, reg, rm, immediate = [], size, lock } = instruction
  const bytes: number[] = []
  const fixups: Fixup[] = []
  const memory = typeof rm === 'number' ? undefined : rm
  if (lock && memory) bytes.push(0xf0)
  if (memory?.prefix) bytes.push(memory.prefix)
  if (size === 16) bytes.push(0x66)
  if (prefix) bytes.push(prefix)
  if (bits === 64) {
    let rex = size === 64 ? 0x48 : 0
    if (reg & 8) rex |= 0x44
    if (memory) {
      if (memory.base > 7) rex |= 0x41
      if ((memory.index ?? 0) > 7) rex |= 0x42
    } else if ((rm as number) & 8) rex |= 0x41
    const isLowByte = (register: number) => register >= 4 && register < 8
    if (size === 8 && (isLowByte(reg) || (!memory && isLowByte(rm as number)))) rex |= 0x40
    if (rex) bytes.push(rex)
  }
  bytes.push(...opcode)
  if (memory) putMemory(bits, bytes, fixups, reg & 7, memory)
  else bytes.push(0xc0 | ((reg & 7) << 3) | ((rm as number) & 7))
  bytes.push(...immediate)
  return fixups.length > 0 ? { bytes, fixups } : { bytes }
}

function putMemory(
  bits: 32 | 64,
  bytes: number[],
  fixups: Fixup[],
  reg: number,
  memory: Memory,
): void {
  const { base, index, scale = 0, displacement, item } = memory
  if (item !== undefined || (base < 0 && index === undefined)) {
    const place = item === undefined ? { linear: displacement } : { item, delta: displacement }
    const isRelative = bits === 64 && memory.prefix === undefined
    if (isRelative || bits === 32) bytes.push((reg << 3) | 5)
    else bytes.push((reg << 3) | 4, 0x25)
    fixups.push({ at: bytes.length, size: 4, isRelative, ...place })
    bytes.push(0, 0, 0, 0)
    return
  }
  const isShort = displacement >= -128 && displacement < 128
  const needsDisplacement = displacement !== 0 || (base & 7) === RBP
  const mod = base < 0 || !needsDisplacement ? 0 : isShort ? 1 : 2
  if (index === undefined && (base & 7) !== RSP) bytes.push((mod << 6) | (reg << 3) | (base & 7))
  else {
    const low = base < 0 ? 5 : base & 7
    bytes.push((mod << 6) | (reg << 3) | 4, (scale << 6) | (((index ?? RSP) & 7) << 3) | low)
  }
  if (mod === 1) bytes.push(displacement & 255)
  else if (mod === 2 || base < 0) bytes.push(...little(displacement, 4))
}

/** The bytes of a number. */
export function little(value: number, size: number): number[] {
  return Array.from(
    { length: size },
    (_, i) => (i < 4 ? value >>> (8 * i) : value < 0 ? 255 : 0) & 255,
  )
}

/** An immediate of a size; 64 bits have those of 32. */
export function immediateOf(r: Random, size: Size): number[] {
  const value = r.pick([
    0,
    1,
    2,
    -1,
    0x7f,
    -0x80,
    0x7fff,
    0x7fffffff,
    -0x80000000,
    r.next() | 0,
    r.below(64),
  ])
  return little(value, Math.min(size / 8, 4))
}

/** MOV of a linear address or a number into a register. */
export function load(
  bits: 32 | 64,
  register: number,
  value: number,
  high = value < 0 ? -1 : 0,
): Item {
  if (bits === 32) return { bytes: [0xb8 | register, ...little(value, 4)] }
  if (high === 0) {
    const rex = register > 7 ? [0x41] : []
    return { bytes: [...rex, 0xb8 | (register & 7), ...little(value, 4)] }
  }
  const rex = register > 7 ? 0x49 : 0x48
  return { bytes: [rex, 0xb8 | (register & 7), ...little(value, 4), ...little(high, 4)] }
}

/** MOV of the address of an item into a register; `far`: of the other mapping of the code. */
export function loadAddress(bits: 32 | 64, register: number, item: number, isFar: boolean): Item {
  const rex = bits === 64 && register > 7 ? [0x41] : []
  return {
    bytes: [...rex, 0xb8 | (register & 7), 0, 0, 0, 0],
    fixups: [{ at: rex.length + 1, size: 4, item, delta: isFar ? L.AGAIN : 0 }],
  }
}
