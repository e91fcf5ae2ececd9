// Delivery of exceptions and interrupts: what goes on when delivery itself faults. Faults during
// delivery become double faults or are handled one after the other; faults while a double fault
// is delivered shut the processor down. (SDM vol. 3A, chapter 6; double faults: table 6-5.) The
// way through a gate is in gates.ts.

import type { Cpu } from '../cpu.ts'
import { GuestFault } from '../guest-fault.ts'
import { FLAG_TF } from '../registers.ts'
import * as S from '../state.ts'
import type { Source } from './flags-load.ts'
import { enterGate } from './gates.ts'

const DE = 0
const NMI = 2
const DF = 8
const TS = 10
const NP = 11
const SS = 12
const GP = 13
const PF = 14

/** The processor cannot go on: a fault while a double fault was being delivered, or worse. */
export class TripleFault extends Error {
  override readonly cause: string

  constructor(cause: string) {
    super(cause)
    this.cause = cause
  }
}

/** Contributory exceptions of table 6-5. */
const CONTRIBUTORY: ReadonlySet<number> = new Set([DE, TS, NP, SS, GP])

/** Delivers a fault or trap of the guest; RIP is what shall be pushed, FAULT_ADDRESS is for CR2. */
export function deliverException(cpu: Cpu, vector: number, code: number): void {
  if (vector === PF) {
    cpu.setWords(S.CR2, cpu.getI32(S.FAULT_ADDRESS), cpu.getI32(S.FAULT_ADDRESS + 4))
  }
  deliver(cpu, vector, code, 'exception')
}

/** Delivers an external interrupt. */
export function deliverInterrupt(cpu: Cpu, vector: number): void {
  deliver(cpu, vector, 0, 'external')
}

/** Delivers a non-maskable interrupt; further ones wait for IRET. */
export function deliverNmi(cpu: Cpu): void {
  cpu.isNmiBlocked = true
  deliver(cpu, NMI, 0, 'external')
}

/** INT n, INT3 and INTO: RIP lies behind the instruction, gates are checked against CPL. */
export function deliverSoftware(cpu: Cpu, vector: number): void {
  const isStepped = (cpu.getI32(S.RFLAGS) & FLAG_TF) !== 0
  enterGate(cpu, vector, 0, 'software')
  // The gate has cleared TF: the handler's first instruction is not stepped either.
  if (isStepped) cpu.skipSingleStep()
}

function deliver(cpu: Cpu, first: number, firstCode: number, source: Source): void {
  let vector = first
  let code = firstCode
  let kind = source
  for (;;) {
    try {
      enterGate(cpu, vector, code, kind)
      return
    } catch (fault) {
      if (!(fault instanceof GuestFault)) throw fault
      if (kind === 'exception' && vector === DF) throw new TripleFault(describe(cpu, first, fault))
      if (fault.vector === PF) cpu.setU64(S.CR2, fault.address)
      const isDouble =
        kind === 'exception' && !fault.isCommitted && isDoubleFault(vector, fault.vector)
      vector = isDouble ? DF : fault.vector
      // Bit 0 of an error code: the event was not the program's own.
      code = isDouble ? 0 : fault.vector === PF ? fault.code : fault.code | 1
      kind = 'exception'
    }
  }
}

/** Do two exceptions, the second while the first was being delivered, make a double fault? */
function isDoubleFault(first: number, second: number): boolean {
  if (CONTRIBUTORY.has(first)) return CONTRIBUTORY.has(second)
  return first === PF && (CONTRIBUTORY.has(second) || second === PF)
}

function describe(cpu: Cpu, vector: number, last: GuestFault): string {
  const at = cpu.rip.toString(16)
  return (
    `triple fault at RIP 0x${at}: vector ${vector} could not be delivered ` +
    `(vector ${last.vector}, error code 0x${last.code.toString(16)})`
  )
}
