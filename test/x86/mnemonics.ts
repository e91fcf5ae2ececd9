// How the names of our definitions and the mnemonics of iced-x86 correspond, and which
// instructions iced knows that we do not have.

const CONDITION = '(O|NO|B|AE|E|NE|BE|A|S|NS|P|NP|L|GE|LE|G)'

/**
 * Definitions that stand for several of iced's mnemonics: a definition covers all operand sizes
 * and conditions, iced names each. Patterns match the whole mnemonic.
 */
const MNEMONICS: Readonly<Record<string, string>> = {
  Jcc: `J${CONDITION}`,
  CMOVcc: `CMOV${CONDITION}`,
  SETcc: `SET${CONDITION}`,
  JCXZ: 'J[CER]CXZ|JCXZ',
  MOVS: 'MOVS[BWDQ]',
  CMPS: 'CMPS[BWDQ]',
  STOS: 'STOS[BWDQ]',
  LODS: 'LODS[BWDQ]',
  SCAS: 'SCAS[BWDQ]',
  INS: 'INS[BWD]',
  OUTS: 'OUTS[BWD]',
  XLAT: 'XLATB?',
  PUSHA: 'PUSHAD?',
  POPA: 'POPAD?',
  PUSHF: 'PUSHF[DQ]?',
  POPF: 'POPF[DQ]?',
  IRET: 'IRET[DQ]?',
  CBW: 'CBW|CWDE|CDQE',
  CWD: 'CWD|CDQ|CQO',
  LDS: 'L[DEFGS]S',
  FXSAVE: 'FXSAVE(64)?',
  FXRSTOR: 'FXRSTOR(64)?',
  XSAVE: 'XSAVE(64)?',
  XRSTOR: 'XRSTOR(64)?',
  XSAVEC: 'XSAVEC(64)?',
  XSAVEOPT: 'XSAVEOPT(64)?',
  XSAVES: 'XSAVES(64)?',
  XRSTORS: 'XRSTORS(64)?',
  PCMPESTRI: 'PCMPESTRI(64)?',
  PCMPESTRM: 'PCMPESTRM(64)?',
  MOVD: 'MOV[DQ]',
  PEXTRD: 'PEXTR[DQ]',
  PINSRD: 'PINSR[DQ]',
  // Opcode 9B by itself; the store forms that alias FSTP have a name of their own.
  FWAIT: 'F?WAIT',
  FSTP: 'FSTP|FSTPNCE.*',
  SYSRET: 'SYSRETQ?',
  SYSEXIT: 'SYSEXITQ?',
  RDFSBASE: 'RD[FG]SBASE',
  WRFSBASE: 'WR[FG]SBASE',
  INVD: 'INVD|WBINVD|WBNOINVD',
  LFENCE: '[LMS]FENCE',
  CLFLUSHOPT: 'CLFLUSHOPT|CLWB',
  // VMGEXIT is VMMCALL to a guest that is not encrypted.
  VMMCALL: 'VMMCALL|VMGEXIT',
  // ModRM.reg 6 of the shift group is an undocumented synonym of 4.
  SHL: 'SHL|SAL',
  UD: 'UD[012]',
  // With REX.W it is its bigger brother.
  CMPXCHG8B: 'CMPXCHG(8|16)B',
  // Opcode 90 exchanges rAX with itself; iced gives NOP and PAUSE their own mnemonics.
  XCHG: 'XCHG|NOP|PAUSE',
  // Hints and control-flow marks that are NOP to a processor without the feature.
  NOP: 'NOP|RESERVEDNOP|CLDEMOTE|ENDBR(32|64)|RDSSP[DQ]',
  PREFETCH: 'PREFETCH.*|RESERVEDNOP',
}

/** Whether a definition of ours is what iced calls `mnemonic`, in upper case. */
export function isSameInstruction(ours: string, mnemonic: string): boolean {
  const pattern = MNEMONICS[ours]
  return pattern === undefined ? ours === mnemonic : new RegExp(`^(${pattern})$`).test(mnemonic)
}

/** CPUID features, as iced names them, whose instructions we do not have, and why. */
const UNSUPPORTED_FEATURES: Readonly<Record<string, string>> = {
  AESKLE: 'Key Locker: no guest of Xen is offered it',
  'AESKLE+WIDE_KL': 'Key Locker',
  KL: 'Key Locker',
  CET_SS: 'shadow stacks: Xen does not give them to guests',
  D3NOW: '3DNow!: gone from processors since 2010',
  ENQCMD: 'needs an accelerator to enqueue to',
  FRED: 'Flexible Return and Event Delivery: in no model we show',
  LKGS: 'part of FRED',
  CLZERO: 'in no model we show',
  MONITOR: 'Xen does not give it to guests',
  MONITORX: 'Xen does not give it to guests',
  MOVDIR64B: 'in no model we show',
  MOVDIRI: 'in no model we show',
  PKU: 'protection keys are not implemented',
  RDPRU: 'in no model we show',
  HRESET: 'hybrid processors only',
  INVLPGB: 'Xen does not give it to guests',
  MCOMMIT: 'in no model we show',
  MSRLIST: 'in no model we show',
  WRMSRNS: 'in no model we show',
  OSS: 'SGX',
  SGX1: 'SGX: Xen does not give it to guests',
  PADLOCK_ACE: 'VIA',
  PADLOCK_GMI: 'VIA',
  PADLOCK_PHE: 'VIA',
  PADLOCK_PMM: 'VIA',
  PADLOCK_RNG: 'VIA',
  PADLOCK_UNDOC: 'VIA',
  PCONFIG: 'memory encryption keys belong to the host',
  PTWRITE: 'Processor Trace: Xen does not give it to guests',
  RAO_INT: 'in no model we show',
  RMPQUERY: 'SEV-SNP',
  SEV_ES: 'encrypted guests',
  SEV_SNP: 'encrypted guests',
  HLE_or_RTM: 'transactions: disabled by microcode everywhere',
  RTM: 'transactions',
  TSXLDTRK: 'transactions',
  SKINIT_or_SVM: 'no nested virtualisation',
  SVM: 'no nested virtualisation',
  VMX: 'no nested virtualisation',
  'VMX+INVEPT': 'no nested virtualisation',
  'VMX+INVVPID': 'no nested virtualisation',
  SMM: 'no system management mode',
  SMX: 'measured launch belongs to the host',
  TDX: 'encrypted guests',
  TSE: 'in no model we show',
  UINTR: 'user interrupts: in no model we show',
  WAITPKG: 'Xen does not give it to guests',
}

/** Instructions of unsupported features that we do have: the hypercalls. */
const SUPPORTED = ['VMCALL', 'VMMCALL']

/** Whether it is right that we refuse an instruction that iced reads. */
export function isUnsupported(mnemonic: string, features: string): boolean {
  return Object.hasOwn(UNSUPPORTED_FEATURES, features) && !SUPPORTED.includes(mnemonic)
}
