// System registers: control, debug, segment and table registers, MSRs, CPUID, counters.
// (SDM vol. 2: CLAC CLTS CPUID INVLPG INVPCID LAR LGDT LIDT LLDT LMSW LSL LTR MOV RDFSBASE
// RDMSR RDPID RDTSC RDTSCP SGDT SIDT SLDT SMSW STAC STR SWAPGS VERR VERW WRMSR XGETBV XSETBV.)

import type { Value } from '../../wasm/value.ts'
import type { Cpu } from '../cpu.ts'
import { define } from '../decode/define.ts'
import { type Emitter, GP, type Operand, UD } from '../emit/emitter.ts'
import { GuestFault } from '../guest-fault.ts'
import { CR0_TS, CR4_FSGSBASE, CR4_OSXSAVE, CR4_TSD, CR4_UMIP } from '../mmu/walker.ts'
import { FLAG_AC } from '../registers.ts'
import * as S from '../state.ts'
import { invalidate, writeCr0, writeCr3, writeCr4 } from '../system/control-registers.ts'
import { readDebugRegister, writeDebugRegister } from '../system/debug-registers.ts'
import { readMsr, writeMsr } from '../system/msrs.ts'
import { queryDescriptor } from '../system/query-descriptor.ts'
import { isRealOrVm, loadLdt, loadSegment, loadTask } from '../system/segment-load.ts'
import { writeXcr } from '../system/xstate.ts'

/** A host instruction as the last thing of a meaning; then the run loop looks around. */
function finish(e: Emitter, run: (cpu: Cpu) => void, ...values: Value[]): void {
  e.host(run, ...values)
  e.leaveTo(e.nextRip())
}

// Control and debug registers.

define('MOV', ['0F 20 /r Rd,Cd i64 cpl0', '0F 20 /r Rq,Cq o64 cpl0'], (e, dst, src) => {
  const number = e.registerNumber(src)
  if (e.canRetreat) return readControlQuickly(e, dst, number)
  e.host((cpu) => cpu.setResult(readControl(cpu, cpu.argumentLow(0))), number)
  e.write(dst, dst.bits === 64 ? e.hostResult() : e.f.wrap(e.hostResult()))
})

/** CR0, CR2, CR3 and CR4 are in the state block. */
function readControlQuickly(e: Emitter, dst: Operand, number: Value): void {
  const { f } = e
  const is = (n: number) => f.eq(number, f.i32(n))
  const isThere = f.or(f.or(is(0), is(2)), f.or(is(3), is(4)))
  f.if(f.eqz(isThere), () => e.retreat(), undefined, 'unlikely')
  const offset = f.select(number, f.shl(f.sub(number, f.i32(1)), f.i32(3)), f.i32(0))
  const value = f.load('i64.load', f.add(e.cpu, offset), S.CR0)
  e.write(dst, dst.bits === 64 ? value : f.wrap(value))
}

function readControl(cpu: Cpu, number: number): bigint {
  switch (number) {
    case 0:
      return BigInt(cpu.cr0 >>> 0)
    case 2:
      return cpu.getU64(S.CR2)
    case 3:
      return cpu.getU64(S.CR3)
    case 4:
      return BigInt(cpu.cr4 >>> 0)
    case 8:
      return BigInt(cpu.host.readTaskPriority())
    default:
      throw new GuestFault(UD)
  }
}

define('MOV', ['0F 22 /r Cd,Rd i64 cpl0 end', '0F 22 /r Cq,Rq o64 cpl0 end'], (e, dst, src) => {
  finish(
    e,
    (cpu) => writeControl(cpu, cpu.argumentLow(0), cpu.argument(1)),
    e.registerNumber(dst),
    e.read(src),
  )
})

function writeControl(cpu: Cpu, number: number, value: bigint): void {
  switch (number) {
    case 0:
      return writeCr0(cpu, value)
    case 2:
      return cpu.setU64(S.CR2, value)
    case 3:
      return writeCr3(cpu, value)
    case 4:
      return writeCr4(cpu, value)
    case 8:
      if (value > 15n) throw new GuestFault(GP)
      return cpu.host.writeTaskPriority(Number(value))
    default:
      throw new GuestFault(UD)
  }
}

