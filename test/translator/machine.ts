// The machine that random programs run in: a processor with page tables, descriptor tables and the
// handlers of handlers.ts. It is made once and put into the state that each program wants.

import {
  CR0_AM,
  CR0_PG,
  CR0_WP,
  CR4_FSGSBASE,
  CR4_PAE,
  CR4_SMAP,
  EFER_LMA,
  EFER_LME,
  EFER_NXE,
  EFER_SCE,
} from '../../src/x86/mmu/walker.ts'
import type { EngineOptions } from '../../src/x86/engine.ts'
import type { TranslationMode } from '../../src/x86/translator/options.ts'
import type { Block } from '../../src/x86/interpreter/code-cache.ts'
import * as S from '../../src/x86/state.ts'
import { updateWalker } from '../../src/x86/system/control-registers.ts'
import { currentMode } from '../../src/x86/system/current-mode.ts'
import { setSegment } from '../../src/x86/system/segment-access.ts'
import { ALL_FEATURES, BareMachine } from '../../src/x86/testing/bare-machine.ts'
import {
  ACCESS_CODE,
  ACCESS_DATA,
  descriptor,
  FLAGS_32,
  FLAGS_64,
} from '../../src/x86/testing/system-machine.ts'
import { handlers } from './handlers.ts'
import * as L from './layout.ts'
import type { Layout, Program } from './program.ts'

const PAGE = 4096
const P = 1
const RW = 2
const US = 4
const FLAG_IF = 0x200
const CR0_TS = 8
const MAX_ENTRIES = 400

export class ProgramMachine extends BareMachine {
  readonly bits: 32 | 64
  readonly #template: Uint8Array
  readonly #state: Uint8Array
  readonly #next = new Uint8Array(L.RAM_BYTES)

  constructor(bits: 32 | 64, mode: TranslationMode, options: EngineOptions = {}) {
    super(L.RAM_BYTES, bits, ALL_FEATURES, mode, options)
    this.bits = bits
    this.onPortWrite = (port, value) => {
      if (port === L.PORT_EXIT) this.cpu.requestExit()
      if (port !== L.PORT_INTERRUPT) return
      this.interrupts.push(0x40 + (value & 0x3f))
      this.cpu.interruptsChanged()
    }
    this.#writeTables()
    this.#registers()
    const { memory, ram, cpu } = this
    this.#template = memory.u8.slice(ram, ram + L.RAM_BYTES)
    this.#state = memory.u8.slice(cpu.state, cpu.state + S.STATE_SIZE)
  }

  /** The supervisor's linear address of a physical one. */
  high(physical: number): bigint {
    return (this.bits === 64 ? L.SUPERVISOR_64 : BigInt(L.SUPERVISOR_32)) + BigInt(physical)
  }

