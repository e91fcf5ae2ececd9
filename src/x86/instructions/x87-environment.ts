// The x87 environment and the whole state in memory: FNSTENV, FLDENV, FNSAVE and FRSTOR, in the
// layouts for 16 and 32 bits, protected and real mode. (SDM vol. 1, 8.1.10, figures 8-9 to 8-12.)

import type { Value } from '../../wasm/value.ts'
import type { Cpu } from '../cpu.ts'
import { define } from '../decode/define.ts'
import type { Emitter } from '../emit/emitter.ts'
import { CR0_PE } from '../mmu/walker.ts'
import { FLAG_VM } from '../registers.ts'
import { Float80 } from '../softfloat/context.ts'
import { examine80 } from '../softfloat/x87-compare.ts'
import * as S from '../state.ts'
import { areaView, loadArea, storeArea } from '../system/guest-area.ts'
import { stack } from '../system/x87-stack.ts'
import * as X from '../system/x87-words.ts'
import { locate, touchForWrite, waitForErrors } from './x87-emit.ts'

const REGISTERS_SIZE = 80

/** Sizes of the environment. */
const SIZE = { 2: 14, 4: 28 } as const
type Width = keyof typeof SIZE

// Full tags of a register (SDM vol. 1, 8.1.7).
const TAG_VALID = 0
const TAG_ZERO = 1
const TAG_SPECIAL = 2
const TAG_EMPTY = 3

const FOP_MASK = 0x7ff
const register = new Float80()

/** The tag word with two bits for each physical register. */
function fullTags(cpu: Cpu): number {
  let tags = 0
  stack.begin(cpu)
  const top = (stack.status & X.TOP) >> X.TOP_SHIFT
  for (let i = 0; i < 8; i++) {
    const tag = stack.isEmpty(i) ? TAG_EMPTY : tagOf(stack.get(i, register))
    tags |= tag << (((top + i) & 7) * 2)
  }
  return tags
}

function tagOf(value: Float80): number {
  const kind = examine80(value) & (X.C0 | X.C2 | X.C3)
  if (kind === X.C2) return TAG_VALID
  return kind === X.C3 ? TAG_ZERO : TAG_SPECIAL
}

function isReal(cpu: Cpu): boolean {
  return !(cpu.cr0 & CR0_PE) || (cpu.getI32(S.RFLAGS) & FLAG_VM) !== 0
}

/** Writes the environment into the area buffer. */
function putEnvironment(cpu: Cpu, width: Width): void {
  const put = (i: number, value: number) => {
    if (width === 2) areaView.setUint16(i * 2, value & 0xffff, true)
    else areaView.setUint32(i * 4, value, true)
  }
  // The upper halves of what has 16 bits are ones.
  const put16 = (i: number, value: number) => put(i, value | 0xffff0000)
  put16(0, cpu.getI32(S.FCW))
  put16(1, cpu.getI32(S.FSW))
  put16(2, fullTags(cpu))
  const [ip, dp] = [cpu.getI32(S.FIP), cpu.getI32(S.FDP)]
  const [cs, ds] = [cpu.getI32(S.FCS), cpu.getI32(S.FDS)]
  const opcode = cpu.getI32(S.FOP) & FOP_MASK
  if (!isReal(cpu)) {
    put(3, ip)
    put(4, cs | (opcode << 16))
    put(5, dp)
    put16(6, ds)
    return
  }
  const code = ip + cs * 16
  const data = dp + ds * 16
  if (width === 2) {
    put(3, code)
    put(4, ((code >> 4) & 0xf000) | opcode)
    put(5, data)
    put(6, (data >> 4) & 0xf000)
  } else {
    put16(3, code & 0xffff)
    put(4, ((code >>> 16) << 12) | opcode)
    put16(5, data & 0xffff)
    put(6, (data >>> 16) << 12)
  }
}