define('MOV', ['0F 21 /r Rd,Dd i64 cpl0', '0F 21 /r Rq,Dq o64 cpl0'], (e, dst, src) => {
  e.host((cpu) => cpu.setResult(readDebugRegister(cpu, cpu.argumentLow(0))), e.registerNumber(src))
  e.write(dst, dst.bits === 64 ? e.hostResult() : e.f.wrap(e.hostResult()))
})

define('MOV', ['0F 23 /r Dd,Rd i64 cpl0 end', '0F 23 /r Dq,Rq o64 cpl0 end'], (e, dst, src) => {
  finish(
    e,
    (cpu) => writeDebugRegister(cpu, cpu.argumentLow(0), cpu.argument(1)),
    e.registerNumber(dst),
    e.read(src),
  )
})

define('CLTS', ['0F 06 cpl0 end'], (e) => {
  finish(e, (cpu) => cpu.set32(S.CR0, cpu.cr0 & ~CR0_TS))
})

define('SMSW', ['0F 01 /4:m Mw', '0F 01 /4:r Ev'], (e, dst) => {
  refuseInUserMode(e)
  const value = e.stateLoad('i32.load', S.CR0)
  e.write(dst, dst.bits === 64 ? e.f.extendU(value) : value)
})

define('LMSW', ['0F 01 /6 Ew cpl0 end'], (e, src) => {
  // PE can be set but not cleared.
  finish(
    e,
    (cpu) => {
      const low = cpu.argumentLow(0) & 15
      writeCr0(cpu, BigInt(((cpu.cr0 & ~14) | low) >>> 0))
    },
    e.read(src),
  )
})

/** UMIP: user code may not see where the tables are. */
function refuseInUserMode(e: Emitter): void {
  const { f } = e
  const has = f.and(e.stateLoad('i32.load', S.CR4), f.i32(CR4_UMIP))
  e.raiseIf(f.and(f.ne(has, f.i32(0)), f.ne(e.stateLoad('i32.load', S.CPL), f.i32(0))), GP)
}

// Segment registers.

define('MOV', ['8C /r Ev,Sw'], (e, dst, src) => {
  const selector = e.stateSelector(src)
  // A memory destination gets 16 bits whatever the operand size.
  if (dst.kind === 'memory') e.write({ ...dst, bits: 16 }, selector)
  else e.write(dst, dst.bits === 64 ? e.f.extendU(selector) : selector)
})

define('MOV', ['8E /r Sw,Ew end'], (e, dst, src) => {
  finish(
    e,
    (cpu) => {
      const segment = cpu.argumentLow(0)
      if (segment === S.CS || segment > S.GS) throw new GuestFault(UD)
      loadSegment(cpu, segment, cpu.argumentLow(1))
      if (segment === S.SS) cpu.shadowStackLoad()
    },
    e.registerNumber(dst),
    e.read(src),
  )
})

define('PUSH', [
  '06 ES i64',
  '0E CS i64',
  '16 SS i64',
  '1E DS i64',
  '0F A0 FS d64',
  '0F A8 GS d64',
], (e, src) => {
  const bits = e.shape.operandSize
  const selector = e.stateSelector(src)
  e.push(bits === 64 ? e.f.extendU(selector) : selector, bits)
})

define('POP', [
  '07 ES i64 end',
  '17 SS i64 end',
  '1F DS i64 end',
  '0F A1 FS d64 end',
  '0F A9 GS d64 end',
], (e, dst) => {
  const bits = e.shape.operandSize
  const value = e.peek(bits)
  e.host(
    (cpu) => {
      const segment = cpu.argumentLow(0)
      loadSegment(cpu, segment, cpu.argumentLow(1) & 0xffff)
      if (segment === S.SS) cpu.shadowStackLoad()
    },
    e.registerNumber(dst),
    value,
  )
  e.moveStack(bits / 8)
  e.leaveTo(e.nextRip())
})

/** LES and its kin: an offset and a selector from memory. */
for (const [rows, segment] of [
  [['C4 /r Gv,Mp i64 end'], S.ES],
  [['C5 /r Gv,Mp i64 end'], S.DS],
  [['0F B2 /r Gv,Mp end'], S.SS],
  [['0F B4 /r Gv,Mp end'], S.FS],
  [['0F B5 /r Gv,Mp end'], S.GS],
] as const) {
  define('LDS', rows, (e, dst, src) => {
    const bytes = dst.bits / 8
    const linear = e.linear(src, bytes + 2)
    const offset = e.memory.load(dst.bits, linear)
    const selector = e.memory.load(16, e.f.add(linear, e.f.i64(bytes)))
    e.host(
      (cpu) => loadSegment(cpu, cpu.argumentLow(0), cpu.argumentLow(1)),
      e.f.i32(segment),
      selector,
    )
    e.write(dst, offset)
    e.leaveTo(e.nextRip())
  })
}

