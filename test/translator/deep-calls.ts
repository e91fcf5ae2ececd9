// A program of its own for nested-calls.test.ts: calls of regions as deep as they go, by a function
// that is as large as a region can be, and writes to a port where it calls nobody. Prints as JSON what
// it has seen of that. Run with a small stack: `--stack-size=200 --liftoff-only`.

import * as S from '../../src/x86/state.ts'
import { ALL_FEATURES, BareMachine } from '../../src/x86/testing/bare-machine.ts'
import { currentMode } from '../../src/x86/system/current-mode.ts'
import { policyOf } from '../../src/x86/translator/policy.ts'
import { assemble } from '../x86/assemble.ts'

/** What this prints. */
export interface DeepCalls {
  /** Most calls that were open at the port. */
  readonly deepest: number
  /** Part of all instructions that regions have executed. */
  readonly translated: number
  /** Instructions of the smaller function's region, and of the largest that there may be. */
  readonly instructions: number
  readonly most: number
  /** Calls that have come back, and as many as there were. */
  readonly returns: number
  readonly calls: number
}

const START = 0x1000
const FUNCTIONS = [0x10000, 0x20000] as const
/** Calls within each other: the engine's are counted anew from time to time. */
const DEPTH = 200
const ROUNDS = 128
const depthOf = (round: number) => DEPTH + (round & 63)
/** What all registers are used for, by accesses that have nothing in common. */
const KINDS: readonly ((i: number) => string)[] = [
  (i) => `add rax, [rsp - ${8 * (i % 500) + 200}]`,
  (i) => `movups xmm${i % 16}, [rsp - ${16 * (i % 200) + 400}]`,
  (i) => `paddq xmm${(i + 3) % 16}, xmm${i % 16}`,
  (i) => `shl r${8 + (i % 7)}, cl`,
  (i) => `adc [rsp - ${8 * (i % 400) + 300}], rdx`,
  (i) => `lea rbx, [rax + rdx * 4 + ${i}]`,
  (i) => `cmp rbx, r${8 + (i % 7)}`,
]
/** Lines from one branch to the next, and to the next page: no instruction goes on from one to it. */
const LINES_OF_NODE = 16
const LINES_OF_PAGE = 448

function body(lines: number, name: string): string {
  const line = (i: number) => {
    const label = `${name}${i}`
    if (i % LINES_OF_PAGE === 0) return `jmp ${label}\nalign 4096\n${label}:`
    if (i % LINES_OF_NODE === 0) return `jb ${label}\ninc rsi\n${label}:`
    return KINDS[i % KINDS.length]?.(i)
  }
  return Array.from({ length: lines }, (_, i) => line(i)).join('\n')
}

const caller = `
    mov ebp, ${ROUNDS}
  again:
    mov edi, ebp
    and edi, 63
    add edi, ${DEPTH}
    call ${FUNCTIONS[0]}
    dec ebp
    jnz again
    hlt`

/** A call of itself would be a loop of the region: two functions call each other. */
const callee = (other: number) => `
    ${body(560, 'before')}
    dec edi
    jz near bottom
    call ${other}
    inc r15
    ${body(540, 'behind')}
    ret
  bottom:
    out 0x80, al
    ret`

const limits = policyOf(undefined).limits(false)
const policy = {
  hot: { kernel: Number.POSITIVE_INFINITY, user: Number.POSITIVE_INFINITY },
  leastSlice: 200_000,
  mostSlice: 200_000,
  mostPlaces: 1,
  limits: () => limits,
}
const machine = new BareMachine(1 << 20, 64, ALL_FEATURES, 'hot', { policy })
const { cpu, engine, ram } = machine
let deepest = 0
machine.onPortWrite = () => {
  deepest = Math.max(deepest, S.MOST_CALLS - cpu.getI32(S.CALLS_LEFT))
}

/** Runs the whole program. */
function run(): void {
  cpu.isHalted = false
  cpu.rip = BigInt(START)
  for (;;) {
    const { reason } = cpu.run(1_000_000)
    if (reason === 'halt') return
    if (reason !== 'budget') throw new Error(`it ended with ${reason}: ${cpu.shutdownCause}`)
  }
}

/** Makes the region of a function, as far as it has been executed. Gives its instructions. */
function translate(start: number): number {
  const mode = currentMode(cpu)
  const { translator, code } = engine
  const block = code.find(ram + start, mode, cpu.features, () => -1)
  const page = ram + (start & -4096)
  const peek = (offset: number) => code.known(page + offset, mode)
  const before = translator.counters.instructions
  translator.translate([{ ...block, linear: { peek, targetsOf: () => [], nameOf: String } }])
  return translator.counters.instructions - before
}

machine.load(START, assemble(caller, 64, START))
for (const [i, start] of FUNCTIONS.entries()) {
  machine.load(start, assemble(callee(FUNCTIONS[1 - i] as number), 64, start))
}
cpu.writeRegister(S.RSP, 0xf0000n)
run()
const instructions = Math.min(...FUNCTIONS.map(translate))
cpu.writeRegister(15, 0n)
const translatedBefore = cpu.getU64(S.TRANSLATED)
const executedBefore = cpu.counters.instructions
deepest = 0
run()
const translated = Number(cpu.getU64(S.TRANSLATED) - translatedBefore)
const seen: DeepCalls = {
  deepest,
  translated: translated / (cpu.counters.instructions - executedBefore),
  instructions,
  most: limits.instructions,
  returns: cpu.registerLow(15),
  calls: Array.from({ length: ROUNDS }, (_, i) => depthOf(i + 1) - 1).reduce((a, b) => a + b),
}
console.log(JSON.stringify(seen))
