// Runs a scene on a machine that interprets, on machines that translate everything at once, and on
// machines that translate what the first of two passes has executed, with and without the means of the
// translator; all must do the same after each slice.

import assert from 'node:assert/strict'
import { Decoder } from 'iced-x86'
import { translationMode } from '../../src/x86/translator/options.ts'
import * as S from '../../src/x86/state.ts'
import { currentMode } from '../../src/x86/system/current-mode.ts'
import { ALL_FEATURES } from '../../src/x86/testing/bare-machine.ts'
import { CODE, SystemMachine } from '../../src/x86/testing/system-machine.ts'
import { assemble } from '../x86/assemble.ts'
import { differencesOf } from './differences.ts'

const PAGE = 4096
const P = 1n
const FRAME = 0xff000n
/** Guest memory that is compared. */
const COMPARED = 0x80000

/** Parts of the state block that the guest sees; what the processor keeps for itself stays. */
const REGISTERS = [
  [S.GPR, S.RIP_BASE],
  [S.SEG_BASE, S.BUDGET],
  [S.CPL, S.ATTENTION],
  [S.SEGMENT, S.SHADOW_RIP],
  [S.VECTORS, S.BOUNCE],
] as const

export interface Scene {
  readonly bits?: 32 | 64
  /** nasm source by the linear address it lies at; physical memory is the same where not mapped
   * otherwise by `setUp`. */
  readonly code: Readonly<Record<number, string>> | string
  /** Prepares a machine, before each pass; RIP is at CODE. */
  readonly setUp?: (m: SystemMachine) => void
  /** Called before each slice. */
  readonly before?: (m: SystemMachine, slice: number) => void
  /** Instructions of the slices, again and again. */
  readonly slices?: readonly number[]
  /** Most instructions of a pass. */
  readonly total?: number
}

/** Modes that are compared with the interpreter: all, or the one that the tests run in. */
const MODE = process.env['XENOLITH_TRANSLATE']
const MODES = MODE
  ? [MODE]
  : ['always', 'hot', 'always,no-sites', 'always,no-links', 'hot,no-links', 'always,seed=1']

interface Stage {
  readonly mode: string
  readonly machine: SystemMachine
}

/** Machines are made once: most of the time of a short scene would go into making them. */
const kept = new Map<32 | 64, Stages>()

interface Stages {
  readonly interpreted: SystemMachine
  readonly compared: readonly Stage[]
  /** One that stays as it was made. */
  readonly fresh: SystemMachine
}

function machines(bits: 32 | 64): Stages {
  const known = kept.get(bits)
  if (known) return known
  const make = (mode: string) => new SystemMachine(bits, ALL_FEATURES, translationMode(mode))
  const all = {
    interpreted: make('off'),
    compared: MODES.map((mode) => ({ mode, machine: make(mode) })),
    fresh: make('off'),
  }
  kept.set(bits, all)
  return all
}

/**
 * Runs a scene to its HLT, or for its total. Gives the machine that interpreted, which is good
 * until the next scene.
 */
export function alike(scene: Scene): SystemMachine {
  const { bits = 64, slices = [100_000], total = 100_000 } = scene
  const { interpreted, compared, fresh } = machines(bits)
  const pages = codeOf(scene)
  for (const pass of [0, 1]) {
    prepare(interpreted, fresh, scene, pages)
    for (const { machine } of compared) {
      prepare(machine, fresh, scene, pages)
      if (machine.engine.translator.isOn && pass === 1) translateAll(machine, bits, pages)
    }
    let executed = 0
    for (let slice = 0; executed < total; slice++) {
      const size = Math.min(slices[slice % slices.length] as number, total - executed)
      for (const machine of [interpreted, ...compared.map(({ machine }) => machine)])
        scene.before?.(machine, slice)
      const expected = interpreted.cpu.run(size)
      for (const { mode, machine } of compared) {
        const got = machine.cpu.run(size)
        const where = `${mode}, pass ${pass}, slice ${slice}, after ${executed} instructions`
        assert.deepEqual(differencesOf(interpreted, machine, COMPARED), [], where)
        assert.deepEqual(got, expected, where)
      }
      executed += expected.executed
      if (expected.reason !== 'budget') break
    }
  }
  return interpreted
}

