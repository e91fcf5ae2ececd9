// The stack. (SDM vol. 2: ENTER LEAVE POP POPA PUSH PUSHA PUSHF. POPF and segment registers: system.)

import { define } from '../decode/define.ts'
import { GP } from '../emit/emitter.ts'
import { STACK_ACCESS } from '../emit/runtime.ts'
import { FLAG_IOPL, FLAG_RF, FLAG_VM } from '../registers.ts'
import * as S from '../state.ts'

define('PUSH', ['50+r Zv d64', 'FF /6 Ev d64', '68 Iz d64', '6A Ib d64'], (e, src) =>
  e.push(e.read(src, e.shape.operandSize), e.shape.operandSize))

define('POP', ['58+r Zv d64'], (e, dst) => {
  const bits = e.shape.operandSize
  const value = e.peek(bits)
  e.moveStack(bits / 8)
  e.write(dst, value)
})

define('POP', ['8F /0 Ev d64'], (e, dst) => {
  const bits = e.shape.operandSize
  const value = e.peek(bits)
  if (dst.kind === 'gpr') {
    e.moveStack(bits / 8)
    e.write(dst, value)
    return
  }
  // An address based on rSP sees it after the pop; a fault must leave it as it was.
  const before = e.stateLoad('i64.load', S.GPR + S.RSP * 8)
  e.moveStack(bits / 8)
  const address = e.effectiveAddress()
  const after = e.stateLoad('i64.load', S.GPR + S.RSP * 8)
  e.stateStore('i64.store', S.GPR + S.RSP * 8, before)
  e.memory.store(bits, e.segmented(address, bits / 8, true), value)
  e.stateStore('i64.store', S.GPR + S.RSP * 8, after)
})

define('PUSHF', ['9C d64'], (e) => {
  const { f } = e
  const bits = e.shape.operandSize
  if (e.shape.codeSize === 16) {
    // Virtual-8086 mode wants an IOPL of 3.
    const vm = FLAG_VM | FLAG_IOPL
    const flags = e.stateLoad('i32.load', S.RFLAGS)
    const isVm = f.and(flags, f.i32(FLAG_VM))
    e.raiseIf(f.and(f.ne(isVm, f.i32(0)), f.ne(f.and(flags, f.i32(vm)), f.i32(vm))), GP)
  }
  const image = f.and(e.flags.image(), f.i32(~(FLAG_RF | FLAG_VM)))
  e.push(bits === 64 ? f.extendU(image) : image, bits)
})

define('LEAVE', ['C9 d64'], (e) => {
  const bits = e.shape.operandSize
  const size = e.shape.stackSize
  const frame = e.read(e.gpr(S.RBP, size))
  const linear = e.segmentLinear(S.SS, e.resize(frame, size, 64), bits / 8, false)
  const value = e.memory.load(bits, linear, STACK_ACCESS)
  e.write(e.gpr(S.RSP, size), e.f.add(frame, e.constant(size, bits / 8)))
  e.write(e.gpr(S.RBP, bits), value)
})

define('ENTER', ['C8 Iw,Ib d64'], (e, space, level) => {
  const { f } = e
  const bits = e.shape.operandSize
  const size = e.shape.stackSize
  const step = bits / 8
  const depth = f.and(e.read(level, 32), f.i32(31))
  // The whole frame must be writable before anything of it is written.
  const pointer = f.local('i64')
  const framePointer = f.local('i64')
  f.set(pointer, e.resize(e.read(e.gpr(S.RSP, size)), size, 64))
  f.set(framePointer, e.resize(e.read(e.gpr(S.RBP, size)), size, 64))
  const at = (offset: ReturnType<typeof f.get>, isWrite: boolean) => {
    const cut = size === 64 ? offset : f.and(offset, f.i64(size === 32 ? 0xffffffffn : 0xffffn))
    return e.segmentLinear(S.SS, cut, step, isWrite)
  }
  const push = (value: ReturnType<typeof f.get>) => {
    const next = f.sub(f.get(pointer), f.i64(step))
    e.memory.store(bits, at(next, true), value, STACK_ACCESS)
    f.set(pointer, next)
  }
  push(e.read(e.gpr(S.RBP, bits)))
  const frame = f.get(pointer)
  f.if(depth, () => {
    const left = f.local('i32')
    f.set(left, f.sub(depth, f.i32(1)))
    f.block((end) => {
      f.loop((again) => {
        f.brIf(end, f.eqz(f.get(left)))
        f.set(left, f.sub(f.get(left), f.i32(1)))
        const outer = f.sub(f.get(framePointer), f.i64(step))
        push(e.memory.load(bits, at(outer, false), STACK_ACCESS))
        f.set(framePointer, outer)
        f.br(again)
      })
    })
    push(e.resize(frame, 64, bits))
  })
  const top = f.sub(f.get(pointer), e.resize(e.read(space, 16), 16, 64))
  // The last word of the new frame is probed, as processors do.
  e.memory.modify(bits, at(top, true), (old) => old, STACK_ACCESS)
  e.write(e.gpr(S.RBP, bits), e.resize(frame, 64, bits))
  e.write(e.gpr(S.RSP, size), e.resize(top, 64, size))
})

/** Registers in the order in which PUSHA pushes them. */
const ALL = [S.RAX, S.RCX, S.RDX, S.RBX, S.RSP, S.RBP, S.RSI, S.RDI]

define('PUSHA', ['60 i64'], (e) => {
  const bits = e.shape.operandSize
  const step = bits / 8
  const values = ALL.map((register) => e.read(e.gpr(register, bits)))
  for (const [i, value] of values.entries()) {
    e.memory.store(bits, e.stackLinear(-step * (i + 1), step, true), value, STACK_ACCESS)
  }
  e.moveStack(-step * 8)
})

define('POPA', ['61 i64'], (e) => {
  const bits = e.shape.operandSize
  const step = bits / 8
  const registers = ALL.toReversed()
  const values = registers.map((_, i) => e.peek(bits, step * i))
  for (const [i, register] of registers.entries()) {
    if (register !== S.RSP) e.write(e.gpr(register, bits), values[i] as (typeof values)[0])
  }
  e.moveStack(step * 8)
})
