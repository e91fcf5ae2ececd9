// Runs a program on the interpreter and on a machine that translates, slice by slice, and says what
// differs: registers, flags, memory, executed instructions.

import type { EngineOptions } from '../../src/x86/engine.ts'
import { differencesOf } from './differences.ts'
import { translationMode } from '../../src/x86/translator/options.ts'
import * as L from './layout.ts'
import { ProgramMachine } from './machine.ts'
import { layOut, type Layout, type Program, type ProgramEvent } from './program.ts'

/** Halts after which a program that waits is given no more interrupts. */
const MOST_HALTS = 4
/** Modules after which a program ends that writes into its code all the time. */
const MOST_MODULES = 12
const WAKE_VECTOR = 0x7f

export interface Difference {
  readonly slice: number
  /** Instructions that the interpreter had executed before this slice. */
  readonly executed: number
  readonly found: readonly string[]
}

/** The machines that programs run on, made when they are needed. */
export class Machines {
  readonly #machines = new Map<string, ProgramMachine>()
  readonly #options: EngineOptions

  constructor(options: EngineOptions = {}) {
    this.#options = options
  }

  /** The machine that a program is interpreted on. */
  interpreter(bits: 32 | 64): ProgramMachine {
    return this.#get(`${bits} interpreter`, bits, 'off')
  }

  /** The machine of a mode. */
  get(bits: 32 | 64, mode: string): ProgramMachine {
    return this.#get(`${bits} ${mode}`, bits, mode)
  }

  #get(key: string, bits: 32 | 64, mode: string): ProgramMachine {
    const known = this.#machines.get(key)
    if (known) return known
    const machine = new ProgramMachine(bits, translationMode(mode), this.#options)
    this.#machines.set(key, machine)
    return machine
  }
}

/** Runs a program; gives the first difference. */
export function compare(
  machines: Machines,
  program: Program,
  layout = layOut(program),
): Difference | undefined {
  const a = machines.interpreter(program.bits)
  const b = machines.get(program.bits, program.mode)
  const found = (what: string, one: string | number, other: string | number) =>
    `${what}: interpreted ${one}, translated ${other}`
  a.prepare(program, layout)
  b.prepare(program, layout)
  let executed = 0
  let halts = 0
  const { counters } = b.engine.translator
  const lastModule = counters.modules + MOST_MODULES
  for (let slice = 0; executed < program.total && counters.modules < lastModule; slice++) {
    for (const event of program.events) {
      if (event.slice !== slice) continue
      happen(a, event, layout)
      happen(b, event, layout)
    }
    const size = program.slices[slice % program.slices.length] as number
    const first = step(a, Math.min(size, program.total - executed))
    const second = step(b, Math.min(size, program.total - executed))
    const differences = [
      ...(first.executed === second.executed
        ? []
        : [found('executed', first.executed, second.executed)]),
      ...(first.reason === second.reason ? [] : [found('reason', first.reason, second.reason)]),
      ...differencesOf(a, b, L.RAM_BYTES),
    ]
    if (differences.length > 0) return { slice, executed, found: differences }
    executed += first.executed
    if (first.reason === 'shutdown') return undefined
    if (first.reason === 'exit' && first.executed === 0) return undefined
    if (first.reason !== 'halt') continue
    if (!a.isInterruptible || ++halts > MOST_HALTS) return undefined
    for (const machine of [a, b]) interrupt(machine, WAKE_VECTOR)
  }
  return undefined
}

function step(machine: ProgramMachine, instructions: number): { executed: number; reason: string } {
  machine.cpu.rest()
  try {
    return machine.cpu.run(instructions)
  } catch (error) {
    return {
      executed: -1,
      reason: error instanceof Error ? (error.stack ?? error.message) : String(error),
    }
  }
}

function interrupt(machine: ProgramMachine, vector: number): void {
  machine.interrupts.push(vector)
  machine.cpu.interruptsChanged()
}

function happen(machine: ProgramMachine, event: ProgramEvent, layout: Layout): void {
  switch (event.kind) {
    case 'interrupt':
      return interrupt(machine, event.vector as number)
    case 'nmi':
      machine.nmis++
      return machine.cpu.interruptsChanged()
    case 'flush':
      return machine.cpu.flushTlb()
    case 'forget':
      return machine.engine.code.flush()
    case 'translate':
      return translate(machine, event.items ?? [], layout)
  }
}

/** Decodes what begins at items, and translates some of it. */
function translate(machine: ProgramMachine, items: readonly number[], layout: Layout): void {
  for (const address of layout.addresses) machine.block(address)
  const { translator } = machine.engine
  if (translator.isOn)
    translator.translate(items.flatMap((item) => machine.place(layout.addresses[item] as number)))
}
