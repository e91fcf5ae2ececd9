// The state components of FXSAVE and XSAVE as data: from where in the state block to where in the
// component they go, and what their initial values are. x87 state has its own rules (legacy
// region, order of the registers). (SDM vol. 1, 10.5.1, 13.4 and 13.5.)

import type { Cpu } from '../cpu.ts'
import * as S from '../state.ts'
import { areaBytes, areaView, areaWords } from './guest-area.ts'
import * as X from './x87-words.ts'

/** The bits of MXCSR that exist. */
export const MXCSR_MASK = 0xffff
export const MXCSR_INITIAL = 0x1f80

export const COMPONENT_X87 = 0
export const COMPONENT_SSE = 1

// Byte offsets in the legacy region.
const FCW = 0
const FSW = 2
const FTW = 4
const FOP = 6
const FIP = 8
const FDP = 16
const MXCSR = 24
const ST0 = 32
const XMM0 = 160

/** `count` runs of `bytes` bytes: in the state block and in the component. */
interface Registers {
  readonly state: number
  readonly stride: number
  readonly bytes: number
  /** How many there are in 64-bit mode, and how many elsewhere. */
  readonly count: number
  readonly legacyCount: number
}

const upperVectors = (offset: number, bytes: number): Registers => ({
  state: S.VECTORS + offset,
  stride: S.VECTOR_SIZE,
  bytes,
  count: 16,
  legacyCount: 8,
})

/** By component number; in the component they lie one after another. */
const REGISTERS: Readonly<Record<number, Registers>> = {
  1: upperVectors(0, 16),
  2: upperVectors(16, 16),
  5: { state: S.MASKS, stride: 8, bytes: 8, count: 8, legacyCount: 8 },
  6: upperVectors(32, 32),
  7: { state: S.VECTORS + 16 * S.VECTOR_SIZE, stride: 64, bytes: 64, count: 16, legacyCount: 0 },
}

function countOf(cpu: Cpu, registers: Registers): number {
  return cpu.codeSize === 64 ? registers.count : registers.legacyCount
}

/** Copies the registers of a component into the area buffer, the component starting at `at`. */
export function saveRegisters(cpu: Cpu, component: number, at = XMM0): void {
  const registers = REGISTERS[component]
  if (!registers) return
  const { i32 } = cpu.engine.memory
  const words = registers.bytes >> 2
  for (let n = countOf(cpu, registers) - 1; n >= 0; n--) {
    const from = (cpu.state + registers.state + n * registers.stride) >> 2
    const to = (at >> 2) + n * words
    for (let w = 0; w < words; w++) areaWords[to + w] = i32[from + w] as number
  }
}

/** Takes the registers of a component from the area buffer. */
export function loadRegisters(cpu: Cpu, component: number, at = XMM0): void {
  const registers = REGISTERS[component]
  if (!registers) return
  const { i32 } = cpu.engine.memory
  const words = registers.bytes >> 2
  for (let n = countOf(cpu, registers) - 1; n >= 0; n--) {
    const to = (cpu.state + registers.state + n * registers.stride) >> 2
    const from = (at >> 2) + n * words
    for (let w = 0; w < words; w++) i32[to + w] = areaWords[from + w] as number
  }
}

/** Sets a component to its initial state; MXCSR is not part of that. */
export function initializeComponent(cpu: Cpu, component: number): void {
  const { i32 } = cpu.engine.memory
  if (component === COMPONENT_X87) return initializeX87(cpu)
  const registers = REGISTERS[component]
  if (!registers) return
  for (let n = countOf(cpu, registers) - 1; n >= 0; n--) {
    const to = (cpu.state + registers.state + n * registers.stride) >> 2
    i32.fill(0, to, to + (registers.bytes >> 2))
  }
}

function initializeX87(cpu: Cpu): void {
  const { i32 } = cpu.engine.memory
  const start = (cpu.state + S.X87) >> 2
  i32.fill(0, start, start + 8 * (S.X87_SIZE >> 2))
  for (const field of [S.FSW, S.FTW, S.FOP, S.FCS, S.FDS]) cpu.set32(field, 0)
  for (const field of [S.FIP, S.FDP]) cpu.setU64(field, 0n)
  cpu.set32(S.FCW, X.CONTROL_INITIAL)
}