define('SWAPGS', ['0F 01 /7:0 o64 cpl0'], (e) => {
  const gs = e.stateLoad('i64.load', S.SEG_BASE + S.GS * 8)
  const kernel = e.stateLoad('i64.load', S.KERNEL_GS_BASE)
  e.stateStore('i64.store', S.SEG_BASE + S.GS * 8, kernel)
  e.stateStore('i64.store', S.KERNEL_GS_BASE, gs)
})

/** FS and GS base as instructions of their own. */
function baseField(e: Emitter, segment: number): number {
  const { f } = e
  e.raiseIf(f.eqz(f.and(e.stateLoad('i32.load', S.CR4), f.i32(CR4_FSGSBASE))), UD)
  return S.SEG_BASE + segment * 8
}

for (const [i, segment] of [S.FS, S.GS].entries()) {
  define('RDFSBASE', [`F3 0F AE /${i}:r Ry o64 +fsgsbase`], (e, dst) => {
    const value = e.stateLoad('i64.load', baseField(e, segment))
    e.write(dst, dst.bits === 64 ? value : e.f.wrap(value))
  })
  define('WRFSBASE', [`F3 0F AE /${i + 2}:r Ry o64 +fsgsbase`], (e, src) => {
    const { f } = e
    const at = baseField(e, segment)
    const value = e.resize(e.read(src), src.bits, 64)
    const canonical = f.shrS(f.shl(value, f.i64(16)), f.i64(16))
    e.raiseIf(f.ne(canonical, value), GP)
    e.stateStore('i64.store', at, value)
  })
}

// Tables.

/** LGDT, LIDT: 16 bits of limit and a base of 32 or 64 bits (24 with 16-bit operands). */
function loadTable(e: Emitter, src: Operand, base: number, limit: number): void {
  const { f } = e
  const is64 = e.shape.codeSize === 64
  const linear = e.linear(src, is64 ? 10 : 6)
  const size = e.memory.load(16, linear)
  const at = f.add(linear, f.i64(2))
  let address = is64 ? e.memory.load(64, at) : f.extendU(e.memory.load(32, at))
  if (is64) {
    const canonical = f.shrS(f.shl(address, f.i64(16)), f.i64(16))
    e.raiseIf(f.ne(canonical, address), GP)
  } else if (e.shape.operandSize === 16) address = f.and(address, f.i64(0xffffff))
  e.stateStore('i64.store', base, address)
  e.stateStore('i32.store', limit, size)
}

function storeTable(e: Emitter, dst: Operand, base: number, limit: number): void {
  refuseInUserMode(e)
  const { f } = e
  const is64 = e.shape.codeSize === 64
  const linear = e.linear(dst, is64 ? 10 : 6, true)
  e.memory.store(16, linear, e.stateLoad('i32.load', limit))
  const address = e.stateLoad('i64.load', base)
  e.memory.store(is64 ? 64 : 32, f.add(linear, f.i64(2)), is64 ? address : f.wrap(address))
}

define('SGDT', ['0F 01 /0:m Ms'], (e, dst) => storeTable(e, dst, S.GDT_BASE, S.GDT_LIMIT))
define('SIDT', ['0F 01 /1:m Ms'], (e, dst) => storeTable(e, dst, S.IDT_BASE, S.IDT_LIMIT))
define('LGDT', ['0F 01 /2:m Ms cpl0'], (e, src) => loadTable(e, src, S.GDT_BASE, S.GDT_LIMIT))
define('LIDT', ['0F 01 /3:m Ms cpl0'], (e, src) => loadTable(e, src, S.IDT_BASE, S.IDT_LIMIT))

for (const [i, segment] of [S.LDTR, S.TR].entries()) {
  define(i === 0 ? 'SLDT' : 'STR', [`0F 00 /${i} Ev`], (e, dst) => {
    refuseOutsideProtected(e)
    refuseInUserMode(e)
    const selector = e.stateLoad('i32.load', S.SEGMENT + segment * S.SEGMENT_SIZE)
    if (dst.kind === 'memory') e.write({ ...dst, bits: 16 }, selector)
    else e.write(dst, dst.bits === 64 ? e.f.extendU(selector) : selector)
  })
}

