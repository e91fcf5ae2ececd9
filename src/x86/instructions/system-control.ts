// Far transfers, interrupts, privilege changes, ports and waiting. (SDM vol. 2: CALL and JMP far,
// RET far, IRET, INT n, INT1, INT3, INTO, BOUND, SYSCALL, SYSRET, SYSENTER, SYSEXIT, CLI, STI,
// POPF, HLT, PAUSE, IN, OUT, INS, OUTS, VMCALL; AMD: VMMCALL.)

import type { Value } from '../../wasm/value.ts'
import type { Cpu } from '../cpu.ts'
import { define } from '../decode/define.ts'
import { BR, type Emitter, GP, type Operand } from '../emit/emitter.ts'
import { FLAG_DF, FLAG_IF, FLAG_IOPL } from '../registers.ts'
import * as S from '../state.ts'
import { raiseDebug } from '../system/debug-registers.ts'
import { deliverSoftware } from '../system/exceptions.ts'
import { farJump, farReturn } from '../system/far-transfers.ts'
import { checkVmPrivilege, popFlags } from '../system/flags-load.ts'
import { interruptReturn } from '../system/interrupt-return.ts'
import { checkPort } from '../system/ports.ts'
import { syscallQuickly, sysretQuickly } from './quick-system-calls.ts'
import { syscall, sysenter, sysexit, sysret } from '../system/system-calls.ts'

/** Far jump or call to a selector and an offset. */
function far(e: Emitter, selector: Value, offset: Value, isCall: boolean): void {
  const bits = e.shape.operandSize
  e.host(
    (cpu) => {
      farJump(cpu, cpu.argumentLow(0) & 0xffff, cpu.argument(1), bits, isCall)
      return true
    },
    selector,
    offset,
  )
  e.f.ret()
}

for (const [isCall, direct, digit] of [
  [true, '9A', 3],
  [false, 'EA', 5],
] as const) {
  const name = isCall ? 'CALL' : 'JMP'
  define(name, [`${direct} Ap i64 end`], (e, target) => {
    const offset = e.farOffset(target)
    far(e, e.farSelector(target), offset, isCall)
  })
  define(name, [`FF /${digit} Mp end`], (e, src) => {
    const { f } = e
    const bits = e.shape.operandSize
    const linear = e.linear(src, bits / 8 + 2)
    const offset = e.resize(e.memory.load(bits, linear), bits, 64)
    far(e, e.memory.load(16, f.add(linear, f.i64(bits / 8))), offset, isCall)
  })
}

define('RETF', ['CB end', 'CA Iw end'], (e, extra) => {
  const bits = e.shape.operandSize
  e.host(
    (cpu) => {
      farReturn(cpu, bits, cpu.argumentLow(0) & 0xffff)
      return true
    },
    extra ? e.read(extra, 16) : e.f.i32(0),
  )
  e.f.ret()
})

define('IRET', ['CF end'], (e) => {
  const bits = e.shape.operandSize
  e.host((cpu) => {
    interruptReturn(cpu, bits)
    return true
  })
  e.f.ret()
})

/** INT n and its short forms: RIP is behind the instruction, unless it faults. */
function interrupt(cpu: Cpu, vector: number): boolean {
  cpu.rip = cpu.nextRip
  deliverSoftware(cpu, vector)
  return true
}

define('INT', ['CD Ib end'], (e, vector) => {
  e.host((cpu) => {
    checkVmPrivilege(cpu)
    return interrupt(cpu, cpu.argumentLow(0) & 0xff)
  }, e.read(vector))
  e.f.ret()
})

define('INT3', ['CC end'], (e) => {
  e.host((cpu) => interrupt(cpu, 3))
  e.f.ret()
})

define('INTO', ['CE i64 end'], (e) => {
  const { f } = e
  f.if(e.flags.overflow(), () => {
    e.host((cpu) => interrupt(cpu, 4))
    f.ret()
  })
  e.leaveTo(e.nextRip())
})

define('INT1', ['F1 end'], (e) => {
  e.host((cpu) => {
    cpu.rip = cpu.nextRip
    raiseDebug(cpu, 0)
    cpu.skipSingleStep()
    return true
  })
  e.f.ret()
})

