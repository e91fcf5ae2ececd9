// Control registers and EFER: what may be written, and what a write sets in motion.
// (SDM vol. 3A, 2.5 and 4.1; TLB flushes: 4.10.4.)

import type { Cpu } from '../cpu.ts'
import { GuestFault } from '../guest-fault.ts'
import {
  CR0_ET,
  CR0_PE,
  CR0_PG,
  CR0_WP,
  CR4_OSXSAVE,
  CR4_PAE,
  CR4_PCIDE,
  CR4_PGE,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
  EFER_LMA,
  EFER_LME,
  EFER_NXE,
  EFER_SCE,
} from '../mmu/walker.ts'
import * as S from '../state.ts'
import { ATTR_L } from './current-mode.ts'

const GP = 13

const CR0_NW = 1 << 29
const CR0_CD = 1 << 30
const CR0_KNOWN = 0xe005003f | 0
const CR4_UMIP = 1 << 11
const CR4_FSGSBASE = 1 << 16
const EFER_FFXSR = 1 << 14
/** Automatic IBRS: nothing to do where nothing is executed speculatively. */
const EFER_AIBRSE = 1 << 21
/** CR4 bits that exist with a feature only. */
const CR4_FEATURES: readonly (readonly [number, string])[] = [
  [CR4_UMIP, 'umip'],
  [CR4_FSGSBASE, 'fsgsbase'],
  [CR4_PCIDE, 'pcid'],
  [CR4_OSXSAVE, 'xsave'],
  [CR4_SMEP, 'smep'],
  [CR4_SMAP, 'smap'],
]
/** VME PVI TSD DE PSE PAE MCE PGE PCE OSFXSR OSXMMEXCPT. */
const CR4_ALWAYS = 0x7ff
/** Changes of these invalidate all translations. */
const CR4_TRANSLATION = CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP | CR4_SMAP

/** The walker sees copies of what it needs. */
export function updateWalker(cpu: Cpu): void {
  const { walker } = cpu
  walker.cr0 = cpu.cr0
  walker.cr4 = cpu.cr4
  walker.efer = cpu.efer
  const cr3 = cpu.getU64(S.CR3)
  walker.rootGfn = Number((cr3 >> 12n) & 0xfffffffffn)
  walker.paeOffset = Number(cr3) & 0xfe0
  cpu.linear.isLongMode = (cpu.efer & EFER_LMA) !== 0
}

export function writeCr0(cpu: Cpu, value: bigint): void {
  if (value >> 32n !== 0n) throw new GuestFault(GP)
  const next = (Number(value) & CR0_KNOWN) | CR0_ET
  const old = cpu.cr0
  if (next & CR0_PG && !(next & CR0_PE)) throw new GuestFault(GP)
  if (next & CR0_NW && !(next & CR0_CD)) throw new GuestFault(GP)
  const turnsOn = (next & CR0_PG) !== 0 && !(old & CR0_PG)
  const turnsOff = !(next & CR0_PG) && (old & CR0_PG) !== 0
  if (turnsOn && cpu.efer & EFER_LME) {
    if (!(cpu.cr4 & CR4_PAE) || cpu.segmentAttributes(S.CS) & ATTR_L) throw new GuestFault(GP)
    cpu.set32(S.EFER, cpu.efer | EFER_LMA)
  } else if (turnsOn && cpu.cr4 & CR4_PAE) {
    checkPaeRoots(cpu, Number(cpu.getU64(S.CR3) & 0xffffffffn))
  }
  if (turnsOff) {
    if (cpu.codeSize === 64 || cpu.cr4 & CR4_PCIDE) throw new GuestFault(GP)
    cpu.set32(S.EFER, cpu.efer & ~EFER_LMA)
  }
  cpu.set32(S.CR0, next)
  updateWalker(cpu)
  if ((old ^ next) & (CR0_PG | CR0_WP | CR0_PE)) cpu.flushTlb()
  else cpu.modeChanged()
}

