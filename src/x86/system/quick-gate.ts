// The usual way through a gate of long mode: to flat 64-bit code of level 0, with each of the
// tables' entries and the new stack frame within a page of memory. It takes a fifth of the time of
// the general way (gates.ts), which counts where page faults and interrupts are frequent.
// (SDM vol. 3A, 6.14.)

import type { Cpu } from '../cpu.ts'
import { SUPERVISOR } from '../mmu/linear-memory.ts'
import { ACCESS_WRITE } from '../mmu/walker.ts'
import * as S from '../state.ts'
import { ATTR_P, ATTR_UNUSABLE } from './current-mode.ts'
import { clearFlags, pushedFlags, type Source } from './flags-load.ts'
import {
  flatCode64,
  INTERRUPT_GATE,
  isCanonicalHigh,
  levelOf,
  tableAt,
  TRAP_GATE,
} from './quick-segments.ts'
import { setSegment } from './segment-access.ts'

const RSP = S.GPR + S.RSP * 8

/** Enters the handler of a vector in long mode. False: nothing has changed, go the general way. */
export function enterQuickly(
  cpu: Cpu,
  vector: number,
  code: number | undefined,
  source: Source,
): boolean {
  if (vector * 16 + 15 > cpu.getU32(S.IDT_LIMIT)) return false
  const gate = tableAt(cpu, S.IDT_BASE, vector * 16, 16)
  if (gate < 0) return false
  const { i32 } = cpu.engine.memory
  const low = i32[gate >>> 2] as number
  const middle = i32[(gate >>> 2) + 1] as number
  const targetHi = i32[(gate >>> 2) + 2] as number
  const type = (middle >> 8) & 31
  if ((type !== INTERRUPT_GATE && type !== TRAP_GATE) || !(middle & ATTR_P)) return false
  const cpl = cpu.cpl
  if (source === 'software' && levelOf(middle) < cpl) return false
  if (!isCanonicalHigh(targetHi)) return false
  const selector = low >>> 16
  const attributes = flatCode64(cpu, selector)
  if (attributes === 0 || levelOf(attributes) !== 0) return false

  let rspLo = cpu.getI32(RSP)
  let rspHi = cpu.getI32(RSP + 4)
  const ist = middle & 7
  if (ist !== 0 || cpl !== 0) {
    const offset = ist === 0 ? 4 : 36 + (ist - 1) * 8
    if (offset + 7 > cpu.segmentLimit(S.TR)) return false
    const pointer = tableAt(cpu, S.SEG_BASE + S.TR * 8, offset, 8)
    if (pointer < 0) return false
    rspLo = i32[pointer >>> 2] as number
    rspHi = i32[(pointer >>> 2) + 1] as number
    if (!isCanonicalHigh(rspHi)) return false
  }
  const size = code === undefined ? 40 : 48
  const top = rspLo & ~15
  const frameLo = (top - size) | 0
  const frameHi = (rspHi - (frameLo >>> 0 > top >>> 0 ? 1 : 0)) | 0
  const frame = cpu.linear.findWords(frameLo, frameHi, size, ACCESS_WRITE, SUPERVISOR)
  if (frame < 0) return false

  // Nothing can fail from here on.
  let at = frame >>> 2
  if (code !== undefined) {
    i32[at] = code
    i32[at + 1] = 0
    at += 2
  }
  i32[at] = cpu.getI32(S.RIP)
  i32[at + 1] = cpu.getI32(S.RIP + 4)
  i32[at + 2] = cpu.selector(S.CS)
  i32[at + 3] = 0
  i32[at + 4] = pushedFlags(cpu, vector, source)
  i32[at + 5] = 0
  i32[at + 6] = cpu.getI32(RSP)
  i32[at + 7] = cpu.getI32(RSP + 4)
  i32[at + 8] = cpu.selector(S.SS)
  i32[at + 9] = 0
  cpu.setWords(RSP, frameLo, frameHi)
  if (cpl !== 0) setSegment(cpu, S.SS, 0, 0n, 0, ATTR_UNUSABLE)
  setSegment(cpu, S.CS, selector & ~3, 0n, 0xffffffff, attributes)
  cpu.set32(S.CPL, 0)
  cpu.setWords(S.RIP, (low & 0xffff) | (middle & 0xffff0000), targetHi)
  clearFlags(cpu, type === INTERRUPT_GATE)
  return true
}