define('BOUND', ['62 /r Gv,M i64'], (e, index, src) => {
  const { f } = e
  const bits = index.bits
  const linear = e.linear(src, bits / 4)
  const value = e.signExtend(e.read(index), bits)
  const lower = e.signExtend(e.memory.load(bits, linear), bits)
  const upper = e.signExtend(e.memory.load(bits, f.add(linear, f.i64(bits / 8))), bits)
  e.raiseIf(f.or(f.ltS(value, lower), f.gtS(value, upper)), BR)
})

for (const [name, row, run] of [
  ['SYSCALL', '0F 05 end +syscall', syscall],
  ['SYSENTER', '0F 34 end +sep', sysenter],
] as const) {
  define(name, [row], (e) => {
    if (name === 'SYSCALL' && e.shape.codeSize === 64 && e.canRetreat) return syscallQuickly(e)
    e.host((cpu) => {
      run(cpu)
      return true
    })
    e.f.ret()
  })
}

for (const [name, row, run] of [
  ['SYSRET', '0F 07 end cpl0 +syscall', sysret],
  ['SYSEXIT', '0F 35 end cpl0 +sep', sysexit],
] as const) {
  define(name, [row], (e) => {
    const is64 = e.shape.operandSize === 64
    if (name === 'SYSRET' && is64 && e.canRetreat) return sysretQuickly(e)
    e.host((cpu) => {
      run(cpu, is64)
      return true
    })
    e.f.ret()
  })
}

// Interrupt flag.

/** i32: CPL is above IOPL. */
function isAboveIopl(e: Emitter): Value {
  const { f } = e
  const flags = e.stateLoad('i32.load', S.RFLAGS)
  const iopl = f.shrU(f.and(flags, f.i32(FLAG_IOPL)), f.i32(12))
  return f.gtU(e.stateLoad('i32.load', S.CPL), iopl)
}

define('CLI', ['FA'], (e) => {
  const { f } = e
  e.raiseIf(isAboveIopl(e), GP)
  e.stateStore('i32.store', S.RFLAGS, f.and(e.stateLoad('i32.load', S.RFLAGS), f.i32(~FLAG_IF)))
})

define('STI', ['FB end'], (e) => {
  const { f } = e
  e.raiseIf(isAboveIopl(e), GP)
  const old = e.stateLoad('i32.load', S.RFLAGS)
  const next = e.nextRip()
  const isOff = f.eqz(f.and(old, f.i32(FLAG_IF)))
  // Should the run loop be entered right behind it, it holds interrupts off for one instruction.
  const enable = () => {
    e.stateStore('i32.store', S.RFLAGS, f.or(old, f.i32(FLAG_IF)))
    e.stateStore('i64.store', S.SHADOW_RIP, next)
  }
  const isAwaited = f.ne(e.stateLoad('i32.load', S.ATTENTION), f.i32(0))
  f.if(
    f.and(isOff, isAwaited),
    () => {
      if (e.canRetreat) return e.retreat()
      enable()
      e.leaveTo(next)
    },
    undefined,
    'unlikely',
  )
  e.goOn(() => f.if(isOff, enable))
})

define('POPF', ['9D d64 end'], (e) => {
  const bits = e.shape.operandSize
  const value = e.peek(bits)
  e.host((cpu) => {
    checkVmPrivilege(cpu)
    popFlags(cpu, cpu.argumentLow(0), bits, false)
  }, value)
  e.moveStack(bits / 8)
  e.leaveTo(e.nextRip())
})

// Waiting.

define('HLT', ['F4 end cpl0'], (e) => {
  e.host((cpu) => {
    cpu.isHalted = true
    cpu.set32(S.ATTENTION, 1)
  })
  e.leaveTo(e.nextRip())
})

define('PAUSE', ['F3 90 end'], (e) => {
  e.host((cpu) => cpu.pause())
  e.leaveTo(e.nextRip())
})

define('NOP', ['90'], () => {})

for (const [name, rm, isAmd] of [
  ['VMCALL', 'NP 0F 01 /0:1', false],
  ['VMMCALL', '0F 01 /3:1', true],
] as const) {
  define(name, [`${rm} end`], (e) => {
    // The caller goes on behind the instruction, wherever the call may lead.
    e.stateStore('i64.store', S.RIP, e.nextRip())
    e.host((cpu) => cpu.host.vmcall(isAmd))
    e.stateStore('i32.store', S.EXIT, e.f.i32(S.EXIT_LOOK))
    e.f.ret()
  })
}

