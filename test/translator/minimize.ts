// Makes a failing program smaller while it still fails: items and events are taken out, many at a
// time at first.

import { compare, type Difference, type Machines } from './compare.ts'
import type { Program } from './program.ts'

export interface Minimized {
  readonly program: Program
  readonly difference: Difference
}

/** The smallest program found that fails as well; `difference`: that of the given one. */
export function minimize(machines: Machines, program: Program, difference: Difference): Minimized {
  let smallest: Minimized = { program, difference }
  const attempt = (candidate: Program) => {
    const found = compare(machines, candidate)
    if (found) smallest = { program: candidate, difference: found }
    return found !== undefined
  }
  for (let before = -1; before !== size(smallest.program); ) {
    before = size(smallest.program)
    for (let count = program.items.length; count >= 1; count >>= 1) {
      for (let from = program.items.length - 1; from >= 0; from -= count) {
        const isTaken = (i: number) => i <= from && i > from - count
        const { items } = smallest.program
        if (!items.some((item, i) => isTaken(i) && !item.isRemoved)) continue
        attempt({
          ...smallest.program,
          items: items.map((item, i) => (isTaken(i) ? { ...item, isRemoved: true } : item)),
        })
      }
    }
    for (const event of smallest.program.events) {
      const events = smallest.program.events.filter((one) => one !== event)
      attempt({ ...smallest.program, events })
    }
    for (const [i, item] of smallest.program.items.entries()) {
      if (item.onPage === undefined || item.isRemoved) continue
      const { onPage: _, ...plain } = item
      attempt({ ...smallest.program, items: smallest.program.items.with(i, plain) })
    }
  }
  for (const simpler of simplerStates(smallest.program))
    attempt({ ...smallest.program, ...simpler })
  return smallest
}

function size({ items, events }: Program): number {
  return items.filter(({ isRemoved }) => !isRemoved).length + events.length
}

function simplerStates(program: Program): Partial<Program>[] {
  const zeros = (bytes: Uint8Array) => new Uint8Array(bytes.length)
  return [
    { data: zeros(program.data) },
    { vectors: zeros(program.vectors) },
    { x87: zeros(program.x87), fsw: 0, fcw: 0x37f, ftw: 0 },
    { mxcsr: 0x1f80 },
    { breakpoints: [] },
    { options: 0 },
    { isTaskSwitched: false },
    { checksAlignment: false },
    { hasSmap: false },
    { start: 0 },
    { flags: 2 },
    { slices: [100_000] },
    { isUser: false, hasIst: true },
  ]
}
