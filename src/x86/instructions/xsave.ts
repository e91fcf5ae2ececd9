// XSAVE, XSAVEOPT, XSAVEC, XSAVES, XRSTOR and XRSTORS. (SDM vol. 1, 13.7 to 13.12.)
// The init optimisation is exact: a component counts as in use if it differs from its initial
// values. The modified optimisation is not made: all that is in use is written, as is allowed.

import type { Cpu } from '../cpu.ts'
import { XSTATE_COMPONENTS } from '../cpuid/xstate.ts'
import { define } from '../decode/define.ts'
import { type Emitter, GP, NM, type Operand, UD } from '../emit/emitter.ts'
import { GuestFault } from '../guest-fault.ts'
import { CR0_TS, CR4_OSXSAVE } from '../mmu/walker.ts'
import * as S from '../state.ts'
import { areaBytes, areaView, loadArea, probeArea, storeArea } from '../system/guest-area.ts'
import {
  areaMxcsr,
  COMPONENT_SSE,
  COMPONENT_X87,
  initializeComponent,
  isInUse,
  loadRegisters,
  loadX87,
  MXCSR_INITIAL,
  MXCSR_MASK,
  saveMxcsr,
  saveRegisters,
  saveX87,
} from '../system/xsave-components.ts'

const HEADER = 512
const XSTATE_BV = HEADER
const XCOMP_BV = HEADER + 8
const BASE_SIZE = 576
const COMPACTED = 1n << 63n

/** Where each component lies; `size` is where the last of `wanted` ends. */
interface Layout {
  readonly offsets: ReadonlyMap<number, number>
  readonly size: number
}

const layouts = new Map<string, Layout>()

/** The compacted format of the components in `format`, or the standard one if it is undefined. */
function layoutOf(wanted: bigint, format: bigint | undefined): Layout {
  const key = `${wanted} ${format}`
  const known = layouts.get(key)
  if (known) return known
  const offsets = new Map<number, number>()
  let size = BASE_SIZE
  let next = BASE_SIZE
  for (const component of XSTATE_COMPONENTS) {
    const bit = 1n << BigInt(component.bit)
    if (format !== undefined && !(format & bit)) continue
    const offset = format === undefined ? component.offset : next
    next = offset + component.size
    offsets.set(component.bit, offset)
    if (wanted & bit) size = Math.max(size, next)
  }
  const layout = { offsets, size }
  layouts.set(key, layout)
  return layout
}

/** EDX:EAX and what is enabled. */
function requested(cpu: Cpu, isSupervisor: boolean): bigint {
  return (cpu.argument(1) | (cpu.argument(2) << 32n)) & enabled(cpu, isSupervisor)
}

function enabled(cpu: Cpu, isSupervisor: boolean): bigint {
  return cpu.getU64(S.XCR0) | (isSupervisor ? cpu.getU64(S.XSS) : 0n)
}

/** Components of `mask` that are not in their initial state. */
function inUse(cpu: Cpu, mask: bigint): bigint {
  let used = 0n
  for (let rest = mask, i = 0; rest !== 0n; rest >>= 1n, i++) {
    if (rest & 1n && isInUse(cpu, i)) used |= 1n << BigInt(i)
  }
  return used
}

/** Writes the components in `mask` to the area buffer, MXCSR aside. */
function saveComponents(cpu: Cpu, mask: bigint, { offsets }: Layout, is64: boolean): void {
  if (mask & 1n) saveX87(cpu, is64)
  if (mask & 2n) saveRegisters(cpu, COMPONENT_SSE)
  for (const [component, offset] of offsets) {
    if ((mask >> BigInt(component)) & 1n) saveRegisters(cpu, component, offset)
  }
}

/** XSAVE, and XSAVEOPT, which leaves out what is in its initial state. */
function saveStandard(cpu: Cpu, is64: boolean, isOptimized: boolean): void {
  const linear = cpu.argument(0)
  const mask = requested(cpu, false)
  const used = inUse(cpu, mask)
  const written = isOptimized ? used : mask
  const layout = layoutOf(written, undefined)
  probeArea(cpu, linear, layout.size)
  loadArea(cpu, linear, layout.size)
  saveComponents(cpu, written, layout, is64)
  if (mask & 6n) saveMxcsr(cpu)
  const others = areaView.getBigUint64(XSTATE_BV, true) & ~mask
  areaView.setBigUint64(XSTATE_BV, others | used, true)
  storeArea(cpu, linear, layout.size)
}

