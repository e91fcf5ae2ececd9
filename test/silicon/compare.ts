// Compares the outcomes of a case on the processor underneath and on ours.

import type { CpuVendor } from '../../src/x86/cpuid/models.ts'
import { Decoded, Status } from '../../src/x86/decode/decoded.ts'
import { Decoder } from '../../src/x86/decode/decoder.ts'
import { instructions } from '../../src/x86/decode/define.ts'
import '../../src/x86/instructions/all.ts'
import { isExpected } from './expected.ts'
import {
  CR2,
  ERROR_CODE,
  FPU,
  FS_BASE,
  GPR,
  GS_BASE,
  INSTRUCTION,
  INSTRUCTION_BYTES,
  LOST,
  MEMORY,
  MEMORY_BYTES,
  MODE,
  RECORD_BYTES,
  type Records,
  REST,
  RFLAGS,
  RIP,
  SELECTORS,
  START,
  VECTOR,
} from './layout.ts'
import { MODES, USER_CODE_64 } from './modes.ts'
import { undefinedFlags } from './undefined.ts'

/** CF PF AF ZF SF TF DF OF IOPL NT. */
const FLAGS = 0x7dd5
/** From here on Linux hides whether there is a page. */
const USER_END = 0x7ffffffff000n
const PF = 14
const BP = 3

const NAMES = 'RAX RCX RDX RBX RSP RBP RSI RDI R8 R9 R10 R11 R12 R13 R14 R15'.split(' ')
const SEGMENTS = 'ES CS SS DS FS GS'.split(' ')

/** Parts of the FXSAVE image; the pointers of the last x87 instruction are not kept by all. */
const FPU_PARTS: readonly (readonly [name: string, from: number, to: number])[] = [
  ['FCW', 0, 2],
  ['FSW', 2, 4],
  ['FTW', 4, 5],
  ['MXCSR', 24, 28],
  ...Array.from({ length: 8 }, (_, i) => [`ST${i}`, 32 + i * 16, 42 + i * 16] as const),
  ...Array.from({ length: 16 }, (_, i) => [`XMM${i}`, 160 + i * 16, 176 + i * 16] as const),
]

const decoder = new Decoder(instructions)
const decoded = new Decoded()

/** The instruction of a case as our decoder reads it: name and row, or undefined. */
export function instructionOf(cases: Records, index: number, features: ReadonlySet<string>) {
  const at = index * RECORD_BYTES + INSTRUCTION
  const { codeSize } = MODES[cases.word(index, MODE)] as (typeof MODES)[0]
  const status = decoder.decode(cases.u8, at, INSTRUCTION_BYTES, codeSize, features, decoded)
  return status === Status.ok ? decoded.row : undefined
}

/** What a comparison is made with. */
export interface Terms {
  /** CPUID features of both processors. */
  readonly features: ReadonlySet<string>
  /** Of the processor underneath, or of that which was recorded. */
  readonly vendor: CpuVendor
  /** Compare what the manuals leave undefined, too. */
  readonly isStrict: boolean
}

/** Differences in words; none if the outcomes are the same where the manuals define them. */
export function differences(
  cases: Records,
  index: number,
  theirs: Records,
  ours: Records,
  { features, vendor, isStrict }: Terms,
): string[] {
  if (isSame(theirs, ours, index, isLong(cases, index))) return []
  const found: string[] = []
  const differ = (what: string, a: bigint | number, b: bigint | number) => {
    if (a !== b) found.push(`${what}: processor 0x${a.toString(16)}, ours 0x${b.toString(16)}`)
  }
  const vector = theirs.word(index, VECTOR)
  if (vector === LOST) return []
  const ourVector = ours.word(index, VECTOR)
  const rip = theirs.u64(index, RIP)
  const ourRip = ours.u64(index, RIP)
  // A branch was taken to where nothing can be fetched: the fault is the next instruction's.
  const start = BigInt(cases.word(index, START))
  const isFetch = ourVector === BP && vector !== BP && before(ourRip) === rip && rip !== start
  if (!isFetch) {
    differ('vector', vector, ourVector)
    if (vector === ourVector && vector !== BP) {
      const hidden = vector === PF && theirs.u64(index, CR2) >= USER_END ? 1 : 0
      differ(
        'error code',
        theirs.word(index, ERROR_CODE) | hidden,
        ours.word(index, ERROR_CODE) | hidden,
      )
      if (vector === PF) differ('CR2', theirs.u64(index, CR2), ours.u64(index, CR2))
    }
  }
  differ('RIP', vector === BP ? before(rip) : rip, ourVector === BP ? before(ourRip) : ourRip)
  // A far transfer may have left 64-bit mode.
  const is64 = isLong(cases, index) && theirs.u16[cs(index)] === USER_CODE_64
  for (const [n, name] of NAMES.entries()) {
    const value = (records: Records) =>
      BigInt.asUintN(is64 ? 64 : 32, records.u64(index, GPR + n * 8))
    differ(name, value(theirs), value(ours))
  }
  for (const [n, name] of SEGMENTS.entries()) {
    const at = index * RECORD_BYTES + SELECTORS + n * 2
    differ(name, selectorAt(theirs, at, n), selectorAt(ours, at, n))
  }
  differ('FS base', theirs.u64(index, FS_BASE), ours.u64(index, FS_BASE))
  differ('GS base', theirs.u64(index, GS_BASE), ours.u64(index, GS_BASE))
  const row = instructionOf(cases, index, features)
  // A fault somewhere else is the next instruction's.
  const hasEnded = vector === BP || rip !== start
  const unknown =
    hasEnded && !isStrict && row ? undefinedFlags(decoded, cases.word(index, GPR + 8), vendor) : 0
  const mask = FLAGS & ~unknown
  differ('flags', theirs.word(index, RFLAGS) & mask, ours.word(index, RFLAGS) & mask)
  compareBytes('memory', theirs, ours, index * RECORD_BYTES + MEMORY, MEMORY_BYTES, found)
  differ('other memory', theirs.word(index, REST), ours.word(index, REST))
  for (const [what, from, to] of FPU_PARTS) {
    compareBytes(what, theirs, ours, index * RECORD_BYTES + FPU + from, to - from, found)
  }
  if (
    found.length > 0 &&
    isExpected({
      vendor,
      row,
      instruction: decoded,
      cases,
      theirs,
      ours,
      index,
      vector,
      ourVector,
      ourRip,
      found,
    })
  ) {
    return []
  }
  return found
}

