// Near transfers of control. (SDM vol. 2: CALL JMP Jcc JCXZ LOOP RET, UD, HLT is in system.)

import type { Value } from '../../wasm/value.ts'
import { define } from '../decode/define.ts'
import { type Emitter, type Operand, UD } from '../emit/emitter.ts'
import { STACK_ACCESS } from '../emit/runtime.ts'
import * as S from '../state.ts'

const hex = (n: number) => n.toString(16).toUpperCase().padStart(2, '0')

define('JMP', ['EB Jb f64 end', 'E9 Jz f64 end'], (e, target) => e.jump(target))

define('JMP', ['FF /4 Ev f64 end'], (e, target) =>
  e.jumpTo(e.resize(e.read(target), target.bits, 64)))

for (let cc = 0; cc < 16; cc++) {
  define('Jcc', [`${hex(0x70 + cc)} Jb f64`, `0F ${hex(0x80 + cc)} Jz f64`], (e, target) =>
    e.f.if(e.flags.condition(cc), () => e.jump(target)))
}

/** rCX by the address size. */
function counter(e: Emitter) {
  return e.gpr(S.RCX, e.shape.addressSize)
}

define('JCXZ', ['E3 Jb f64'], (e, target) =>
  e.f.if(e.f.eqz(e.read(counter(e))), () => e.jump(target)))

/** LOOP, LOOPE, LOOPNE: counts rCX down without touching the flags. */
function loop(e: Emitter, target: Operand, condition?: () => Value): void {
  const { f } = e
  const rcx = counter(e)
  const bits = e.shape.addressSize
  const left = f.sub(e.read(rcx), e.constant(bits, 1))
  const isMore = f.ne(bits === 64 ? left : e.zeroExtend(left, bits), e.constant(bits, 0))
  const count = () => e.write(rcx, left)
  f.if(condition ? f.and(isMore, condition()) : isMore, () => e.jump(target, count))
  count()
}

define('LOOPNE', ['E0 Jb f64'], (e, target) => loop(e, target, () => e.f.eqz(e.flags.zero())))
define('LOOPE', ['E1 Jb f64'], (e, target) => loop(e, target, () => e.flags.zero()))
define('LOOP', ['E2 Jb f64'], (e, target) => loop(e, target))

/** The return address as the stack gets it. */
function returnAddress(e: Emitter, bits: number): Value {
  return bits === 64 ? e.nextRip() : e.zeroExtend(e.f.wrap(e.nextRip()), bits)
}

define('CALL', ['E8 Jz f64 end'], (e, target) => {
  const bits = e.shape.operandSize
  e.jump(target, () => e.push(returnAddress(e, bits), bits))
})

define('CALL', ['FF /2 Ev f64 end'], (e, target) => {
  const { bits } = target
  const rip = e.resize(e.read(target), bits, 64)
  const address = e.stackLinear(-bits / 8, bits / 8, true)
  e.jumpTo(rip, () => {
    e.memory.store(bits, address, returnAddress(e, bits), STACK_ACCESS)
    e.moveStack(-bits / 8)
  })
})

define('RET', ['C3 f64 end'], (e) => {
  const bits = e.shape.operandSize
  e.returnTo(e.resize(e.peek(bits), bits, 64), () => e.moveStack(bits / 8))
})

define('RET', ['C2 Iw f64 end'], (e, extra) => {
  const bits = e.shape.operandSize
  const rip = e.resize(e.peek(bits), bits, 64)
  const more = e.read(extra, 16)
  e.returnTo(rip, () => {
    const size = e.shape.stackSize
    const rsp = e.gpr(S.RSP, size)
    const sum = e.f.add(e.read(rsp), e.resize(more, 16, size))
    e.write(rsp, e.f.add(sum, e.constant(size, bits / 8)))
  })
})

define('UD', ['0F 0B end', '0F FF /r Gv,Ev end', '0F B9 /r Gv,Ev end'], (e) => e.raise(UD))