/** XSAVEC and XSAVES. */
function saveCompacted(cpu: Cpu, is64: boolean, isSupervisor: boolean): void {
  const linear = cpu.argument(0)
  const mask = requested(cpu, isSupervisor)
  let used = inUse(cpu, mask)
  // Here MXCSR belongs to the SSE component.
  if (mask & 2n && cpu.getI32(S.MXCSR) !== MXCSR_INITIAL) used |= 2n
  const layout = layoutOf(used, mask)
  probeArea(cpu, linear, layout.size)
  loadArea(cpu, linear, layout.size)
  saveComponents(cpu, used, layout, is64)
  if (used & 2n) saveMxcsr(cpu)
  areaView.setBigUint64(XSTATE_BV, used, true)
  areaView.setBigUint64(XCOMP_BV, mask | COMPACTED, true)
  storeArea(cpu, linear, layout.size)
}

/** XRSTOR, in the format that the area's header names, and XRSTORS. */
function restore(cpu: Cpu, is64: boolean, isSupervisor: boolean): void {
  const linear = cpu.argument(0)
  loadArea(cpu, linear, BASE_SIZE)
  const present = areaView.getBigUint64(XSTATE_BV, true)
  const header = areaView.getBigUint64(XCOMP_BV, true)
  const isCompacted = (header & COMPACTED) !== 0n
  const format = isCompacted ? header & ~COMPACTED : undefined
  checkHeader(cpu, present, header, isSupervisor)
  const mask = requested(cpu, isSupervisor)
  const loaded = mask & present
  const layout = layoutOf(loaded, format)
  if (layout.size > BASE_SIZE) {
    loadArea(cpu, linear + BigInt(BASE_SIZE), layout.size - BASE_SIZE, BASE_SIZE)
  }
  // In the standard format MXCSR is there even if the SSE component is not.
  const hasMxcsr = isCompacted ? (loaded & 2n) !== 0n : (mask & 6n) !== 0n
  if (hasMxcsr && areaMxcsr() & ~MXCSR_MASK) throw new GuestFault(GP)
  for (let rest = mask, i = 0; rest !== 0n; rest >>= 1n, i++) {
    if (!(rest & 1n)) continue
    if (!((loaded >> BigInt(i)) & 1n)) initializeComponent(cpu, i)
    else if (i === COMPONENT_X87) loadX87(cpu, is64)
    else if (i === COMPONENT_SSE) loadRegisters(cpu, i)
    else loadRegisters(cpu, i, layout.offsets.get(i))
  }
  if (hasMxcsr) cpu.set32(S.MXCSR, areaMxcsr())
  else if (isCompacted && mask & 2n) cpu.set32(S.MXCSR, MXCSR_INITIAL)
}

function checkHeader(cpu: Cpu, present: bigint, header: bigint, isSupervisor: boolean): void {
  const possible = enabled(cpu, isSupervisor)
  if (header & COMPACTED) {
    const format = header & ~COMPACTED
    const isKnown = cpu.features.has('xsavec') || cpu.features.has('xsaves')
    if (!isKnown || format & ~possible || present & ~format) throw new GuestFault(GP)
  } else if (isSupervisor || header !== 0n || present & ~possible) {
    throw new GuestFault(GP)
  }
  // Bytes 63:16 are reserved; the standard format leaves those from 24 on unchecked.
  const end = header & COMPACTED ? HEADER + 64 : HEADER + 24
  for (let i = HEADER + 16; i < end; i++) if (areaBytes[i] !== 0) throw new GuestFault(GP)
}

type Transfer = (cpu: Cpu, is64: boolean, variant: boolean) => void

function onArea(
  e: Emitter,
  area: Operand,
  isWrite: boolean,
  run: Transfer,
  variant: boolean,
): void {
  const { f } = e
  const is64 = e.shape.operandSize === 64
  e.raiseIf(f.eqz(f.and(e.stateLoad('i32.load', S.CR4), f.i32(CR4_OSXSAVE))), UD)
  e.raiseIf(f.and(e.stateLoad('i32.load', S.CR0), f.i32(CR0_TS)), NM)
  const linear = e.linear(area, BASE_SIZE, isWrite)
  e.raiseIf(f.and(f.wrap(linear), f.i32(63)), GP)
  const half = (register: number) => e.read(e.gpr(register, 32))
  e.host((cpu) => run(cpu, is64, variant), linear, half(S.RAX), half(S.RDX))
}

for (const [name, row, isWrite, run, variant] of [
  ['XSAVE', 'NP 0F AE /4:m M +xsave', true, saveStandard, false],
  ['XSAVEOPT', 'NP 0F AE /6:m M +xsaveopt', true, saveStandard, true],
  ['XSAVEC', 'NP 0F C7 /4:m M +xsavec', true, saveCompacted, false],
  ['XSAVES', 'NP 0F C7 /5:m M cpl0 +xsaves', true, saveCompacted, true],
  ['XRSTOR', 'NP 0F AE /5:m M +xsave', false, restore, false],
  ['XRSTORS', 'NP 0F C7 /3:m M cpl0 +xsaves', false, restore, true],
] as const) {
  define(name, [row], (e, area) => onArea(e, area, isWrite, run, variant))
}