function refuseOutsideProtected(e: Emitter): void {
  e.host((cpu) => {
    if (isRealOrVm(cpu)) throw new GuestFault(UD)
  })
}

define('LLDT', ['0F 00 /2 Ew cpl0'], (e, src) => {
  refuseOutsideProtected(e)
  e.host((cpu) => loadLdt(cpu, cpu.argumentLow(0)), e.read(src))
})

define('LTR', ['0F 00 /3 Ew cpl0'], (e, src) => {
  refuseOutsideProtected(e)
  e.host((cpu) => loadTask(cpu, cpu.argumentLow(0)), e.read(src))
})

for (const [name, opcode, what] of [
  ['LAR', '02', 'rights'],
  ['LSL', '03', 'limit'],
] as const) {
  define(name, [`0F ${opcode} /r Gv,Ew`], (e, dst, src) => {
    const { f } = e
    refuseOutsideProtected(e)
    e.host((cpu) => queryDescriptor(cpu, cpu.argumentLow(0), what), e.read(src))
    const ok = f.wrap(e.hostResult(1))
    const value = e.hostResult(0)
    f.if(ok, () => e.write(dst, dst.bits === 64 ? value : f.wrap(value)))
    e.flags.setZero(ok)
  })
}

for (const [name, digit, what] of [
  ['VERR', 4, 'readable'],
  ['VERW', 5, 'writable'],
] as const) {
  define(name, [`0F 00 /${digit} Ew`], (e, src) => {
    refuseOutsideProtected(e)
    e.host((cpu) => queryDescriptor(cpu, cpu.argumentLow(0), what), e.read(src))
    e.flags.setZero(e.f.wrap(e.hostResult(1)))
  })
}

define('ARPL', ['63 /r Ew,Gw i64'], (e, dst, src) => {
  const { f } = e
  refuseOutsideProtected(e)
  const rpl = f.and(e.read(src), f.i32(3))
  const old = e.read(dst)
  const isLess = f.ltU(f.and(old, f.i32(3)), rpl)
  // Memory that need not change need not be writable.
  f.if(isLess, () => e.write(dst, f.or(f.and(old, f.i32(0xfffc)), rpl)))
  e.flags.setZero(isLess)
})

// Translations and caches.

define('INVLPG', ['0F 01 /7:m M cpl0 end'], (e) => {
  const linear = e.segmented(e.effectiveAddress(), 1, false)
  finish(e, (cpu) => cpu.flushPage(cpu.argumentLow(0)), linear)
})

define('INVPCID', ['66 0F 38 82 /r Gy,M f64 cpl0 end +invpcid'], (e, type, src) => {
  finish(
    e,
    (cpu) => invalidate(cpu, cpu.argument(0), cpu.argument(1)),
    e.read(type),
    e.linear(src, 16),
  )
})

define('INVD', ['0F 08 cpl0', '0F 09 cpl0', 'F3 0F 09 cpl0'], () => {})
define('CLFLUSH', ['NP 0F AE /7:m Mb'], (e, src) => {
  e.memory.readable(e.linear(src, 1), 1)
})
define('CLFLUSHOPT', ['66 0F AE /7:m Mb +clflushopt', '66 0F AE /6:m Mb +clwb'], (e, src) => {
  e.memory.readable(e.linear(src, 1), 1)
})
define('CLDEMOTE', ['NP 0F 1C /0:m Mb'], () => {})
define('LFENCE', ['NP 0F AE /5:r', 'NP 0F AE /6:r', 'NP 0F AE /7:r'], () => {})
// Every instruction sees what those before it have done, to code as well.
define('SERIALIZE', ['NP 0F 01 /5:0 +serialize'], () => {})

// RFLAGS.AC, SMAP's key.

for (const [name, rm] of [
  ['CLAC', 2],
  ['STAC', 3],
] as const) {
  define(name, [`NP 0F 01 /1:${rm} +smap`], (e) => {
    e.raiseIf(e.stateLoad('i32.load', S.CPL), UD)
    const { f } = e
    const flags = e.stateLoad('i32.load', S.RFLAGS)
    const changed = rm === 2 ? f.and(flags, f.i32(~FLAG_AC)) : f.or(flags, f.i32(FLAG_AC))
    const tlb = e.stateLoad('i32.load', rm === 2 ? S.TLB_WITHOUT_AC : S.TLB_WITH_AC)
    e.stateStore('i32.store', S.RFLAGS, changed)
    e.stateStore('i32.store', S.TLB_BASE, tlb)
  })
}

