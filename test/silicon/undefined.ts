// What processors leave undefined, by instruction: flags that are not compared, and instructions
// that cannot be compared here at all, each with its reason.

import type { Row } from '../../src/x86/decode/row.ts'
import { INSTRUCTION, RECORD_BYTES, type Records, START } from './layout.ts'

const CF = 1
const PF = 4
const AF = 0x10
const ZF = 0x40
const SF = 0x80
const OF = 0x800

/** Flags that the manuals leave undefined after an instruction. */
export const UNDEFINED_FLAGS: Readonly<Record<string, number>> = {
  AND: AF,
  OR: AF,
  XOR: AF,
  TEST: AF,
  MUL: SF | ZF | AF | PF,
  IMUL: SF | ZF | AF | PF,
  DIV: CF | OF | SF | ZF | AF | PF,
  IDIV: CF | OF | SF | ZF | AF | PF,
  // After a shift by more than one OF is undefined, and CF when the count passes the width.
  SHL: AF | OF | CF,
  SHR: AF | OF | CF,
  SAR: AF | OF,
  SHLD: AF | OF | CF,
  SHRD: AF | OF | CF,
  ROL: OF,
  ROR: OF,
  RCL: OF,
  RCR: OF,
  BSF: CF | OF | SF | AF | PF,
  BSR: CF | OF | SF | AF | PF,
  BT: OF | SF | AF | PF,
  BTS: OF | SF | AF | PF,
  BTR: OF | SF | AF | PF,
  BTC: OF | SF | AF | PF,
  TZCNT: OF | SF | AF | PF,
  LZCNT: OF | SF | AF | PF,
  AAA: OF | SF | ZF | PF,
  AAS: OF | SF | ZF | PF,
  DAA: OF,
  DAS: OF,
  BEXTR: SF | AF | PF,
  AAM: CF | OF | AF,
  AAD: CF | OF | AF,
}

/** Not compared: what they do depends on the machine around the processor. */
export const NOT_COMPARED: Readonly<Record<string, string>> = {
  SYSCALL: 'calls the operating system',
  SYSENTER: 'calls the operating system',
  CPUID: 'tells of another processor',
  RDTSC: 'time',
  RDTSCP: 'time',
  RDPID: 'tells of another processor',
  RDRAND: 'random',
  RDSEED: 'random',
  XGETBV: 'another XCR0',
  SGDT: 'emulated by the operating system under UMIP',
  SIDT: 'emulated by the operating system under UMIP',
  SLDT: 'emulated by the operating system under UMIP',
  STR: 'emulated by the operating system under UMIP',
  SMSW: 'emulated by the operating system under UMIP',
  INT1: 'a hypervisor underneath changes what it does',
  VMCALL: 'reaches the hypervisor underneath',
  VMMCALL: 'reaches the hypervisor underneath',
  ...Object.fromEntries(
    'F2XM1 FYL2X FYL2XP1 FSIN FCOS FSINCOS FPTAN FPATAN'
      .split(' ')
      .map((name) => [name, 'approximate to one unit in the last place; compared in softfloat']),
  ),
}

/** A difference between the outcomes of a case. */
interface Difference {
  /** Undefined if there is no such instruction. */
  readonly row: Row | undefined
  readonly cases: Records
  readonly index: number
  /** Exception vectors of the processor underneath and of ours; 3 for none. */
  readonly vector: number
  readonly ourVector: number
  readonly ourRip: bigint
  /** What differs, in words. */
  readonly found: readonly string[]
}

interface Expected {
  readonly why: string
  readonly applies: (difference: Difference) => boolean
}

const UD = 6
const SS = 12
const GP = 13
const PAGE_FAULT = 14
const END = 3

const only = (found: readonly string[], ...what: readonly string[]) =>
  found.every((line) => what.some((word) => line.startsWith(word)))

const isFetchFault = (vector: number) => vector === PAGE_FAULT || vector === GP

/**
 * Where a difference is right: AMD's processors do otherwise than Intel's, whose manual ours
 * follows, or the order of an instruction's accesses is nobody's promise.
 */
