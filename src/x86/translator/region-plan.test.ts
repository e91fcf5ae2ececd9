// Loops as plans have them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assemble } from '../../../test/x86/assemble.ts'
import { currentMode } from '../system/current-mode.ts'
import { BareMachine } from '../testing/bare-machine.ts'
import { type Plan, Planner } from './region-plan.ts'

const CODE = 0x1000
const LIMITS = { nodes: 32, instructions: 200, callee: 16 }

/** Runs code to its HLT and plans the region at a label; with the offsets of all labels. */
function planAt(label: string, source: string): { plan: Plan; labels: Map<string, number> } {
  const names = [...source.matchAll(/^ *(\w+):/gm)].map(([, name]) => name as string)
  // NASM tells where its labels are by what it assembles of them.
  const table = assemble(
    `${source}\nalign 8\n${names.map((name) => `dq ${name}`).join('\n')}`,
    64,
    CODE,
  )
  const offsets = new BigUint64Array(table.slice(-8 * names.length).buffer)
  const labels = new Map(names.map((name, i) => [name, Number(offsets[i]) - CODE]))
  const machine = new BareMachine(1 << 16, 64, undefined, 'off')
  const { cpu, engine, memory, ram } = machine
  machine.load(CODE, table)
  cpu.rip = BigInt(CODE)
  cpu.run(100_000)
  const mode = currentMode(cpu)
  const find = (offset: number) => engine.code.known(ram + CODE + offset, mode)
  const planner = new Planner(memory, (index) => engine.handlers.at(index))
  const around = { find, targetsOf: () => [] }
  const plan = planner.plan(find(labels.get(label) as number), around, LIMITS)
  assert.ok(plan)
  return { plan, labels }
}

/** From which labels the loops at the plan's entry are gone on with, the outermost first. */
function loopsOf({ plan, labels }: ReturnType<typeof planAt>): string[][] {
  const nameOf = new Map([...labels].map(([name, offset]) => [offset, name]))
  return plan.entry.backs.map((backs) => [...backs].map(({ start }) => nameOf.get(start) ?? '?'))
}

test('a region that begins in an inner loop knows the outer one as another loop', () => {
  const source = `
    mov ecx, 3
  outer:
    mov ebx, 3
  inner:
    add eax, ebx
    dec ebx
    jnz inner
    dec ecx
    jnz outer
    hlt`
  assert.deepEqual(loopsOf(planAt('inner', source)), [['outer'], ['inner']])
})

test('of three loops in each other, the outermost goes on through the middle one', () => {
  const source = `
    mov edx, 3
  outermost:
    mov ecx, 3
  outer:
    mov ebx, 3
  inner:
    dec ebx
    jnz inner
    dec ecx
    jnz outer
    dec edx
    jnz outermost
    hlt`
  // The outermost goes on through what the middle one goes on with.
  const loops = loopsOf(planAt('inner', source))
  assert.deepEqual(loops, [['outer'], ['inner']])
})

test('ways back of one loop that do not contain each other stay together', () => {
  const source = `
    mov ecx, 9
  again:
    test ecx, 1
    jnz odd
  even:
    dec ecx
    jnz again
    hlt
  odd:
    dec ecx
    jnz again
    hlt`
  const [both, ...others] = loopsOf(planAt('again', source))
  assert.deepEqual(both?.toSorted(), ['even', 'odd'])
  assert.deepEqual(others, [])
})
