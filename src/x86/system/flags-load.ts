// RFLAGS as POPF and IRET load them, and as the delivery of events pushes and clears them.
// (SDM vol. 2, IRET and POPF; vol. 3A, 6.8.3 and 6.12.1.3.)

import type { Cpu } from '../cpu.ts'
import { GuestFault } from '../guest-fault.ts'
import {
  FLAG_AC,
  FLAG_ID,
  FLAG_IF,
  FLAG_IOPL,
  FLAG_NT,
  FLAG_RF,
  FLAG_TF,
  FLAG_VIF,
  FLAG_VIP,
  FLAG_VM,
} from '../registers.ts'
import * as S from '../state.ts'

const DB = 1
const BP = 3
const OF = 4
const GP = 13

/** Where an event comes from, as far as delivery treats it differently. */
export type Source = 'exception' | 'external' | 'software'

/** Exceptions that are traps, or instruction breakpoints: RF is not set in the image they push. */
const WITHOUT_RF: ReadonlySet<number> = new Set([DB, BP, OF])

/** RFLAGS as delivery pushes them. */
export function pushedFlags(cpu: Cpu, vector: number, source: Source): number {
  const flags = cpu.rflags
  return source === 'exception' && !WITHOUT_RF.has(vector) ? flags | FLAG_RF : flags
}

/** Clears the flags that a handler begins without. */
export function clearFlags(cpu: Cpu, isInterruptGate: boolean): void {
  const cleared = FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM | (isInterruptGate ? FLAG_IF : 0)
  cpu.set32(S.RFLAGS, cpu.getI32(S.RFLAGS) & ~cleared)
  cpu.modeChanged()
}

/** IRET, POPF, PUSHF and INT n in virtual-8086 mode are for an IOPL of 3. */
export function checkVmPrivilege(cpu: Cpu): void {
  const flags = cpu.getI32(S.RFLAGS)
  if (flags & FLAG_VM && (flags & FLAG_IOPL) !== FLAG_IOPL) throw new GuestFault(GP, 0)
}

/** Flags that anyone may change. */
const USER_FLAGS = 0xcd5 | FLAG_TF | FLAG_NT | FLAG_AC | FLAG_ID

/** Loads RFLAGS as POPF and IRET do, at the current privilege level. */
export function popFlags(cpu: Cpu, value: number, bits: number, withRf = true): void {
  loadFlags(cpu, value, bits, withRf)
  cpu.modeChanged()
}

/** The same for who sees to it that the mode is looked at anew. */
export function loadFlags(cpu: Cpu, value: number, bits: number, withRf = true): void {
  const old = cpu.rflags
  const iopl = (old >> 12) & 3
  let mask = USER_FLAGS | (withRf ? FLAG_RF : 0)
  if (cpu.cpl === 0) mask |= FLAG_IOPL
  // POPF leaves the virtual interrupt flags alone.
  if (cpu.cpl === 0 && withRf) mask |= FLAG_VIF | FLAG_VIP
  if (cpu.cpl <= iopl) mask |= FLAG_IF
  if (bits === 16) mask &= 0xffff
  cpu.rflags = (old & ~mask) | (value & mask)
}
