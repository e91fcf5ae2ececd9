// Which general registers a region uses and writes: those that its records name, and those that
// its instructions were seen to imply.

import * as R from '../interpreter/record.ts'
import type { HostMemory } from '../memory/host-memory.ts'
import * as S from '../state.ts'
import { WRITES_REG, WRITES_RM, WRITES_VVVV } from './region-emitter.ts'
import type { Instruction, Plan } from './region-plan.ts'

const GPR_BYTES = 16 * 8
const IMPLIED = 0xffff

/** Bit sets of register numbers. */
export interface RegisterSets {
  readonly used: number
  readonly written: number
}

export function registersOf(plan: Plan, memory: HostMemory): RegisterSets {
  let used = 0
  let written = 0
  for (const { instructions } of plan.nodes) {
    for (const instruction of instructions) {
      const writes = writesOf(instruction, memory)
      written |= writes
      used |= writes | readsOf(instruction, memory)
    }
  }
  return { used, written }
}

function bit(memory: HostMemory, rec: number, at: number): number {
  const slot = memory.u8[rec + at] as number
  return slot < GPR_BYTES ? 1 << (slot >> 3) : 0
}

function writesOf({ handler: { written }, rec }: Instruction, memory: HostMemory): number {
  let set = written & IMPLIED
  if (written & WRITES_REG) set |= bit(memory, rec, R.REC_REG)
  if (written & WRITES_RM) set |= bit(memory, rec, R.REC_RM)
  if (written & WRITES_VVVV) set |= bit(memory, rec, R.REC_VVVV)
  return set
}

function readsOf({ handler, rec }: Instruction, memory: HostMemory): number {
  let set = handler.implied
  for (const { kind } of handler.row.operands) {
    if (kind === 'G') set |= bit(memory, rec, R.REC_REG)
    else if (kind === 'E' || kind === 'R' || kind === 'Z') set |= bit(memory, rec, R.REC_RM)
    else if (kind === 'B') set |= bit(memory, rec, R.REC_VVVV)
  }
  if (handler.shape.form !== 0) {
    set |= bit(memory, rec, R.REC_BASE)
    if (memory.u8[rec + R.REC_INDEX] !== S.ZERO) set |= bit(memory, rec, R.REC_INDEX)
  }
  return set
}
