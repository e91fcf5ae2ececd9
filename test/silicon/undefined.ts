// What manuals leave undefined, by instruction: flags that are not compared, and instructions that
// cannot be compared here at all, each with its reason.

import type { Decoded } from '../../src/x86/decode/decoded.ts'
import type { CpuVendor } from '../../src/x86/cpuid/models.ts'

const CF = 1
const PF = 4
const AF = 0x10
const ZF = 0x40
const SF = 0x80
const OF = 0x800

/**
 * Flags that the manuals leave undefined after an instruction and that differ from ours. Those
 * that are undefined (SDM vol. 1, appendix A) but the same are compared: AF after AND, OF SF AF PF
 * after BT.
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

/** The same, where AMD's processors do as ours and Intel's do not. */
const UNDEFINED_FLAGS_BY_INTEL: Readonly<Record<string, number>> = {
  ANDN: PF,
  BLSR: PF,
  BLSMSK: PF,
  BLSI: PF,
  BZHI: PF,
}

/**
 * Flags that are not compared after an instruction; `cl`: the register, before it; `vendor`: of the
 * processor underneath.
 */
export function undefinedFlags(instruction: Decoded, cl: number, vendor: CpuVendor): number {
  const { name } = instruction.row
  const flags = (UNDEFINED_FLAGS[name] ?? 0) | undefinedByCount(instruction, cl, vendor)
  return vendor === 'GenuineIntel' ? flags | (UNDEFINED_FLAGS_BY_INTEL[name] ?? 0) : flags
}

/** Flags that shifts and rotations leave undefined for how far they go. */
function undefinedByCount(instruction: Decoded, cl: number, vendor: CpuVendor): number {
  const { row, operandSize } = instruction
  if (!/^(SH[LR]D?|RO[LR]|RC[LR])$/.test(row.name)) return 0
  const count = countOf(instruction, cl)
  if (count <= 1) return 0
  // OF is undefined after all counts but 1: ours is AMD's.
  const flags = vendor === 'GenuineIntel' ? OF : 0
  if (!row.name.endsWith('D')) return flags
  // Past the width everything is; with AMD OF differs only there.
  return flags | (count > operandSize ? CF : 0) | (count >= operandSize ? OF : 0)
}

/** By how many bits a shift or rotation goes; `cl`: the register, before it. */
export function countOf({ row, operandSize, immLo }: Decoded, cl: number): number {
  const count = row.text.endsWith('CL') ? cl : row.text.endsWith('Ib') ? immLo : 1
  return count & (operandSize === 64 ? 63 : 31)
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
