import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GuestProgram } from '../suite.ts'
import type { ProgramRun, SuiteRun } from '../timeline.ts'
import { bootRatio, rivalFigures, rivalMeans } from './comparison.ts'
import type { Outcome, RivalRun } from './run-rival.ts'

const PROGRAMS: readonly GuestProgram[] = [
  { name: 'sort', group: 'integer', size: 100 },
  { name: 'divide', group: 'integer', size: 100, isOnly64: true },
  { name: 'nbody', group: 'float', size: 100 },
]

const took = (ms: number, instructions: number, checksum = '12ab') => ({
  ms,
  cpuMs: ms / 2,
  instructions,
  checksum,
})

const ours = (sort: ProgramRun, boot = 0): SuiteRun => ({
  startMs: 0,
  boot: { ms: boot, cpuMs: boot, instructions: undefined },
  mitigations: new Map(),
  programs: new Map([
    ['sort', sort],
    ['divide', took(1, 1)],
    ['nbody', took(100, 1000)],
  ]),
})

const rival = (programs: Readonly<Record<string, Outcome>>, boot = 0): RivalRun => ({
  boot: { ms: boot, cpuMs: boot, instructions: undefined },
  mitigations: new Map(),
  programs: new Map(Object.entries(programs)),
})

test('a time is scaled by the instructions of the work, not by the size of the program', () => {
  // A tenth of the size is a fifth of the instructions: the rest prepares.
  const runs = [rival({ sort: took(300, 0) }), rival({ sort: took(500, 0) })]
  const figures = rivalFigures(PROGRAMS, runs, [ours(took(1000, 5000))], ours(took(1, 1000)))
  assert.deepEqual(figures.get('sort'), { ms: 2000, ratio: 2, cpuRatio: 2 })
})

test('a program that failed once, gave a wrong result or was not built has no figure', () => {
  const runs = [
    rival({ sort: took(300, 0), nbody: took(300, 0, 'beef') }),
    rival({ sort: { why: 'sort failed with status 139' }, nbody: took(300, 0, 'beef') }),
  ]
  const figures = rivalFigures(PROGRAMS, runs, [ours(took(1000, 5000))], ours(took(1, 1000)))
  assert.deepEqual(Object.fromEntries(figures), {
    sort: { why: 'sort failed with status 139' },
    divide: { why: 'it has no 32-bit build' },
    nbody: { why: 'its result is beef, and should be 12ab' },
  })
})

test('means are those of the programs that have figures, and say how many those are', () => {
  const figures = new Map([
    ['sort', { ms: 1, ratio: 2, cpuRatio: 4 }],
    ['divide', { why: 'it has no 32-bit build' }],
    ['nbody', { ms: 1, ratio: 8, cpuRatio: 4 }],
  ] as const)
  const rounded = rivalMeans(PROGRAMS, figures).map(({ ratio, cpuRatio, ...rest }) => ({
    ...rest,
    ratio: ratio.toFixed(3),
    cpuRatio: cpuRatio.toFixed(3),
  }))
  assert.deepEqual(rounded, [
    { group: 'integer', of: 2, measured: 1, ratio: '2.000', cpuRatio: '4.000' },
    { group: 'float', of: 1, measured: 1, ratio: '8.000', cpuRatio: '4.000' },
    { group: 'all', of: 3, measured: 2, ratio: '4.000', cpuRatio: '4.000' },
  ])
  const [mean] = rivalMeans(PROGRAMS, new Map())
  assert.deepEqual([mean?.measured, Number.isNaN(mean?.ratio)], [0, true])
})

test('boots are compared by their medians, where the rival has any', () => {
  const own = [ours(took(1, 1), 100)]
  assert.equal(bootRatio([rival({}, 200), rival({}, 400), rival({}, 300)], own), 3)
  assert.ok(Number.isNaN(bootRatio([], own)))
})
