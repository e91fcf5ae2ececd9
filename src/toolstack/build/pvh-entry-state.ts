// The state in which a PVH guest's first vCPU starts (Xen's docs/misc/pvh.pandoc): 32-bit
// protected mode, paging off, flat segments, EBX at the start info. Registers that are not named
// here are zero.

/** A segment register: the hidden part counts, the selector is as good as any. */
export interface EntrySegment {
  readonly selector: number
  readonly base: number
  readonly limit: number
  /** Access rights as in the VMCB: type, S, DPL, P in bits 0-7; AVL, L, D/B, G in bits 8-11. */
  readonly attributes: number
}

export interface PvhEntryState {
  readonly eip: number
  readonly ebx: number
  readonly eflags: number
  readonly cr0: number
  readonly cr3: number
  readonly cr4: number
  readonly efer: number
  readonly dr6: number
  readonly dr7: number
  readonly cs: EntrySegment
  readonly ds: EntrySegment
  readonly es: EntrySegment
  readonly ss: EntrySegment
  readonly tr: EntrySegment
  /** MSR 0x2FF: MTRRs enabled, memory write-back where no range says otherwise. */
  readonly mtrrDefType: number
}

const CODE_32: EntrySegment = { selector: 0, base: 0, limit: 0xffffffff, attributes: 0xc9b }
const DATA_32: EntrySegment = { selector: 0, base: 0, limit: 0xffffffff, attributes: 0xc93 }
const BUSY_TSS_32: EntrySegment = { selector: 0, base: 0, limit: 0x67, attributes: 0x8b }

const CR0_PE = 1
const CR0_ET = 0x10
const EFLAGS_MBS = 2

/** The state for an entry point and a start info, both physical addresses below 4 GiB. */
export function pvhEntryState(entry: number, startInfo: number): PvhEntryState {
  return {
    eip: entry,
    ebx: startInfo,
    eflags: EFLAGS_MBS,
    cr0: CR0_PE | CR0_ET,
    cr3: 0,
    cr4: 0,
    efer: 0,
    dr6: 0xffff0ff0,
    dr7: 0x400,
    cs: CODE_32,
    ds: DATA_32,
    es: DATA_32,
    ss: DATA_32,
    tr: BUSY_TSS_32,
    mtrrDefType: 0x806,
  }
}