// Model-specific registers, identification, counters.

/** EDX:EAX as an i64. */
function pair(e: Emitter): Value {
  const { f } = e
  const low = f.extendU(e.read(e.gpr(S.RAX, 32)))
  return f.or(low, f.shl(f.extendU(e.read(e.gpr(S.RDX, 32))), f.i64(32)))
}

function writePair(e: Emitter, value: Value): void {
  const { f } = e
  e.write(e.gpr(S.RAX, 32), f.wrap(value))
  e.write(e.gpr(S.RDX, 32), f.wrap(f.shrU(value, f.i64(32))))
}

define('RDMSR', ['0F 32 cpl0'], (e) => {
  e.host((cpu) => cpu.setResult(readMsr(cpu, cpu.argumentLow(0) >>> 0)), e.read(e.gpr(S.RCX, 32)))
  writePair(e, e.hostResult())
})

define('WRMSR', ['0F 30 cpl0 end'], (e) => {
  finish(
    e,
    (cpu) => writeMsr(cpu, cpu.argumentLow(0) >>> 0, cpu.argument(1)),
    e.read(e.gpr(S.RCX, 32)),
    pair(e),
  )
})

define('CPUID', ['0F A2'], (e) => {
  e.host(
    (cpu) => {
      const leaf = cpu.argumentLow(0) >>> 0
      const { eax, ebx, ecx, edx } = cpu.host.cpuid(leaf, cpu.argumentLow(1) >>> 0)
      for (const [i, value] of [eax, ecx, edx, ebx].entries()) {
        cpu.writeRegister(i, BigInt(value >>> 0))
      }
    },
    e.read(e.gpr(S.RAX, 32)),
    e.read(e.gpr(S.RCX, 32)),
  )
})

/** CR4.TSD keeps user code from the time-stamp counter. */
function checkTimeStamp(e: Emitter): void {
  const { f } = e
  const isOff = f.and(e.stateLoad('i32.load', S.CR4), f.i32(CR4_TSD))
  e.raiseIf(f.and(f.ne(isOff, f.i32(0)), f.ne(e.stateLoad('i32.load', S.CPL), f.i32(0))), GP)
}

define('RDTSC', ['0F 31'], (e) => {
  checkTimeStamp(e)
  e.host((cpu) => cpu.setResult(cpu.readTimeStamp()))
  writePair(e, e.hostResult())
})

define('RDTSCP', ['0F 01 /7:1 +rdtscp'], (e) => {
  checkTimeStamp(e)
  e.host((cpu) => cpu.setResult(cpu.readTimeStamp()))
  writePair(e, e.hostResult())
  e.write(e.gpr(S.RCX, 32), e.stateLoad('i32.load', S.TSC_AUX))
})

define('RDPID', ['F3 0F C7 /7:r Rd i64 +rdpid', 'F3 0F C7 /7:r Rq o64 +rdpid'], (e, dst) => {
  const value = e.stateLoad('i32.load', S.TSC_AUX)
  e.write(dst, dst.bits === 64 ? e.f.extendU(value) : value)
})

define('RDPMC', ['0F 33'], (e) => e.raise(GP))

// Extended control registers.

function requireXsave(e: Emitter): void {
  const { f } = e
  e.raiseIf(f.eqz(f.and(e.stateLoad('i32.load', S.CR4), f.i32(CR4_OSXSAVE))), UD)
}

define('XGETBV', ['NP 0F 01 /2:0 +xsave'], (e) => {
  const { f } = e
  requireXsave(e)
  const index = e.read(e.gpr(S.RCX, 32))
  e.raiseIf(f.gtU(index, f.i32(1)), GP)
  // Index 1 gives the components in use: all that are enabled may be.
  writePair(e, e.stateLoad('i64.load', S.XCR0))
})

define('XSETBV', ['NP 0F 01 /2:1 end +xsave'], (e) => {
  requireXsave(e)
  e.raiseIf(e.stateLoad('i32.load', S.CPL), GP)
  finish(
    e,
    (cpu) => writeXcr(cpu, cpu.argumentLow(0), cpu.argument(1)),
    e.read(e.gpr(S.RCX, 32)),
    pair(e),
  )
})