  #put(gpa: number, value: bigint): void {
    this.memory.view.setBigUint64(this.ram + gpa, BigInt.asUintN(64, value), true)
  }

  #writeTables(): void {
    const put = (table: number, index: number, value: number) =>
      this.#put(table + index * 8, BigInt(value))
    put(L.PML4, 0, L.PDPT | P | RW | US)
    put(L.PML4, 511, L.PDPT | P | RW | US)
    put(L.PDPT, 0, L.PD | P | RW | US)
    put(L.PDPT, 511, L.PD_HIGH | P | RW)
    put(L.PDPT_32, 0, L.PD | P)
    put(L.PDPT_32, 3, L.PD_HIGH | P)
    put(L.PD_HIGH, 0, L.PT_HIGH | P | RW)
    put(L.PD, L.DATA >>> 21, L.PT_DATA | P | RW | US)
    put(L.PD, L.CODE >>> 21, L.PT_CODE | P | RW | US)
    for (let i = 0; i < L.RAM_BYTES / PAGE; i++) put(L.PT_HIGH, 256 + i, (i * PAGE) | P | RW)
    const all = P | RW | US
    for (const [i, rights] of [all, all, P | US, US].entries()) {
      put(L.PT_DATA, i, (L.DATA_FRAME + i * PAGE) | rights)
    }
    put(L.PT_DATA, (L.DATA_AGAIN - L.DATA) / PAGE, L.DATA_FRAME | all)
    for (let i = 0; i < L.STACK_BYTES / PAGE; i++) {
      put(L.PT_DATA, (L.STACK - L.DATA) / PAGE + i, (L.STACK_FRAME + i * PAGE) | all)
    }
    for (let i = 0; i < L.CODE_BYTES / PAGE; i++) {
      put(L.PT_CODE, i, (L.CODE_FRAME + i * PAGE) | all)
      put(L.PT_CODE, L.AGAIN / PAGE + i, (L.CODE_FRAME + i * PAGE) | all)
    }
    const describe = (selector: number, access: number, flags: number) =>
      this.#put(L.GDT + (selector & 0xfff8), descriptor(0, 0xfffff, access, flags))
    describe(L.CODE64, ACCESS_CODE, FLAGS_64)
    describe(L.CODE32, ACCESS_CODE, FLAGS_32)
    describe(L.DATA32, ACCESS_DATA, FLAGS_32)
    describe(L.USER_CODE32, ACCESS_CODE | 0x60, FLAGS_32)
    describe(L.USER_CODE64, ACCESS_CODE | 0x60, FLAGS_64)
    describe(L.USER_DATA, ACCESS_DATA | 0x60, FLAGS_32)
    this.#put(L.TASK + 0x60, 0xffffn << 48n)
    const { view } = this.memory
    if (this.bits === 64) {
      this.#put(L.TASK + 4, this.high(L.LEVEL0_TOP))
      this.#put(L.TASK + 36, this.high(L.IST_TOP))
    } else {
      view.setUint32(this.ram + L.TASK + 4, Number(this.high(L.LEVEL0_TOP)), true)
      view.setUint32(this.ram + L.TASK + 8, L.DATA32, true)
    }
    this.memory.u8.set(handlers(this.bits), this.ram + L.HANDLERS)
  }

  #gates(hasIst: boolean): void {
    for (let vector = 0; vector < 256; vector++) {
      const target = this.high(L.HANDLERS + vector * 16)
      const canBeAsked = vector === 3 || vector === 4 || vector >= 32
      const selector = this.bits === 64 ? L.CODE64 : L.CODE32
      const high = 0x8e00 | (canBeAsked ? 0x6000 : 0) | (hasIst ? 1 : 0)
      const gate =
        (target & 0xffffn) |
        (BigInt(selector) << 16n) |
        (BigInt(high) << 32n) |
        ((target & 0xffff0000n) << 32n)
      this.#put(L.IDT + vector * (this.bits / 4), gate)
      if (this.bits === 64) this.#put(L.IDT + vector * 16 + 8, BigInt.asUintN(64, target) >> 32n)
    }
  }

  #registers(): void {
    const { cpu } = this
    cpu.set32(S.CR4, cpu.cr4 | CR4_PAE | CR4_FSGSBASE)
    cpu.set32(S.EFER, this.bits === 64 ? EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE : EFER_NXE)
    cpu.setU64(S.CR3, BigInt(this.bits === 64 ? L.PML4 : L.PDPT_32))
    cpu.set32(S.CR0, cpu.cr0 | CR0_PG | CR0_WP | 2)
    cpu.setU64(S.XCR0, 3n)
    cpu.setU64(S.IDT_BASE, this.high(L.IDT))
    cpu.set32(S.IDT_LIMIT, 0xfff)
    cpu.setU64(S.GDT_BASE, this.high(L.GDT))
    cpu.set32(S.GDT_LIMIT, 0x7f)
    setSegment(cpu, S.TR, L.TASK_SELECTOR, this.high(L.TASK), 0x67, 0x8b00)
  }

  /** Puts the machine into the state that a program starts in. */
  prepare(program: Program, layout: Layout): void {
    const { cpu, memory } = this
    this.interrupts.length = 0
    this.nmis = 0
    this.ports.length = 0
    this.#prepareMemory(program, layout)
    memory.u8.set(this.#state, cpu.state)
    cpu.isHalted = cpu.hasShadow = cpu.hasStackShadow = cpu.isNmiBlocked = false
    this.#prepareSegments(program)
    for (const [n, value] of program.registers.entries()) cpu.writeRegister(n, value)
    cpu.rflags = program.flags
    cpu.rip = BigInt(L.CODE + program.start)
    if (program.isTaskSwitched) cpu.set32(S.CR0, cpu.cr0 | CR0_TS)
    if (program.hasSmap) cpu.set32(S.CR4, cpu.cr4 | CR4_SMAP)
    if (program.checksAlignment) cpu.set32(S.CR0, cpu.cr0 | CR0_AM)
    for (let i = 0; i < 16; i++) {
      memory.u8.set(
        program.vectors.subarray(i * 16, i * 16 + 16),
        cpu.state + S.VECTORS + i * S.VECTOR_SIZE,
      )
    }
    for (let i = 0; i < 8; i++) {
      memory.u8.set(program.x87.subarray(i * 10, i * 10 + 10), cpu.state + S.X87 + i * S.X87_SIZE)
    }
    cpu.set32(S.FCW, program.fcw)
    cpu.set32(S.FSW, program.fsw)
    cpu.set32(S.FTW, program.ftw)
    cpu.set32(S.MXCSR, program.mxcsr)
    const [dr0 = 0, dr1 = 0, dr2 = 0, dr3 = 0, dr7 = 0x400] = program.breakpoints
    for (const [i, value] of [dr0, dr1, dr2, dr3].entries()) cpu.setU64(S.DR + i * 8, BigInt(value))
    cpu.setU64(S.DR + 6 * 8, 0xffff0ff0n)
    cpu.setU64(S.DR + 7 * 8, BigInt(dr7))
    updateWalker(cpu)
    cpu.modeChanged()
    cpu.flushTlb()
  }

  #prepareSegments({ isUser, bases }: Program): void {
    const { cpu, bits } = this
    const dpl = isUser ? 0x6000 : 0
    const code =
      bits === 64 ? (isUser ? L.USER_CODE64 : L.CODE64) : isUser ? L.USER_CODE32 : L.CODE32
    const flags = (bits === 64 ? FLAGS_64 : FLAGS_32) << 20
    setSegment(cpu, S.CS, code, 0n, 0xffffffff, 0x9b00 | dpl | flags)
    for (const segment of [S.ES, S.SS, S.DS, S.FS, S.GS]) {
      const selector = isUser ? L.USER_DATA : L.DATA32
      setSegment(cpu, segment, selector, 0n, 0xffffffff, 0x9300 | dpl | (FLAGS_32 << 20))
    }
    if (bits === 64) {
      cpu.setSegmentBase(S.FS, BigInt(bases[0]))
      cpu.setSegmentBase(S.GS, BigInt(bases[1]))
    }
    cpu.set32(S.CPL, isUser ? 3 : 0)
  }

  /**
   * Only pages that are not as they should be are written, and those with code: what was decoded for
   * another program, on one machine and not on the other, would count when this one writes there.
   */
  #prepareMemory(program: Program, layout: Layout): void {
    const { memory, ram } = this
    const next = this.#next
    next.set(this.#template)
    this.#gates(program.hasIst && this.bits === 64)
    // The rest of a short table's page is data, which another program may have changed.
    const gates = 256 * (this.bits / 4)
    next.set(memory.u8.subarray(ram + L.IDT, ram + L.IDT + gates), L.IDT)
    next.set(layout.bytes, L.CODE_FRAME)
    next.set(layout.bytes, L.OTHER_FRAME)
    // The other code differs where items begin with MOV of an immediate.
    for (const address of layout.addresses) {
      const at = address - L.CODE + L.OTHER_FRAME
      const opcode = next[at] as number
      if ((opcode & 0xf8) === 0xb8) next[at + 1] = (next[at + 1] as number) ^ 0x55
    }
    next.set(program.data, L.DATA_FRAME)
    const { buffer } = layout.resume
    next.set(new Uint8Array(buffer, layout.resume.byteOffset, layout.resume.byteLength), L.RESUME)
    const view = new DataView(next.buffer)
    view.setUint32(L.LOG + 4, MAX_ENTRIES, true)
    view.setUint32(L.LOG + 8, program.options, true)
    view.setUint32(L.LOG + 16, layout.end, true)
    for (let page = 0; page < L.RAM_BYTES; page += PAGE) {
      const wanted = next.subarray(page, page + PAGE)
      const found = memory.u8.subarray(ram + page, ram + page + PAGE)
      const isCode = page >= L.CODE_FRAME || page === L.HANDLERS
      if (isCode || Buffer.compare(wanted, found) !== 0) this.load(page, wanted)
    }
  }

  /** Host address of a linear address of the code, or -1. */
  #host(linear: number): number {
    const number = (linear - L.CODE) >>> 12
    if (number >= (2 * L.AGAIN) >>> 12) return -1
    const entry = this.memory.view.getUint32(this.ram + L.PT_CODE + number * 8, true)
    return entry & P ? this.ram + ((entry & 0xff000) | (linear & 0xfff)) : -1
  }

  /** The block at a linear address of the code, decoded now; undefined if there is none. */
  block(linear: number): Block | undefined {
    const { cpu } = this
    const host = this.#host(linear)
    if (host < 0) return undefined
    const found = this.engine.code.find(host, currentMode(cpu), cpu.features, () => -1)
    return found.rec === 0 || found.isCrossing ? undefined : found
  }

  /** The same as a place where a region may begin, or nothing. */
  place(linear: number) {
    const found = this.block(linear)
    if (!found) return []
    const peek = (offset: number) => {
      const host = this.#host((linear & -PAGE) + offset)
      return host < 0 ? 0 : this.engine.code.known(host, found.mode)
    }
    const { targets } = this.engine.translator
    const targetsOf = (end: number) => {
      const page = Math.floor((end - 1) / PAGE) * PAGE
      return targets.of((linear & -PAGE) + page, 0, end - page).map((target) => page + target)
    }
    return [{ ...found, linear: { peek, targetsOf, nameOf: String } }]
  }

  /** Are interrupts enabled. */
  get isInterruptible(): boolean {
    return (this.cpu.getI32(S.RFLAGS) & FLAG_IF) !== 0
  }
}
