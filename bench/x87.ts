// How long x87 instructions take in the interpreter. Prints nanoseconds an instruction, the least
// of several runs; lower is better. Bodies are repeated in a loop; pairs count as two.

import * as S from '../src/x86/state.ts'
import { BareMachine } from '../src/x86/testing/bare-machine.ts'

const CODE = 0x1000
const DATA = 0x5000
const REPEAT = 16
const LOOPS = 20000
const RUNS = 7

/** Body, and how many instructions it has. [rbx] is a binary64, [rbx+8] 32, [rbx+16] 80 bits. */
const BODIES: readonly (readonly [name: string, bytes: string, count: number])[] = [
  ['nop', '90', 1],
  ['fnop', 'd9d0', 1],
  ['fxch', 'd9c9', 1],
  ['fld m64; fstp st(0)', 'dd03 ddd8', 2],
  ['fld m64; fstp m64', 'dd03 dd5b20', 2],
  ['fld m32; fstp m32', 'd94308 d95b20', 2],
  ['fld m80; fstp m80', 'db6b10 db7b20', 2],
  ['fild m32; fistp m32', 'db4308 db5b20', 2],
  ['fild m64; fistp m64', 'df2b df7b20', 2],
  ['fld st(1); fstp st(1)', 'd9c1 ddd9', 2],
  ['fld1; fstp st(0)', 'd9e8 ddd8', 2],
  ['fldpi; fstp m64', 'd9eb dd5b20', 2],
  ['fnstcw; fldcw', 'd97b28 d96b28', 2],
  ['fchs', 'd9e0', 1],
  ['fadd st,st(1); fsub st,st(1)', 'd8c1 d8e1', 2],
  ['fadd m64; fsub m64', 'dc03 dc23', 2],
  ['fmul st,st(2)', 'd8ca', 1],
  ['fmul m32; fdiv m32', 'd84b08 d87308', 2],
  ['fcom st(1)', 'd8d1', 1],
  ['fucomi st,st(1)', 'dbe9', 1],
  ['frndint', 'd9fc', 1],
  ['fsqrt; fld; fstp', 'd9fa dd03 ddd9', 3],
  ['fxam', 'd9e5', 1],
  ['fprem', 'd9f8', 1],
  ['fsin; fld; fstp', 'd9fe dd03 ddd9', 3],
]

function bytesOf(text: string): number[] {
  return (text.replaceAll(' ', '').match(/../g) ?? []).map((pair) => Number.parseInt(pair, 16))
}

function word(value: number): number[] {
  return [0, 8, 16, 24].map((shift) => (value >> shift) & 255)
}

function time(text: string): number {
  const machine = new BareMachine(1 << 20)
  const body = Array.from({ length: REPEAT }, () => bytesOf(text)).flat()
  // fld1; fldpi; fld [rbx]
  const setup = bytesOf('d9e8 d9eb dd03')
  const loop = [...body, 0xff, 0xc9, 0x0f, 0x85, ...word(-(body.length + 8))]
  machine.load(CODE, Uint8Array.of(...setup, ...loop, 0xf4))
  const { view } = machine.memory
  view.setFloat64(machine.ram + DATA, 1.2345678901234, true)
  view.setFloat32(machine.ram + DATA + 8, 1.000001, true)
  view.setBigUint64(machine.ram + DATA + 16, 0xc90fdaa22168c235n, true)
  view.setUint16(machine.ram + DATA + 24, 0x4000, true)
  const { cpu } = machine
  let best = Number.POSITIVE_INFINITY
  for (let run = 0; run < RUNS; run++) {
    cpu.set32(S.FTW, 0)
    cpu.set32(S.FSW, 0)
    cpu.isHalted = false
    cpu.writeRegister(S.RBX, BigInt(DATA))
    cpu.writeRegister(S.RCX, BigInt(LOOPS))
    cpu.rip = BigInt(CODE)
    const started = performance.now()
    do cpu.rest()
    while (cpu.run(1 << 30).reason === 'exit')
    best = Math.min(best, performance.now() - started)
  }
  return (best * 1e6) / (LOOPS * REPEAT)
}

const only = process.argv[2]
for (const [name, text, count] of BODIES) {
  if (only !== undefined && !name.includes(only)) continue
  console.log(`${name.padEnd(32)}${(time(text) / count).toFixed(1).padStart(8)} ns`)
}
