// The modes of the user's code that are tested, and the descriptor tables that make them: Linux's
// own GDT, and an LDT that runner.c installs. Both executions have the same selectors.

import { CODE, CODE_BYTES, DATA } from './layout.ts'

export const USER_CODE_32 = 0x23
export const USER_DATA = 0x2b
export const USER_CODE_64 = 0x33

/** Linux's GDT, where it matters to users (arch/x86/include/asm/segment.h). */
export const GDT: readonly (readonly [index: number, descriptor: bigint])[] = [
  [1, 0x00cf9b000000ffffn],
  [2, 0x00af9b000000ffffn],
  [3, 0x00cf93000000ffffn],
  [4, 0x00cffb000000ffffn],
  [5, 0x00cff3000000ffffn],
  [6, 0x00affb000000ffffn],
]

/** As Linux's struct user_desc has it. */
export interface LdtEntry {
  readonly base: number
  /** In bytes, or in pages if `isInPages`. */
  readonly limit: number
  readonly is32: boolean
  readonly contents: 'data' | 'expand-down' | 'code'
  /** Data that cannot be written, code that cannot be read. */
  readonly isRestricted?: boolean
  readonly isInPages?: boolean
  readonly isMissing?: boolean
}

/** Data segments of 16 bits start here: their offsets reach the data pages and both sides. */
export const BASE_16 = DATA - 0x8000

/** LDT entries from number 1 on. */
export const LDT: readonly LdtEntry[] = [
  { base: CODE, limit: CODE_BYTES - 1, is32: false, contents: 'code' },
  { base: BASE_16, limit: 0xffff, is32: false, contents: 'data' },
  { base: DATA - 0x1000, limit: 0x2fff, is32: true, contents: 'data' },
  { base: BASE_16, limit: 0x8fff, is32: false, contents: 'expand-down' },
  { base: DATA, limit: 0x0fff, is32: true, contents: 'expand-down' },
  { base: 0, limit: 0xfffff, is32: true, contents: 'data', isRestricted: true, isInPages: true },
  { base: DATA, limit: 0xffff, is32: true, contents: 'data', isMissing: true },
  { base: CODE, limit: CODE_BYTES - 1, is32: true, contents: 'code', isRestricted: true },
  { base: CODE, limit: CODE_BYTES - 1, is32: true, contents: 'code' },
]

/** Selector of an LDT entry, for users. */
export const ldt = (number: number): number => number * 8 + 7

export interface Mode {
  readonly name: string
  readonly codeSize: 16 | 32 | 64
  readonly cs: number
  readonly stackSize: 16 | 32 | 64
  /** Base of the code segment. */
  readonly codeBase: number
  /** Selectors that the data segments may hold, and those of SS. */
  readonly data: readonly number[]
  readonly stack: readonly number[]
}

const FLAT = { data: [USER_DATA], stack: [USER_DATA] }
const DATA_16 = [ldt(2), ldt(2), ldt(2), ldt(3), ldt(4), ldt(6)]

/** Cases name their mode by its place in this list. */
export const MODES: readonly Mode[] = [
  {
    name: '64',
    codeSize: 64,
    cs: USER_CODE_64,
    stackSize: 64,
    codeBase: 0,
    data: [0],
    stack: [USER_DATA],
  },
  { name: '32', codeSize: 32, cs: USER_CODE_32, stackSize: 32, codeBase: 0, ...FLAT },
  {
    name: '32-segments',
    codeSize: 32,
    cs: ldt(9),
    stackSize: 32,
    codeBase: CODE,
    data: [USER_DATA, ldt(2), ldt(3), ldt(4), ldt(5), ldt(6), ldt(9), 0],
    stack: [USER_DATA, ldt(3), ldt(5)],
  },
  {
    name: '16',
    codeSize: 16,
    cs: ldt(1),
    stackSize: 16,
    codeBase: CODE,
    data: DATA_16,
    stack: [ldt(2), ldt(2), ldt(4)],
  },
]

/** The base and the highest valid offsets of a selector, as far as generating needs them. */
export function baseOf(selector: number): number {
  if ((selector & 4) === 0) return 0
  return LDT[(selector >> 3) - 1]?.base ?? 0
}

/** Is the stack pointer of 32 bits with this selector in SS. */
export function isStack32(selector: number): boolean {
  return (selector & 4) === 0 || (LDT[(selector >> 3) - 1]?.is32 ?? true)
}

/** The descriptor of an LDT entry, as Linux builds it. */
export function descriptorOf(entry: LdtEntry): bigint {
  const { base, limit, contents } = entry
  const kind = contents === 'code' ? 8 : contents === 'expand-down' ? 4 : 0
  // Readable code, writable data; accessed.
  const type = kind | (entry.isRestricted ? 0 : 2) | 1
  const access = 0x70 | type | (entry.isMissing ? 0 : 0x80)
  const flags = (entry.isInPages ? 8 : 0) | (entry.is32 ? 4 : 0)
  const low = (limit & 0xffff) | ((base & 0xffff) << 16)
  const high =
    ((base >> 16) & 0xff) | (access << 8) | (limit & 0xf0000) | (flags << 20) | (base & 0xff000000)
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)
}