/** Place of the selector of CS in the words of 16 bits. */
function cs(index: number): number {
  return (index * RECORD_BYTES + SELECTORS + 2) >>> 1
}

function isLong(cases: Records, index: number): boolean {
  return (MODES[cases.word(index, MODE)] as (typeof MODES)[0]).codeSize === 64
}

/** The address before an INT3 that was executed at it. */
function before(rip: bigint): bigint {
  return BigInt.asUintN(64, rip - 1n)
}

/** A selector; the way back from the kernel makes 0 of null selectors, but not of CS and SS. */
function selectorAt({ view }: Records, at: number, segment: number): number {
  const selector = view.getUint16(at, true)
  return selector <= 3 && segment !== 1 && segment !== 2 ? 0 : selector
}

const FIRST_WORD = GPR >>> 2
const RECORD_WORDS = RECORD_BYTES >>> 2
const FPU_WORD = FPU >>> 2
const MEMORY_WORD = MEMORY >>> 2

/** Quickly: is everything that may count the same, undefined or not. */
function isSame(theirs: Records, ours: Records, index: number, is64: boolean): boolean {
  const a = theirs.u32
  const b = ours.u32
  const at = index * RECORD_WORDS
  const vector = a[at + (VECTOR >>> 2)]
  if (vector !== b[at + (VECTOR >>> 2)]) return false
  if (vector !== BP && a[at + (ERROR_CODE >>> 2)] !== b[at + (ERROR_CODE >>> 2)]) return false
  if (vector === PF && theirs.u64(index, CR2) !== ours.u64(index, CR2)) return false
  if (a[at + (RIP >>> 2)] !== b[at + (RIP >>> 2)]) return false
  if (a[at + (REST >>> 2)] !== b[at + (REST >>> 2)]) return false
  for (let i = FIRST_WORD; i < RECORD_WORDS; i++) {
    const difference = ((a[at + i] as number) ^ (b[at + i] as number)) & comparedBits(i, is64)
    if (difference !== 0) return false
  }
  return true
}

/** Which bits of a word of an outcome count. */
function comparedBits(word: number, is64: boolean): number {
  // Outside 64-bit mode the upper halves of registers are nobody's.
  if (word < RFLAGS >>> 2) return is64 || (word & 1) === 0 ? -1 : 0
  if (word === RFLAGS >>> 2) return FLAGS
  if (word < START >>> 2 || word >= MEMORY_WORD) return -1
  const fpu = word - FPU_WORD
  if (fpu < 0) return 0
  // The tag word, but neither the opcode nor the pointers of the last x87 instruction.
  if (fpu === 1) return 0xff
  return fpu === 0 || fpu === 6 || (fpu >= 8 && fpu < 104) ? -1 : 0
}

function compareBytes(
  what: string,
  theirs: Records,
  ours: Records,
  from: number,
  bytes: number,
  found: string[],
): void {
  for (let i = from; i < from + bytes; i++) {
    if (theirs.u8[i] === ours.u8[i]) continue
    const start = from + ((i - from) & ~7)
    const end = Math.min(start + 16, from + bytes)
    const text = ({ u8 }: Records) => Buffer.from(u8.subarray(start, end)).toString('hex')
    found.push(`${what} from byte ${start - from}: processor ${text(theirs)}, ours ${text(ours)}`)
    return
  }
}
