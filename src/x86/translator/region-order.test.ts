// Regions that another thread makes: they are the same, they come late, and what has changed meanwhile
// is seen.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assemble } from '../../../test/x86/assemble.ts'
import { RBX, RDX, RSP } from '../state.ts'
import { currentMode } from '../system/current-mode.ts'
import { BareMachine } from '../testing/bare-machine.ts'
import { OrderCompiler } from './order-compiler.ts'
import { RegionCompiler } from './region-compiler.ts'
import type { CompilerThread, Delivery, Order, ThreadSetup } from './region-order.ts'

const CODE = 0x1000
const ANOTHER_PAGE = 0x3000

/** Makes regions when it is told to. */
class PatientCompiler implements CompilerThread {
  hasEnded = false
  readonly compiler: OrderCompiler
  readonly orders: Order[] = []
  readonly finished: Delivery[] = []
  readonly #onOrder: (order: Order) => void

  constructor(setup: ThreadSetup, onOrder: (order: Order) => void = () => {}) {
    this.compiler = new OrderCompiler(setup)
    this.#onOrder = onOrder
  }

  order(order: Order): void {
    this.orders.push(structuredClone(order))
    this.#onOrder(order)
  }

  deliver(): Delivery | undefined {
    return this.finished.shift()
  }

  finish(): void {
    for (const order of this.orders.splice(0)) this.finished.push(this.compiler.make(order))
  }
}

/** A machine with such a thread. */
function patientMachine(onOrder?: (order: Order) => void) {
  let thread: PatientCompiler | undefined
  const machine = new BareMachine(1 << 16, 64, undefined, 'hot', {
    startCompiler: (setup) => {
      thread = new PatientCompiler(setup, onOrder)
      return thread
    },
  })
  assert.ok(thread)
  return { machine, thread, counters: machine.engine.translator.counters }
}

/** Does something, and gives the bytes of the modules that are compiled meanwhile. */
function modulesOf(make: () => void): Uint8Array[] {
  const { Module } = WebAssembly
  const made: Uint8Array[] = []
  WebAssembly.Module = class extends Module {
    constructor(bytes: Uint8Array<ArrayBuffer>) {
      super(bytes)
      made.push(bytes)
    }
  }
  try {
    make()
  } finally {
    WebAssembly.Module = Module
  }
  return made
}

/** Loops, calls of small and other functions, an indirect branch, flags across blocks, memory. */
const PROGRAM = `
start:
  mov ecx, 1000
again:
  call small
  lea rax, [rel first]
  test ecx, 1
  lea rsi, [rel second]
  cmovz rax, rsi
  jmp rax
first:
  add rbx, [rel value]
  adc rdx, 0
  jmp behind
second:
  add dword [rel value], 3
behind:
  call large
  dec ecx
  jnz again
  out 0x80, al
  jmp start
small:
  inc r8
  ret
large:
  ${'inc r9\n'.repeat(150)}
  ret
align 8
value: dq 5`

test('a thread makes the same modules from orders as they are made here', () => {
  let compared = 0
  let here: RegionCompiler | undefined
  const { machine, thread } = patientMachine((order) => {
    const { engine, memory, ram, cpu } = machine
    const { translator, handlers, code } = engine
    const handlerAt = (index: number) => handlers.at(translator.original(index))
    here ??= new RegionCompiler(memory, handlerAt, engine.options)
    const find = (offset: number) => code.known(ram + CODE + offset, currentMode(cpu))
    const wanted = order.regions.map(({ targets, ...region }) => ({
      ...region,
      around: { find, targetsOf: (end: number) => targets.get(end) ?? [] },
    }))
    const expected = modulesOf(() => here?.compile(wanted))
    // So many that the memory of the thread is begun anew.
    const elsewhere = Array.from(
      { length: 2100 },
      (_, i) => [4096 * i, new Uint8Array(32)] as const,
    )
    thread.compiler.make({ handlers: [], records: new Map(elsewhere), regions: [] })
    const made = modulesOf(() => thread.finish())
    assert.deepEqual(made, expected)
    compared += made.length
  })
  machine.load(CODE, assemble(PROGRAM, 64, CODE))
  machine.cpu.writeRegister(RSP, 0x800n)
  machine.cpu.rip = BigInt(CODE)
  for (let executed = 0; executed < 60_000_000; ) executed += machine.cpu.run(100_000).executed
  assert.ok(compared >= 3, `${compared} modules`)
  assert.ok(machine.engine.translator.counters.live > 0)
})

