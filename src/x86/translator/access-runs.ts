// Accesses of a node that lie near each other: pushes one behind another, fields of one structure. The
// first of such a run finds the page of all of them in the TLB, and the others need no look. That they
// do lie near each other is known beforehand, as they go by the same register, which only moves by
// constants meanwhile; only instructions of which it is plain what they change come into a run. Should a
// register be written all the same, its runs end there.

import type { Handler } from '../interpreter/handler.ts'
import * as R from '../interpreter/record.ts'
import { FORM_BASE, type GprOperand, type Operand } from '../emit/operand.ts'
import type { Local } from '../../wasm/value.ts'
import * as S from '../state.ts'
import type { Instruction } from './region-plan.ts'

/**
 * Accesses that are worth a run, on the stack and elsewhere, and bytes from the first to the last. The
 * region is left where they pass a page.
 */
const LEAST_ON_STACK = 2
const LEAST = 3
const MOST_BYTES = 128
const GPRS = 16

/** What only reads and writes its operands, the first one being written. */
const WRITING: ReadonlySet<string> = new Set(
  (
    'ADD AND BSWAP CMOVcc DEC IMUL INC LEA MOV MOVSX MOVSXD MOVZX NEG NOT OR SAR SETcc SHL SHR SUB ' +
    'XOR'
  ).split(' '),
)
/** What only reads its operands. */
const READING: ReadonlySet<string> = new Set(['CMP', 'NOP', 'TEST'])

interface Access {
  readonly register: number
  readonly offset: number
  readonly size: number
  readonly isWrite: boolean
}

/** A run of accesses: offsets are from what its register held at first. */
export interface Run {
  readonly register: number
  first: number
  end: number
  isWritten: boolean
  count: number
  /** What to add to an address, once it was found. */
  addend: Local | undefined
  hasEnded: boolean
}

/** An access of a run. */
export interface Member {
  readonly run: Run
  readonly offset: number
  readonly size: number
}

interface Effects {
  readonly access?: Access | undefined
  /** A register that moves by a constant, behind the access. */
  readonly moved?: { register: number; by: number }
  /** A register that changes otherwise. */
  readonly changed?: number
}

export class AccessRuns {
  readonly #memory: R.RecordMemory
  readonly #members = new Map<Instruction, Member>()
  /** Registers whose changes by an instruction are accounted for. */
  readonly #known = new Map<Instruction, number>()
  readonly #runs: Run[] = []

  /** `instructions`: one behind another. */
  constructor(instructions: readonly Instruction[], memory: R.RecordMemory) {
    this.#memory = memory
    const open = new Map<number, Run>()
    const moved = new Map<number, number>()
    const forget = (register: number) => {
      open.delete(register)
      moved.delete(register)
    }
    for (const instruction of instructions) {
      const effects = this.#effectsOf(instruction)
      if (!effects) {
        open.clear()
        moved.clear()
        continue
      }
      const { access, moved: move, changed } = effects
      if (access) {
        const offset = access.offset + (moved.get(access.register) ?? 0)
        open.set(access.register, this.#add(instruction, { ...access, offset }, open))
      }
      if (move) moved.set(move.register, (moved.get(move.register) ?? 0) + move.by)
      if (changed !== undefined) forget(changed)
      const known = (move ? 1 << move.register : 0) | (changed === undefined ? 0 : 1 << changed)
      this.#known.set(instruction, known)
    }
  }

  #add(instruction: Instruction, access: Access, open: ReadonlyMap<number, Run>): Run {
    const { register, offset, size, isWrite } = access
    const end = offset + size
    const before = open.get(register)
    const isNear =
      before && Math.max(before.end, end) - Math.min(before.first, offset) <= MOST_BYTES
    const run = isNear ? before : this.#begin(register, offset, end)
    run.first = Math.min(run.first, offset)
    run.end = Math.max(run.end, end)
    run.isWritten ||= isWrite
    run.count++
    this.#members.set(instruction, { run, offset, size })
    return run
  }

