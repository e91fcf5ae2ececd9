// What processors leave undefined, by instruction: flags that are not compared, and instructions
// that cannot be compared here at all, each with its reason.

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
  INT: 'calls the operating system',
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
  LAR: 'another GDT',
  LSL: 'another GDT',
  VERR: 'another GDT',
  VERW: 'another GDT',
  LDS: 'another GDT',
  RDFSBASE: 'another FS base',
  WRFSBASE: 'would break the runner',
  IRET: 'needs stack contents that make sense',
  RETF: 'needs stack contents that make sense',
  POPF: 'sets TF',
  PUSHF: 'shows flags of the operating system',
  INT1: 'reaches the operating system another way',
  INT3: 'ends a test',
  VMCALL: 'reaches the hypervisor underneath',
  VMMCALL: 'reaches the hypervisor underneath',
  UD: 'nothing to compare',
  PAUSE: 'nothing to compare',
}