/** Two loops in turns, on pages of their own; each adds to a register of its own. */
function loops(secondStep: number): Uint8Array {
  return assemble(
    `start:
       mov ecx, 1000000
     first:
       add ebx, 1
       dec ecx
       jnz first
       mov ecx, 1000000
       jmp second
       times ${ANOTHER_PAGE - CODE} - ($ - $$) nop
     second:
       add edx, ${secondStep}
       dec ecx
       jnz second
       out 0x80, al
       jmp start`,
    64,
    CODE,
  )
}

/** Runs the loops: once, until both are ordered; `meanwhile` happens; then three times more. */
function runLoops(meanwhile: (running: ReturnType<typeof patientMachine>) => void): bigint[][] {
  const running = patientMachine()
  const { machine, thread, counters } = running
  const { cpu } = machine
  const passes: bigint[][] = []
  machine.onPortWrite = () => passes.push([cpu.readRegister(RBX), cpu.readRegister(RDX)])
  machine.load(CODE, loops(1))
  cpu.rip = BigInt(CODE)
  while (passes.length < 1) cpu.run(100_000)
  assert.ok(thread.orders.length > 0)
  assert.equal(counters.regions, 0)
  meanwhile(running)
  while (passes.length < 4) {
    cpu.run(100_000)
    thread.finish()
  }
  return passes
}

test('regions are there when they are delivered', () => {
  const passes = runLoops(({ thread }) => thread.finish())
  assert.deepEqual(passes[3], [4_000_000n, 4_000_000n])
})

test('nothing comes of a region whose code was written while it was made', () => {
  let live = () => 0
  const passes = runLoops(({ machine, thread, counters }) => {
    live = () => counters.live
    machine.load(CODE, loops(3))
    thread.finish()
    machine.cpu.run(1_000_000)
    assert.equal(counters.regions, 0, 'what was ordered is not used')
  })
  assert.deepEqual(passes[3], [4_000_000n, 10_000_000n])
  assert.ok(live() > 0, 'they are made anew')
})

test('nothing comes of regions that were ordered before all was forgotten', () => {
  const passes = runLoops(({ machine, thread, counters }) => {
    machine.engine.code.flush()
    thread.finish()
    machine.cpu.run(200_000)
    assert.equal(counters.regions, 0)
  })
  assert.deepEqual(passes[3], [4_000_000n, 4_000_000n])
})

test('regions that come later by a number of samples are the same', () => {
  const machine = new BareMachine(1 << 16, 64, undefined, 'hot', { policy: { latency: 20 } })
  const passes: bigint[] = []
  machine.onPortWrite = () => passes.push(machine.cpu.readRegister(RDX))
  machine.load(CODE, loops(5))
  machine.cpu.rip = BigInt(CODE)
  while (passes.length < 3) machine.cpu.run(100_000)
  assert.deepEqual(passes, [5_000_000n, 10_000_000n, 15_000_000n])
  assert.ok(machine.engine.translator.counters.live > 0)
})

test('a translator whose thread is far behind makes regions as well', () => {
  const { machine, thread, counters } = patientMachine()
  const loop = (i: number) => `mov ecx, 1000000\nloop${i}: add edx, 1\ndec ecx\njnz loop${i}\n`
  const source = Array.from({ length: 40 }, (_, i) => loop(i)).join('')
  machine.load(CODE, assemble(`${source}out 0x80, al\nhlt`, 64, CODE))
  machine.cpu.rip = BigInt(CODE)
  while (machine.ports.length === 0) machine.cpu.run(100_000)
  assert.equal(machine.cpu.readRegister(RDX), 40_000_000n)
  assert.ok(thread.orders.length > 0 && thread.orders.length <= 8, `${thread.orders.length} orders`)
  assert.ok(counters.regions > 0)
})

test('without its thread, a translator makes what is hot itself', () => {
  const passes = runLoops(({ machine, thread, counters }) => {
    thread.hasEnded = true
    for (let turns = 0; counters.regions === 0 && turns < 100; turns++) machine.cpu.run(100_000)
    assert.ok(counters.regions > 0)
  })
  assert.deepEqual(passes[3], [4_000_000n, 4_000_000n])
})
