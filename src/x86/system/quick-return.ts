// The usual IRETQ of a kernel: from level 0 to flat 64-bit code, with the tables' entries and the
// stack frame each within a page of memory. (SDM vol. 2, IRET; the general way is in
// interrupt-return.ts.)

import type { Cpu } from '../cpu.ts'
import { ACCESS_READ } from '../mmu/walker.ts'
import * as S from '../state.ts'
import { ATTR_UNUSABLE } from './current-mode.ts'
import { hasDataBreakpoints } from './debug-registers.ts'
import { loadFlags } from './flags-load.ts'
import { flatCode64, flatStack, isCanonicalHigh, levelOf } from './quick-segments.ts'
import { dropSegments } from './return-segments.ts'
import { setSegment } from './segment-access.ts'

const RSP = S.GPR + S.RSP * 8
const FRAME = 40

/** IRETQ in 64-bit mode with RFLAGS.NT clear. False: nothing has changed, go the general way. */
export function returnQuickly(cpu: Cpu): boolean {
  if (cpu.cpl !== 0 || hasDataBreakpoints(cpu.getI32(S.DR + 7 * 8))) return false
  const { linear, privilege } = cpu
  const frame = linear.findWords(
    cpu.getI32(RSP),
    cpu.getI32(RSP + 4),
    FRAME,
    ACCESS_READ,
    privilege,
  )
  if (frame < 0) return false
  const { i32 } = cpu.engine.memory
  const at = frame >>> 2
  const ripHi = i32[at + 1] as number
  if (!isCanonicalHigh(ripHi)) return false
  const cs = (i32[at + 2] as number) & 0xffff
  const cpl = cs & 3
  const code = flatCode64(cpu, cs)
  if (code === 0 || levelOf(code) !== cpl) return false
  const ss = (i32[at + 8] as number) & 0xffff
  const isNull = (ss & 0xfffc) === 0
  const stack = isNull ? ATTR_UNUSABLE | (cpl << 13) : flatStack(cpu, ss)
  if ((ss & 3) !== cpl || levelOf(stack) !== cpl || stack === 0 || (isNull && cpl === 3)) {
    return false
  }

  // Nothing can fail from here on. Which flags change depends on the old level.
  loadFlags(cpu, i32[at + 4] as number, 64)
  cpu.setWords(S.RIP, i32[at] as number, ripHi)
  cpu.setWords(RSP, i32[at + 6] as number, i32[at + 7] as number)
  setSegment(cpu, S.CS, cs, 0n, 0xffffffff, code)
  setSegment(cpu, S.SS, ss, 0n, isNull ? 0 : 0xffffffff, stack)
  cpu.set32(S.CPL, cpl)
  if (cpl !== 0) dropSegments(cpu)
  else cpu.modeChanged()
  return true
}
