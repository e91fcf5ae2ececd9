// What processors leave undefined, by instruction: flags that are not compared, and instructions
// that cannot be compared here at all, each with its reason.

import type { Row } from '../../src/x86/decode/row.ts'
import type { Records } from './layout.ts'

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
  VMCALL: 'reaches the hypervisor underneath',
  VMMCALL: 'reaches the hypervisor underneath',
}

/** What AMD's processors do otherwise than Intel's, whose manual ours follows. */
interface VendorDifference {
  readonly what: string
  readonly applies: (row: Row, test: Test) => boolean
}

interface Test {
  readonly cases: Records
  readonly index: number
  /** Exception vectors of the processor underneath and of ours; 3 for none. */
  readonly vector: number
  readonly ourVector: number
}

const UD = 6
const GP = 13
const PF_VECTOR = 14

const VENDOR_DIFFERENCES: readonly VendorDifference[] = [
  {
    what: 'PREFETCH with a register is #UD for AMD (APM 3, PREFETCH), a NOP for Intel',
    applies: ({ text }, { vector, ourVector }) =>
      text.startsWith('0F 0D') && vector === UD && ourVector !== UD,
  },
  {
    what: 'An indirect CALL pushes before it looks at a target that is not canonical',
    applies: ({ name }, { vector, ourVector }) =>
      name === 'CALL' && vector === PF_VECTOR && ourVector === GP,
  },
]

/** Is a difference between the outcomes one that is known between vendors. */
export function vendorsDiffer(
  row: Row,
  cases: Records,
  index: number,
  vector: number,
  ourVector: number,
): boolean {
  const test = { cases, index, vector, ourVector }
  return VENDOR_DIFFERENCES.some(({ applies }) => applies(row, test))
}