  #begin(register: number, first: number, end: number): Run {
    const none = { isWritten: false, count: 0, addend: undefined, hasEnded: false }
    const run: Run = { register, first, end, ...none }
    this.#runs.push(run)
    return run
  }

  /** The access of an instruction that belongs to a run that still holds; undefined if none does. */
  memberOf(instruction: Instruction): Member | undefined {
    const member = this.#members.get(instruction)
    if (!member || member.run.hasEnded) return undefined
    const { register, count } = member.run
    return count >= (register === S.RSP ? LEAST_ON_STACK : LEAST) ? member : undefined
  }

  /** An instruction writes a register: if that was not known, what was found does not hold any more. */
  written(register: number, instruction: Instruction): void {
    if ((this.#known.get(instruction) ?? 0) & (1 << register)) return
    this.#end((run) => run.register === register)
  }

  /** Nothing that was found holds any more. */
  end(): void {
    this.#end(() => true)
  }

  #end(is: (run: Run) => boolean): void {
    for (const run of this.#runs) if (run.addend && is(run)) run.hasEnded = true
  }

  /** What an instruction accesses and changes; undefined if that is not known. */
  #effectsOf({ rec, handler }: Instruction): Effects | undefined {
    const { row, shape, operands } = handler
    if (shape.codeSize !== 64 || shape.addressSize !== 64 || shape.rep !== 0) return undefined
    const [first] = operands
    switch (row.name) {
      case 'PUSH':
        if (shape.operandSize !== 64 || first?.kind === 'memory' || first?.kind === 'segment') break
        return stackAccess(-8, -8, true)
      case 'CALL':
        if (shape.operandSize === 64 && handler.branch === 'direct')
          return stackAccess(-8, -8, true)
        break
      case 'POP': {
        if (shape.operandSize !== 64 || first?.kind !== 'gpr') break
        const to = this.#numberOf(rec, first)
        return to === S.RSP ? undefined : { ...stackAccess(0, 8, false), changed: to }
      }
      case 'RET':
        if (shape.operandSize === 64 && operands.length === 0) return stackAccess(0, 8, false)
        break
      default:
        if (WRITING.has(row.name) || READING.has(row.name)) return this.#plainEffects(rec, handler)
    }
    return undefined
  }

  #plainEffects(rec: number, { row, shape, operands }: Handler): Effects | undefined {
    if (!operands.every(isPlain)) return undefined
    const [first, second] = operands
    // Of one operand it writes others as well.
    if (row.name === 'IMUL' && operands.length < 2) return undefined
    const memory = operands.find(({ kind }) => kind === 'memory')
    const isAccess = memory !== undefined && row.name !== 'LEA'
    if (isAccess && shape.form !== FORM_BASE) return undefined
    const isWrite = WRITING.has(row.name) && first === memory
    const access = isAccess ? this.#accessAt(rec, memory.bits, isWrite) : undefined
    const changed =
      WRITING.has(row.name) && first?.kind === 'gpr' ? this.#numberOf(rec, first) : undefined
    if (changed === undefined) return { access }
    const isMove = (row.name === 'ADD' || row.name === 'SUB') && second?.kind === 'immediate'
    if (changed !== S.RSP || !isMove || shape.operandSize !== 64) return { access, changed }
    const by = this.#memory.i32[(rec + R.REC_IMMEDIATE) >>> 2] as number
    return { access, moved: { register: S.RSP, by: row.name === 'ADD' ? by : -by } }
  }

  #accessAt(rec: number, bits: number, isWrite: boolean): Access {
    const base = this.#memory.u8[rec + R.REC_BASE] as number
    const offset = this.#memory.i32[(rec + R.REC_DISPLACEMENT) >>> 2] as number
    // What is relative to RIP, or absolute, has no register that could change.
    const register = base < S.GPR + GPRS * 8 ? (base - S.GPR) >> 3 : base
    return { register, offset, size: bits / 8, isWrite }
  }

  #numberOf(rec: number, { field }: GprOperand): number {
    if (typeof field === 'number') return field
    const at = { reg: R.REC_REG, rm: R.REC_RM, vvvv: R.REC_VVVV }[field]
    return (this.#memory.u8[rec + at] as number) >> 3
  }
}

function stackAccess(offset: number, by: number, isWrite: boolean): Effects {
  return {
    access: { register: S.RSP, offset, size: 8, isWrite },
    moved: { register: S.RSP, by },
  }
}

function isPlain({ kind }: Operand): boolean {
  return kind === 'gpr' || kind === 'memory' || kind === 'immediate' || kind === 'constant'
}