/** Whether a component differs from its initial state (XINUSE); MXCSR does not count. */
export function isInUse(cpu: Cpu, component: number): boolean {
  if (component === COMPONENT_X87) return isX87InUse(cpu)
  const registers = REGISTERS[component]
  if (!registers) return false
  const { i32 } = cpu.engine.memory
  for (let n = 0; n < registers.count; n++) {
    const from = (cpu.state + registers.state + n * registers.stride) >> 2
    for (let w = 0; w < registers.bytes >> 2; w++) if (i32[from + w] !== 0) return true
  }
  return false
}

function isX87InUse(cpu: Cpu): boolean {
  if (cpu.getI32(S.FCW) !== X.CONTROL_INITIAL || cpu.getI32(S.FSW) !== 0 || cpu.getI32(S.FTW) !== 0)
    return true
  if (cpu.getI32(S.FOP) !== 0 || cpu.getU64(S.FIP) !== 0n || cpu.getU64(S.FDP) !== 0n) return true
  const { i32 } = cpu.engine.memory
  const start = (cpu.state + S.X87) >> 2
  for (let w = 0; w < (8 * S.X87_SIZE) >> 2; w++) if (i32[start + w] !== 0) return true
  return false
}

/** Writes x87 state into the legacy region; `is64` stores 64-bit pointers (REX.W). */
export function saveX87(cpu: Cpu, is64: boolean): void {
  const { i32 } = cpu.engine.memory
  areaView.setUint16(FCW, cpu.getI32(S.FCW), true)
  areaView.setUint16(FSW, cpu.getI32(S.FSW), true)
  areaView.setUint16(FTW, cpu.getI32(S.FTW) & 0xff, true)
  areaView.setUint16(FOP, cpu.getI32(S.FOP), true)
  for (const [at, pointer, selector] of [
    [FIP, S.FIP, S.FCS],
    [FDP, S.FDP, S.FDS],
  ] as const) {
    areaWords[at >> 2] = cpu.getI32(pointer)
    areaWords[(at >> 2) + 1] = is64 ? cpu.getI32(pointer + 4) : cpu.getI32(selector) & 0xffff
  }
  for (let i = 0; i < 8; i++) {
    const from = physicalRegister(cpu, i)
    const to = (ST0 + 16 * i) >> 2
    areaWords[to] = i32[from] as number
    areaWords[to + 1] = i32[from + 1] as number
    areaWords[to + 2] = (i32[from + 2] as number) & 0xffff
    areaWords[to + 3] = 0
  }
}

/** Index in HostMemory.i32 of ST(i). */
function physicalRegister(cpu: Cpu, i: number): number {
  const top = (cpu.getI32(S.FSW) & X.TOP) >> X.TOP_SHIFT
  return (cpu.state + S.X87 + ((top + i) & 7) * S.X87_SIZE) >> 2
}

/** Takes x87 state from the legacy region. */
export function loadX87(cpu: Cpu, is64: boolean): void {
  const { i32 } = cpu.engine.memory
  const control = (areaView.getUint16(FCW, true) & X.CONTROL_MASK) | X.CONTROL_ONES
  cpu.set32(S.FCW, control)
  cpu.set32(S.FSW, X.summarize(areaView.getUint16(FSW, true), control))
  cpu.set32(S.FTW, areaBytes[FTW] as number)
  cpu.set32(S.FOP, areaView.getUint16(FOP, true) & 0x7ff)
  for (const [at, pointer, selector] of [
    [FIP, S.FIP, S.FCS],
    [FDP, S.FDP, S.FDS],
  ] as const) {
    cpu.set32(pointer, areaWords[at >> 2] as number)
    const upper = areaWords[(at >> 2) + 1] as number
    cpu.set32(pointer + 4, is64 ? upper : 0)
    cpu.set32(selector, is64 ? 0 : upper & 0xffff)
  }
  for (let i = 0; i < 8; i++) {
    const to = physicalRegister(cpu, i)
    const from = (ST0 + 16 * i) >> 2
    i32[to] = areaWords[from] as number
    i32[to + 1] = areaWords[from + 1] as number
    i32[to + 2] = (areaWords[from + 2] as number) & 0xffff
    i32[to + 3] = 0
  }
}

/** Writes MXCSR and its mask into the legacy region. */
export function saveMxcsr(cpu: Cpu): void {
  areaWords[MXCSR >> 2] = cpu.getI32(S.MXCSR)
  areaWords[(MXCSR >> 2) + 1] = MXCSR_MASK
}

/** MXCSR in the legacy region. */
export function areaMxcsr(): number {
  return areaWords[MXCSR >> 2] as number
}
