// FXSAVE, FXRSTOR, LDMXCSR and STMXCSR. (SDM vol. 1, 10.5 and 11.6.6; AMD's FFXSR: APM vol. 2, 3.1.7.)

import type { Cpu } from '../cpu.ts'
import { define } from '../decode/define.ts'
import { type Emitter, GP, type Operand } from '../emit/emitter.ts'
import { GuestFault } from '../guest-fault.ts'
import * as S from '../state.ts'
import { loadArea, probeArea, storeArea } from '../system/guest-area.ts'
import {
  areaMxcsr,
  COMPONENT_SSE,
  loadRegisters,
  loadX87,
  MXCSR_MASK,
  saveMxcsr,
  saveRegisters,
  saveX87,
} from '../system/xsave-components.ts'

/** The last 48 bytes of the 512 are the software's. */
const AREA_SIZE = 464
/** Processors touch this one first: it is what CR2 tells of. */
const LAST_BYTE = 511n
const EFER_FFXSR = 1 << 14

/** With EFER.FFXSR a kernel's FXSAVE leaves the XMM registers out. */
function hasVectors(cpu: Cpu): boolean {
  return !(cpu.efer & EFER_FFXSR && cpu.cpl === 0 && cpu.codeSize === 64)
}

function save(cpu: Cpu, is64: boolean): void {
  const linear = cpu.argument(0)
  probeArea(cpu, linear + LAST_BYTE, 1)
  probeArea(cpu, linear, AREA_SIZE)
  loadArea(cpu, linear, AREA_SIZE)
  saveX87(cpu, is64)
  saveMxcsr(cpu)
  if (hasVectors(cpu)) saveRegisters(cpu, COMPONENT_SSE)
  storeArea(cpu, linear, AREA_SIZE)
}

function restore(cpu: Cpu, is64: boolean): void {
  const linear = cpu.argument(0)
  loadArea(cpu, linear + LAST_BYTE, 1)
  loadArea(cpu, linear, AREA_SIZE)
  if (areaMxcsr() & ~MXCSR_MASK) throw new GuestFault(GP)
  loadX87(cpu, is64)
  cpu.set32(S.MXCSR, areaMxcsr())
  if (hasVectors(cpu)) loadRegisters(cpu, COMPONENT_SSE)
}

/** Runs `transfer` on an area that must be aligned to 16 bytes. */
function onArea(e: Emitter, area: Operand, isWrite: boolean, transfer: typeof save): void {
  const { f } = e
  const is64 = e.shape.operandSize === 64
  const linear = e.linear(area, 512, isWrite)
  e.raiseIf(f.and(f.wrap(linear), f.i32(15)), GP)
  e.host((cpu) => transfer(cpu, is64), linear)
}

define('FXSAVE', ['NP 0F AE /0:m M x87 +fxsr'], (e, area) => onArea(e, area, true, save))
define('FXRSTOR', ['NP 0F AE /1:m M x87 +fxsr'], (e, area) => onArea(e, area, false, restore))

define('LDMXCSR', ['NP 0F AE /2:m Md sse +sse'], (e, src) => {
  const { f } = e
  const value = e.read(src)
  e.raiseIf(f.and(value, f.i32(~MXCSR_MASK)), GP)
  e.stateStore('i32.store', S.MXCSR, value)
})
define('STMXCSR', ['NP 0F AE /3:m Md sse +sse'], (e, dst) =>
  e.write(dst, e.stateLoad('i32.load', S.MXCSR)))