// Ports.

define('IN', ['E4 AL,Ib', 'E5 eAX,Ib', 'EC AL,DX', 'ED eAX,DX'], (e, dst, port) => {
  const bits = dst.bits === 8 ? 8 : e.shape.operandSize === 16 ? 16 : 32
  const size = bits / 8
  e.host(
    (cpu) => {
      const number = cpu.argumentLow(0) & 0xffff
      checkPort(cpu, number, size)
      cpu.setResult(BigInt(cpu.host.portRead(number, size) >>> 0))
    },
    portNumber(e, port),
  )
  e.write(e.gpr(S.RAX, bits), e.f.wrap(e.hostResult()))
})

define('OUT', ['E6 Ib,AL end', 'E7 Ib,eAX end', 'EE DX,AL end', 'EF DX,eAX end'], (
  e,
  port,
  src,
) => {
  const bits = src.bits === 8 ? 8 : e.shape.operandSize === 16 ? 16 : 32
  const size = bits / 8
  e.host(
    (cpu) => {
      const number = cpu.argumentLow(0) & 0xffff
      checkPort(cpu, number, size)
      const value = cpu.argumentLow(1) >>> 0
      cpu.host.portWrite(number, size, size === 4 ? value : value & ((1 << bits) - 1))
    },
    portNumber(e, port),
    e.read(e.gpr(S.RAX, bits)),
  )
  e.leaveTo(e.nextRip())
})

function portNumber(e: Emitter, port: Operand): Value {
  return port.kind === 'immediate' ? e.f.and(e.read(port, 32), e.f.i32(0xff)) : e.read(port)
}

/** INS and OUTS: one element at a time; a repeated one is executed again until rCX is zero. */
function stringPort(e: Emitter, memory: Operand, isInput: boolean): void {
  const { f, shape } = e
  const size = shape.addressSize
  const bits = memory.bits === 8 ? 8 : shape.operandSize === 16 ? 16 : 32
  const bytes = bits / 8
  const pointer = e.gpr(isInput ? S.RDI : S.RSI, size)
  const counter = e.gpr(S.RCX, size)
  // The port is looked at first, even if nothing is moved.
  e.host((cpu) => checkPort(cpu, cpu.argumentLow(0) & 0xffff, bytes), e.read(e.gpr(S.RDX, 16)))
  const one = () => {
    const offset = e.resize(e.read(pointer), size, 64)
    const linear = isInput
      ? e.segmentLinear(S.ES, offset, bytes, true)
      : e.segmented(offset, bytes, false)
    e.host(
      (cpu) => {
        const port = cpu.argumentLow(0) & 0xffff
        const at = cpu.argument(1)
        if (isInput) {
          cpu.linear.probeWrite(
            Number(BigInt.asIntN(32, at)),
            Number(at >> 32n) | 0,
            bytes,
            cpu.privilege,
          )
          cpu.writeMemory(at, bytes, BigInt(cpu.host.portRead(port, bytes) >>> 0))
        } else cpu.host.portWrite(port, bytes, Number(cpu.readMemory(at, bytes)))
      },
      e.read(e.gpr(S.RDX, 16)),
      linear,
    )
    const down = f.and(e.stateLoad('i32.load', S.RFLAGS), f.i32(FLAG_DF))
    const step = f.select(down, e.constant(size, -bytes), e.constant(size, bytes))
    e.write(pointer, f.add(e.read(pointer), step))
  }
  if (shape.rep === 0) {
    one()
    return e.leaveTo(e.nextRip())
  }
  f.if(f.eq(e.read(counter), e.constant(size, 0)), () => e.leaveTo(e.nextRip()))
  one()
  e.write(counter, f.sub(e.read(counter), e.constant(size, 1)))
  e.leaveTo(e.thisRip())
}

define('INS', ['6C Yb rep end', '6D Yz rep end'], (e, dst) => stringPort(e, dst, true))
define('OUTS', ['6E Xb rep end', '6F Xz rep end'], (e, src) => stringPort(e, src, false))