const EXPECTED: readonly Expected[] = [
  {
    why: 'PREFETCH with a register is #UD for AMD (APM 3, PREFETCH), a NOP for Intel',
    applies: ({ row, vector, ourVector }) =>
      row?.text.startsWith('0F 0D') === true && vector === UD && ourVector !== UD,
  },
  {
    why: 'UD0, UD1 and what is no instruction: whether all of it is fetched before #UD',
    applies: ({ row, vector, ourVector }) =>
      (row === undefined || row.name === 'UD') &&
      ((vector === UD && isFetchFault(ourVector)) || (ourVector === UD && isFetchFault(vector))),
  },
  {
    why: 'An indirect CALL: the fault of the stack or #GP of the target first',
    applies: ({ row, vector, ourVector }) =>
      row?.name === 'CALL' && (vector === PAGE_FAULT || vector === SS) && ourVector === GP,
  },
  {
    why: 'A far CALL that faults: what it has written below the top of the stack',
    applies: ({ row, vector, ourVector, found }) =>
      row?.name === 'CALL' &&
      vector === ourVector &&
      vector !== END &&
      only(found, 'memory', 'other', 'CR2'),
  },
  {
    why: 'Far returns: which word of the stack is read first, and what before CS is looked at',
    applies: ({ row, vector, ourVector }) =>
      (row?.name === 'IRET' || row?.name === 'RETF') &&
      (vector === PAGE_FAULT || vector === SS) &&
      ourVector !== END,
  },
  {
    why: 'CMPS and far pointers: which word is read first',
    applies: ({ row, vector, ourVector }) =>
      (row?.name === 'CMPS' || row?.operands.some(({ size }) => size === 'p') === true) &&
      vector !== END &&
      ourVector !== END,
  },
  {
    why: 'State images: which part of them is touched first',
    applies: ({ row, vector, ourVector }) =>
      isStateRow(row) && vector === PAGE_FAULT && ourVector !== END,
  },
  {
    why: 'A branch into its own bytes: what stands there is executed underneath',
    applies: ({ row, cases, index, ourRip }) => {
      const distance = Number(BigInt.asIntN(64, ourRip - BigInt(cases.word(index, START))))
      return row?.attributes.has('end') === true && distance > 0 && distance < 15
    },
  },
  {
    why: 'POPA that faults: which registers were popped before',
    applies: ({ row, vector, found }) =>
      row?.name === 'POPA' &&
      vector !== END &&
      only(found, 'RDI', 'RSI', 'RBP', 'RBX', 'RDX', 'RCX'),
  },
  {
    why: 'An operand that is not aligned and lies beyond the limit of the stack: #GP or #SS first',
    applies: ({ row, vector, ourVector }) =>
      (row?.attributes.has('align') === true || isStateRow(row)) &&
      vector === GP &&
      ourVector === SS,
  },
  {
    why: 'MXCSR.MM, misaligned exception mask: AMD has it, and so in MXCSR_MASK (APM 1, 4.2.2)',
    applies: ({ row, vector, ourVector, found }) =>
      ((row?.name === 'LDMXCSR' || row?.name === 'FXRSTOR') &&
        vector === END &&
        ourVector === GP) ||
      (isStateRow(row) && found.every((line) => isMaskOfMxcsr(line))),
  },
  {
    why: 'LOOPE and LOOPNE with REPNE and REP prefixes: AMD heeds them',
    applies: ({ row, cases, index }) =>
      (row?.name === 'LOOPE' || row?.name === 'LOOPNE') && hasPrefix(cases, index, [0xf2, 0xf3]),
  },
]

/** FXSAVE and XSAVE with their kin. */
function isStateRow(row: Row | undefined): boolean {
  return row !== undefined && /^(FX|X)(SAVE|RSTOR)/.test(row.name)
}

/** Do two dumps differ in the bit of MXCSR_MASK that stands for MXCSR.MM only. */
function isMaskOfMxcsr(line: string): boolean {
  if (line.startsWith('other memory')) return true
  const dumps = /processor ([0-9a-f]+), ours ([0-9a-f]+)$/.exec(line)
  return dumps?.[1] !== undefined && dumps[1].replace('ffff0200', 'ffff0000') === dumps[2]
}

/** Is a difference one that is expected. */
export function isExpected(difference: Difference): boolean {
  return EXPECTED.some(({ applies }) => applies(difference))
}

const LEGACY_PREFIXES = [0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65]

/** Does the code of a case begin with one of some prefixes, others before it or not. */
function hasPrefix({ u8 }: Records, index: number, prefixes: readonly number[]): boolean {
  let at = index * RECORD_BYTES + INSTRUCTION
  for (; LEGACY_PREFIXES.includes(u8[at] as number); at++) {
    if (prefixes.includes(u8[at] as number)) return true
  }
  return false
}
