// Compares translated code with the interpreter on random programs:
//
//   tools/translator-fuzz [--programs N] [--seed N] [--mode MODE] [--state FILE] [--seconds N] [--keep]
//
// Programs have the numbers from the seed on, and say themselves in which mode they are translated,
// unless --mode does (as in always,no-sites: src/x86/translator/options.ts). Prints, for each that
// differs, what differs and the program, made as small as it could be unless it is to --keep its
// length; --seed N --programs 1 runs it again. What has been done is kept in the --state file: the same
// command goes on from there after it was ended, by Ctrl-C or when its --seconds were over.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { compare, Machines } from './compare.ts'
import { programOf } from './generate.ts'
import { listing } from './listing.ts'
import { minimize } from './minimize.ts'

/** Programs after which the machines are made anew. */
const LIFETIME = 20_000
/** Programs after which the state is kept and signals are looked for. */
const STEP = 100
const NEWS_SECONDS = 10
/** Differences are part of the program's answer; the run that has them all done ends with them. */
const EXIT_DIFFERENT = 1
const EXIT_UNFINISHED = 3

/** What is kept in the state file. */
interface State {
  readonly first: number
  readonly count: number
  readonly mode: string | undefined
  /** The next program. */
  next: number
  /** Seconds that it has taken so far. */
  seconds: number
  readonly different: number[]
}

const { values } = parseArgs({
  options: {
    programs: { type: 'string', default: '5000' },
    seed: { type: 'string', default: '1' },
    mode: { type: 'string' },
    state: { type: 'string' },
    seconds: { type: 'string', default: 'Infinity' },
    keep: { type: 'boolean', default: false },
  },
})

const state = begin()
const end = state.first + state.count
let isInterrupted = false
process.once('SIGINT', () => {
  isInterrupted = true
})
await run(Number(values.seconds))
const { different } = state
const seconds = state.seconds.toFixed(1)
const done = state.next - state.first
console.log(
  `${done} programs from seed ${state.first} in ${seconds} s: ${different.length} differ` +
    (different.length > 0 ? ` (${different.join(', ')})` : ''),
)
if (state.next < end) console.log(`${end - state.next} are left`)
process.exitCode = different.length > 0 ? EXIT_DIFFERENT : state.next < end ? EXIT_UNFINISHED : 0

function begin(): State {
  const { seed, programs, mode, state: file } = values
  const wanted = { first: Number(seed), count: Number(programs), mode }
  const fresh: State = { ...wanted, next: wanted.first, seconds: 0, different: [] }
  if (file === undefined || !existsSync(file)) return fresh
  const kept = JSON.parse(readFileSync(file, 'utf8')) as State
  const isSame =
    kept.first === wanted.first && kept.count === wanted.count && kept.mode === wanted.mode
  if (isSame) return kept
  throw new Error(`${file} is the state of another run: ${JSON.stringify(kept)}`)
}

/** Runs programs until all are done, or the time is over, or somebody wants it to end. */
async function run(limit: number): Promise<void> {
  const started = performance.now()
  const before = state.seconds
  const from = state.next
  let machines = new Machines()
  let told = started
  while (state.next < end) {
    if ((state.next - from) % LIFETIME === LIFETIME - 1) machines = new Machines()
    examine(machines, state.next)
    state.next++
    if ((state.next - from) % STEP !== 0) continue
    const now = performance.now()
    state.seconds = before + (now - started) / 1000
    keep()
    if (now - told > NEWS_SECONDS * 1000) {
      told = now
      tell((state.next - from) / ((now - started) / 1000))
    }
    await new Promise((resolve) => setImmediate(resolve))
    if (isInterrupted || (now - started) / 1000 > limit) return
  }
  state.seconds = before + (performance.now() - started) / 1000
  keep()
}

function keep(): void {
  if (values.state !== undefined) writeFileSync(values.state, JSON.stringify(state))
}

/** How far it is, for those who wait. */
function tell(rate: number): void {
  const minutes = Math.ceil((end - state.next) / rate / 60)
  console.error(
    `${state.next - state.first} of ${state.count} programs, ${state.different.length} differ, ` +
      `${rate.toFixed(0)} a second, ${minutes} min to go`,
  )
}

function examine(machines: Machines, seed: number): void {
  const made = programOf(seed)
  const program = values.mode === undefined ? made : { ...made, mode: values.mode }
  const difference = compare(machines, program)
  if (!difference) return
  state.different.push(seed)
  console.log(`seed ${seed}:`)
  const small = values.keep ? { program, difference } : minimize(machines, program, difference)
  for (const line of listing(small.program)) console.log(`  ${line}`)
  const { slice, executed, found } = small.difference
  console.log(`  in slice ${slice}, after ${executed} instructions:`)
  for (const line of found) console.log(`    ${line}`)
}
