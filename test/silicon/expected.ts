// Outcomes that differ and may, each with its reason.

import type { CpuVendor } from '../../src/x86/cpuid/models.ts'
import type { Decoded } from '../../src/x86/decode/decoded.ts'
import type { Row } from '../../src/x86/decode/row.ts'
import { FPU, GPR, INSTRUCTION, RECORD_BYTES, type Records, START } from './layout.ts'
import { countOf } from './undefined.ts'

/** A difference between the outcomes of a case. */
interface Difference {
  /** Of the processor underneath. */
  readonly vendor: CpuVendor
  /** Undefined if there is no such instruction. */
  readonly row: Row | undefined
  /** How the instruction was read, if there is one. */
  readonly instruction: Decoded
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
  /** Only there; of all vendors if not given. */
  readonly vendor?: CpuVendor
  readonly applies: (difference: Difference) => boolean
}

const BR = 5
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
 * follows, or the other way round; or the order of an instruction's accesses is nobody's promise.
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
      (vector === PAGE_FAULT || vector === SS || vector === GP) &&
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
  {
    why: 'SHA instructions with an operand that is not aligned: #GP (SDM 2, exceptions of type 4)',
    vendor: 'GenuineIntel',
    applies: ({ row, vector }) => row?.features.includes('sha') === true && vector === GP,
  },
  {
    why: 'An MMX store that faults: whether the top of the x87 stack is 0 before it',
    vendor: 'GenuineIntel',
    applies: ({ row, vector, ourVector, found }) =>
      row?.attributes.has('mmx') === true &&
      vector !== END &&
      vector === ourVector &&
      only(found, 'FSW', 'FTW', 'ST'),
  },
  {
    why: 'PUSH of a segment register writes two bytes (SDM 2, PUSH), POP reads as many',
    vendor: 'GenuineIntel',
    applies: ({ row, ourVector, found }) =>
      /^(0F )?\w\w [C-GS]S\b/.test(row?.text ?? '') &&
      (only(found, 'memory', 'other') || ourVector === PAGE_FAULT || ourVector === SS),
  },
  {
    why: 'REP with addresses of 32 bits: registers are extended even if nothing was repeated',
    vendor: 'GenuineIntel',
    applies: ({ row, theirs, ours, index, found }) =>
      (row?.attributes.has('rep') === true || row?.attributes.has('repz') === true) &&
      only(found, 'RSI', 'RDI', 'RCX') &&
      areExtended(theirs, ours, index),
  },
  {
    why: 'REPE CMPS and SCAS that fault: the flags of before (QUIRKS.md)',
    vendor: 'GenuineIntel',
    applies: ({ row, vector, ourVector, found }) =>
      row?.attributes.has('repz') === true &&
      vector !== END &&
      vector === ourVector &&
      only(found, 'flags'),
  },
  {
    why: 'SYSRET outside 64-bit mode is #UD for Intel (SDM 2, SYSRET)',
    vendor: 'GenuineIntel',
    applies: ({ row, vector }) => row?.name === 'SYSRET' && vector === UD,
  },
  {
    why: 'An x87 store with an unmasked exception: that first, or the fault of the operand',
    vendor: 'GenuineIntel',
    applies: ({ row, ourVector, found }) =>
      /^F[BI]?STT?P?$/.test(row?.name ?? '') &&
      ourVector !== END &&
      found.some((line) => /^FSW from byte 0: processor [89a-f]/.test(line)),
  },
  {
    why: 'XCHG of RAX and R8 with a REP prefix: PAUSE for AMD',
    vendor: 'GenuineIntel',
    applies: ({ row, cases, index, found }) =>
      row?.text.startsWith('90+r') === true &&
      hasPrefix(cases, index, [0xf3]) &&
      only(found, 'RAX', 'R8:'),
  },
  {
    why: 'SHLD and SHRD past the width: the result is undefined (SDM 2, SHLD)',
    vendor: 'GenuineIntel',
    applies: ({ row, instruction, cases, index, found }) =>
      (row?.name === 'SHLD' || row?.name === 'SHRD') &&
      !found.some((line) => line.startsWith('vector')) &&
      countOf(instruction, cases.word(index, GPR + 8)) > instruction.operandSize,
  },
  {
    why: 'Far returns read two bytes of a selector',
    vendor: 'GenuineIntel',
    applies: ({ row, ourVector }) =>
      (row?.name === 'IRET' || row?.name === 'RETF') &&
      (ourVector === PAGE_FAULT || ourVector === SS),
  },
  {
    why: 'Stores of ten bytes that fault: what was written before',
    vendor: 'GenuineIntel',
    applies: ({ row, vector, ourVector, found }) =>
      /^FB?STP$/.test(row?.name ?? '') &&
      vector !== END &&
      vector === ourVector &&
      only(found, 'memory', 'other'),
  },
  {
    why: 'MOVSXD of 16 bits reads two bytes (SDM 2, MOVSXD)',
    vendor: 'GenuineIntel',
    applies: ({ row, instruction, ourVector }) =>
      row?.name === 'MOVSXD' && instruction.operandSize === 16 && ourVector === PAGE_FAULT,
  },
  {
    why: 'MASKMOVDQU that faults: at which byte',
    vendor: 'GenuineIntel',
    applies: ({ row, found }) => row?.name === 'MASKMOVDQU' && only(found, 'CR2', 'error code'),
  },
  {
    why: 'A stack operand of 32 bits beyond both ends of the address space: it wraps, or #SS',
    vendor: 'GenuineIntel',
    applies: ({ vector, ourVector }) => vector === PAGE_FAULT && ourVector === SS,
  },
  {
    why: 'DPPD and DPPS of several NaNs: which of them is the sum',
    vendor: 'GenuineIntel',
    applies: ({ row, theirs, ours, index, found }) =>
      /^V?DPP[DS]$/.test(row?.name ?? '') && only(found, 'XMM') && areNaNs(theirs, ours, index),
  },
  {
    why: 'BOUND: whether both bounds are read before the first is looked at',
    vendor: 'GenuineIntel',
    applies: ({ row, vector, ourVector }) =>
      row?.name === 'BOUND' && vector === BR && ourVector === PAGE_FAULT,
  },
  {
    why: 'XSAVEC: whether a state that is as after a reset is in use (SDM 1, 13.6)',
    vendor: 'GenuineIntel',
    applies: ({ row, found }) => row?.name === 'XSAVEC' && only(found, 'memory', 'other'),
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

/** Do RCX, RSI and RDI of two outcomes differ at most in that the first are extended. */
function areExtended(theirs: Records, ours: Records, index: number): boolean {
  return [1, 6, 7].every((n) => {
    const value = theirs.u64(index, GPR + n * 8)
    const our = ours.u64(index, GPR + n * 8)
    return value === our || value === BigInt.asUintN(32, our)
  })
}

/** Are singles in the XMM registers of two outcomes the same, or NaNs, or parts of double NaNs. */
function areNaNs(theirs: Records, ours: Records, index: number): boolean {
  const at = index * RECORD_BYTES + FPU + 160
  const isNaN = ({ view }: Records, i: number) =>
    Number.isNaN(view.getFloat32(i, true)) || Number.isNaN(view.getFloat64(i & ~7, true))
  for (let i = at; i < at + 256; i += 4) {
    const isSame = theirs.view.getUint32(i, true) === ours.view.getUint32(i, true)
    if (!isSame && !(isNaN(theirs, i) && isNaN(ours, i))) return false
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
  return EXPECTED.some(
    ({ vendor = difference.vendor, applies }) =>
      vendor === difference.vendor && applies(difference),
  )
}

const LEGACY_PREFIXES = [0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65]

/** Does the code of a case begin with one of some prefixes, others before it or not. */
function hasPrefix({ u8 }: Records, index: number, prefixes: readonly number[]): boolean {
  let at = index * RECORD_BYTES + INSTRUCTION
  for (; isPrefix(u8[at] as number); at++) {
    if (prefixes.includes(u8[at] as number)) return true
  }
  return false
}

/** Legacy, or REX, which means nothing before another one. */
function isPrefix(byte: number): boolean {
  return LEGACY_PREFIXES.includes(byte) || byte >> 4 === 4
}