function codeOf({ code, bits = 64 }: Scene): ReadonlyMap<number, Uint8Array> {
  const sources = typeof code === 'string' ? { [CODE]: code } : code
  return new Map(
    Object.entries(sources).map(([at, source]) => [Number(at), assemble(source, bits, Number(at))]),
  )
}

/** The state that a new machine is in, with the code; known blocks stay where nothing changed. */
function prepare(
  machine: SystemMachine,
  fresh: SystemMachine,
  scene: Scene,
  pages: ReadonlyMap<number, Uint8Array>,
): void {
  const { cpu, memory, ram } = machine
  for (let page = 0; page < COMPARED; page += PAGE) {
    const wanted = fresh.memory.u8.slice(fresh.ram + page, fresh.ram + page + PAGE)
    for (const [at, bytes] of pages) {
      const from = Math.max(at, page)
      const to = Math.min(at + bytes.length, page + PAGE)
      if (from < to) wanted.set(bytes.subarray(from - at, to - at), from - page)
    }
    const found = memory.u8.subarray(ram + page, ram + page + PAGE)
    if (Buffer.compare(wanted, found) !== 0) machine.load(page, wanted)
  }
  for (const [from, to] of REGISTERS) {
    const state = fresh.memory.u8.subarray(fresh.cpu.state + from, fresh.cpu.state + to)
    memory.u8.set(state, cpu.state + from)
  }
  cpu.isHalted = cpu.hasShadow = cpu.hasStackShadow = cpu.isNmiBlocked = false
  machine.interrupts.length = machine.ports.length = 0
  machine.device = undefined
  machine.onPortWrite = () => {}
  cpu.rest()
  cpu.modeChanged()
  scene.setUp?.(machine)
  cpu.flushTlb()
}

/** Translates what begins at each instruction. */
function translateAll(
  machine: SystemMachine,
  bits: 32 | 64,
  pages: ReadonlyMap<number, Uint8Array>,
): void {
  const { engine, cpu, ram } = machine
  const mode = currentMode(cpu)
  const host = (linear: number) => {
    const entry = machine.isLong ? machine.pageEntry(linear) : BigInt(linear & -PAGE) | P
    return entry & P ? ram + Number(entry & FRAME) + (linear & (PAGE - 1)) : -1
  }
  const places = [...pages].flatMap(([at, bytes]) =>
    instructionStarts(bits, at, bytes).flatMap((linear) => {
      if (host(linear) < 0) return []
      const block = engine.code.find(host(linear), mode, cpu.features, () => -1)
      if (block.rec === 0 || block.isCrossing) return []
      const peek = (offset: number) => {
        const there = host((linear & -PAGE) + offset)
        return there < 0 ? 0 : engine.code.known(there, mode)
      }
      // Whatever is guessed: the first instructions of the page.
      const targetsOf = (end: number) => {
        const page = Math.floor((end - 1) / PAGE) * PAGE
        const there = pages.get((linear & -PAGE) + page)
        const starts = there ? instructionStarts(bits, (linear & -PAGE) + page, there) : []
        return starts.slice(0, 12).map((start) => page + (start & (PAGE - 1)))
      }
      return [{ ...block, linear: { peek, targetsOf, nameOf: String } }]
    }),
  )
  engine.translator.translate(places)
}

function instructionStarts(bits: 32 | 64, at: number, bytes: Uint8Array): number[] {
  const decoder = new Decoder(bits, bytes, 0)
  decoder.ip = BigInt(at)
  const starts: number[] = []
  while (decoder.canDecode) {
    starts.push(Number(decoder.ip))
    decoder.decode()
  }
  return starts
}