export function writeCr3(cpu: Cpu, value: bigint): void {
  const isLong = (cpu.efer & EFER_LMA) !== 0
  const keepsTranslations = isLong && (cpu.cr4 & CR4_PCIDE) !== 0 && value >> 63n === 1n
  const address = keepsTranslations ? value & ((1n << 63n) - 1n) : value
  if (isLong && address >> 52n !== 0n) throw new GuestFault(GP)
  if (!isLong && cpu.cr4 & CR4_PAE && cpu.cr0 & CR0_PG)
    checkPaeRoots(cpu, Number(value & 0xffffffffn))
  cpu.setU64(S.CR3, isLong ? address : address & 0xffffffffn)
  updateWalker(cpu)
  cpu.flushLocal()
}

/** The four directory pointers of PAE paging are checked before CR3 or CR0.PG is written. */
function checkPaeRoots(cpu: Cpu, cr3: number): void {
  const frame = cpu.host.frameOf(cr3 >>> 12)
  if (frame < 0) return
  for (let i = 0; i < 4; i++) {
    const at = frame * 4096 + (cr3 & 0xfe0) + i * 8
    const entry = cpu.engine.memory.view.getBigUint64(at, true)
    if (entry & 1n && entry & 0xfff00000000001e6n) throw new GuestFault(GP)
  }
}

export function writeCr4(cpu: Cpu, value: bigint): void {
  let known = CR4_ALWAYS
  for (const [bit, feature] of CR4_FEATURES) if (cpu.features.has(feature)) known |= bit
  if (value >> 32n !== 0n || Number(value) & ~known) throw new GuestFault(GP)
  const next = Number(value)
  const old = cpu.cr4
  const isLong = (cpu.efer & EFER_LMA) !== 0
  if (isLong && !(next & CR4_PAE)) throw new GuestFault(GP)
  if (next & CR4_PCIDE && !(old & CR4_PCIDE)) {
    if (!isLong || Number(cpu.getU64(S.CR3)) & 0xfff) throw new GuestFault(GP)
  }
  cpu.set32(S.CR4, next)
  updateWalker(cpu)
  if ((old ^ next) & CR4_TRANSLATION) cpu.flushTlb()
  else cpu.modeChanged()
}

export function writeEfer(cpu: Cpu, value: bigint): void {
  let known = EFER_SCE | EFER_LME | EFER_LMA
  if (cpu.features.has('nx')) known |= EFER_NXE
  if (cpu.features.has('ffxsr')) known |= EFER_FFXSR
  if (cpu.features.has('auto_ibrs')) known |= EFER_AIBRSE
  if (value >> 32n !== 0n || Number(value) & ~known) throw new GuestFault(GP)
  const next = Number(value)
  const old = cpu.efer
  if ((old ^ next) & EFER_LME && cpu.cr0 & CR0_PG) throw new GuestFault(GP)
  cpu.set32(S.EFER, (next & ~EFER_LMA) | (old & EFER_LMA))
  updateWalker(cpu)
  if ((old ^ next) & EFER_NXE) cpu.flushTlb()
}

/** INVPCID: all types forget at least what they have to. */
export function invalidate(cpu: Cpu, type: bigint, descriptor: bigint): void {
  const low = cpu.readMemory(descriptor, 8)
  const address = cpu.readMemory(descriptor + 8n, 8)
  if (type > 3n || low >> 12n !== 0n) throw new GuestFault(GP)
  if (type < 2n && low !== 0n && !(cpu.cr4 & CR4_PCIDE)) throw new GuestFault(GP)
  if (type === 0n) {
    if (BigInt.asUintN(64, BigInt.asIntN(48, address)) !== address) throw new GuestFault(GP)
    cpu.flushPage(Number(BigInt.asIntN(32, address)))
  } else cpu.flushTlb()
}