/** Takes the environment from the area buffer. */
function takeEnvironment(cpu: Cpu, width: Width): void {
  const get = (i: number) =>
    width === 2 ? areaView.getUint16(i * 2, true) : areaView.getUint32(i * 4, true)
  const control = (get(0) & X.CONTROL_MASK) | X.CONTROL_ONES
  cpu.set32(S.FCW, control)
  cpu.set32(S.FSW, X.summarize(get(1) & 0xffff, control))
  let valid = 0
  for (let i = 0; i < 8; i++) if (((get(2) >> (i * 2)) & 3) !== TAG_EMPTY) valid |= 1 << i
  cpu.set32(S.FTW, valid)
  if (!isReal(cpu)) {
    setPointer(cpu, S.FIP, S.FCS, get(3), get(4) & 0xffff)
    setPointer(cpu, S.FDP, S.FDS, get(5), get(6) & 0xffff)
    // The short layout has no opcode.
    cpu.set32(S.FOP, width === 2 ? 0 : (get(4) >>> 16) & FOP_MASK)
    return
  }
  const upper = (i: number) => (width === 2 ? (get(i) & 0xf000) << 4 : (get(i) & 0xffff000) << 4)
  setPointer(cpu, S.FIP, S.FCS, upper(4) | (get(3) & 0xffff), 0)
  setPointer(cpu, S.FDP, S.FDS, upper(6) | (get(5) & 0xffff), 0)
  cpu.set32(S.FOP, get(4) & FOP_MASK)
}

function setPointer(
  cpu: Cpu,
  pointer: number,
  segment: number,
  offset: number,
  selector: number,
): void {
  cpu.setU64(pointer, BigInt(offset >>> 0))
  cpu.set32(segment, selector)
}

function storeEnvironment(cpu: Cpu, width: Width): void {
  putEnvironment(cpu, width)
  storeArea(cpu, cpu.argument(0), SIZE[width])
  // All exceptions are masked after it, so that the handler can use the unit.
  const control = cpu.getI32(S.FCW) | X.EXCEPTIONS
  cpu.set32(S.FCW, control)
  cpu.set32(S.FSW, X.summarize(cpu.getI32(S.FSW), control))
}

function loadEnvironment(cpu: Cpu, width: Width): void {
  loadArea(cpu, cpu.argument(0), SIZE[width])
  takeEnvironment(cpu, width)
}

function save(cpu: Cpu, width: Width): void {
  putEnvironment(cpu, width)
  stack.begin(cpu)
  for (let i = 0, at = SIZE[width] as number; i < 8; i++, at += 10) {
    stack.get(i, register)
    areaView.setInt32(at, register.lo, true)
    areaView.setInt32(at + 4, register.hi, true)
    areaView.setUint16(at + 8, register.se, true)
  }
  storeArea(cpu, cpu.argument(0), SIZE[width] + REGISTERS_SIZE)
  initialize(cpu)
}

/** As FNINIT. */
function initialize(cpu: Cpu): void {
  cpu.set32(S.FCW, X.CONTROL_INITIAL)
  for (const field of [S.FSW, S.FTW, S.FOP]) cpu.set32(field, 0)
  setPointer(cpu, S.FIP, S.FCS, 0, 0)
  setPointer(cpu, S.FDP, S.FDS, 0, 0)
}

function restore(cpu: Cpu, width: Width): void {
  loadArea(cpu, cpu.argument(0), SIZE[width] + REGISTERS_SIZE)
  takeEnvironment(cpu, width)
  stack.begin(cpu)
  for (let i = 0, at = SIZE[width] as number; i < 8; i++, at += 10) {
    const hi = areaView.getInt32(at + 4, true)
    register.set(areaView.getUint16(at + 8, true), hi, areaView.getInt32(at, true))
    stack.overwrite(i, register)
  }
}

function touch(e: Emitter, isWrite: boolean, bytes: number, linear: Value): void {
  if (isWrite) touchForWrite(e, bytes * 8, linear)
  else e.memory.readable(linear, bytes)
}

function onArea(
  e: Emitter,
  extra: number,
  isWrite: boolean,
  transfer: (cpu: Cpu, width: Width) => void,
): void {
  const width = e.shape.operandSize === 16 ? 2 : 4
  if (!isWrite) waitForErrors(e)
  const size = SIZE[width] + extra
  const { linear } = locate(e, size, isWrite)
  // Processors look at the first word and at the last byte before the rest: CR2 shows it.
  touch(e, isWrite, width, linear)
  touch(e, isWrite, 1, e.f.add(linear, e.f.i64(size - 1)))
  e.host((cpu) => transfer(cpu, width), linear)
}

define('FLDENV', ['D9 /4:m M x87'], (e) => onArea(e, 0, false, loadEnvironment))
define('FNSTENV', ['D9 /6:m M x87'], (e) => onArea(e, 0, true, storeEnvironment))
define('FRSTOR', ['DD /4:m M x87'], (e) => onArea(e, REGISTERS_SIZE, false, restore))
define('FNSAVE', ['DD /6:m M x87'], (e) => onArea(e, REGISTERS_SIZE, true, save))
