// What processors leave undefined, by instruction: flags that are not compared, and instructions
// that cannot be compared here at all, each with its reason.

import type { Decoded } from '../../src/x86/decode/decoded.ts'
import type { Row } from '../../src/x86/decode/row.ts'
import { FPU, INSTRUCTION, RECORD_BYTES, type Records, START } from './layout.ts'

const CF = 1
const PF = 4
const AF = 0x10
const ZF = 0x40
const SF = 0x80
const OF = 0x800

/**
 * Flags that the manuals leave undefined after an instruction and that differ from ours. Those
 * that are undefined (SDM vol. 1, appendix A) but the same are compared: AF after AND, OF after
 * shifts by more than one, OF SF AF PF after BT.
 */
const UNDEFINED_FLAGS: Readonly<Record<string, number>> = {
  MUL: SF | ZF | AF | PF,
  IMUL: SF | ZF | AF | PF,
  DIV: SF | ZF | AF | PF,
  IDIV: SF | ZF | AF | PF,
  SHL: AF,
  SHR: AF,
  SAR: AF,
  SHLD: AF,
  SHRD: AF,
  BSF: SF | PF,
  BSR: SF | PF,
  TZCNT: OF | PF,
  LZCNT: OF | PF,
  AAA: OF | SF | ZF | PF,
  AAS: OF | SF | ZF | PF,
  DAA: OF,
  DAS: OF,
  AAD: CF | OF | AF,
  BEXTR: AF | PF,
}

/** Flags that are not compared after an instruction; `cl`: the register, before it. */
export function undefinedFlags({ row, operandSize, immLo }: Decoded, cl: number): number {
  const flags = UNDEFINED_FLAGS[row.name] ?? 0
  if (row.name !== 'SHLD' && row.name !== 'SHRD') return flags
  // Past the width all is undefined; OF after all counts but 1, but it differs with large ones only.
  const count = (row.text.endsWith('CL') ? cl : immLo) & (operandSize === 64 ? 63 : 31)
  return flags | (count > operandSize ? CF : 0) | (count >= operandSize ? OF : 0)
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
  readonly theirs: Records
  readonly ours: Records
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
    why: 'Operands of several words at the end of the address space: which word faults first',
    applies: ({ row, vector, ourVector }) =>
      /^(BOUND|FN?SAVE|FRSTOR|FN?STENV|FLDENV|FB?LD|FB?STP|MASKMOVDQU)$/.test(row?.name ?? '') &&
      vector === PAGE_FAULT &&
      (ourVector === GP || ourVector === SS),
  },
  {
    why: 'Approximations: their error is bounded, by 1.5 × 2^-12 (SDM 2, RCPPS), not their bits',
    applies: ({ row, theirs, ours, index, found }) =>
      /^(RCP|RSQRT)[PS]S$/.test(row?.name ?? '') &&
      only(found, 'XMM') &&
      isApproximately(theirs, ours, index),
  },
  {
    why: 'A branch into its own bytes: what stands there is executed underneath',
    applies: ({ row, cases, index, ourRip }) => {
      const distance = Number(BigInt.asIntN(64, ourRip - BigInt(cases.word(index, START))))
      return row?.attributes.has('end') === true && distance > 0 && distance < 15
    },
  },
  {
    why: 'A selector of a descriptor that only the GDT underneath has: number 15, its CPU number',
    applies: ({ vector, ourVector, found }) =>
      vector === END &&
      ourVector === GP &&
      found.some((line) => /^[DEFGS]S: processor 0x7[89ab],/.test(line)),
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

/** Are all singles in the XMM registers of two outcomes equal, or at most two errors apart. */
function isApproximately(theirs: Records, ours: Records, index: number): boolean {
  const at = index * RECORD_BYTES + FPU + 160
  for (let i = at; i < at + 256; i += 4) {
    const a = theirs.view.getFloat32(i, true)
    const b = ours.view.getFloat32(i, true)
    const isSame = theirs.view.getUint32(i, true) === ours.view.getUint32(i, true)
    if (!isSame && !(Math.abs(a - b) <= 3 * 2 ** -12 * Math.abs(b))) return false
  }
  return true
}

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
