// How long it takes to build and encode WebAssembly modules: one small function, 64 of them, and one
// function of a thousand statements. Prints microseconds a module; lower is better.

import type { FunctionBuilder } from '../src/wasm/function.ts'
import { ModuleBuilder } from '../src/wasm/module.ts'

/** About what a short block of a guest becomes: two registers, an addition, a load, an exit. */
function small(f: FunctionBuilder): void {
  const state = f.param(0)
  const a = f.load('i64.load', state, 8)
  const b = f.load('i64.load', state, 16)
  const sum = f.add(a, f.and(b, f.i64(0xffff)))
  f.store('i64.store', state, sum, 8)
  const byte = f.load('i32.load8_u', f.wrap(sum), 0)
  f.store('i64.store', state, f.extendU(byte), 24)
  f.if(f.eqz(byte), () => f.returnCallIndirect(['i32'], [], f.i32(7), state), undefined, 'unlikely')
  f.store('i32.store', state, f.add(f.load('i32.load', state, 32), f.i32(-4)), 32)
  f.returnCallIndirect(['i32'], [], f.load('i32.load', state, 40), state)
}

function large(f: FunctionBuilder): void {
  const registers = Array.from({ length: 16 }, () => f.local('i64'))
  const register = (i: number) => registers[i & 15] as (typeof registers)[0]
  f.loop((again) => {
    for (let i = 0; i < 250; i++) {
      const sum = f.add(f.get(register(i)), f.get(register(i + 3)))
      f.set(register(i), sum)
      const value = f.load('i64.load', f.wrap(sum), 64)
      f.store('i64.store', f.param(0), f.xor(value, f.shrU(sum, f.i64(7))), i * 8)
      f.set(register(i + 1), f.and(value, f.i64(0xff_ffff)))
      f.if(f.eqz(sum), () => f.store('i32.store', f.param(0), f.i32(i), 16), undefined, 'unlikely')
    }
    f.brIf(again, f.ne(f.get(register(0)), f.i64(0)))
  })
}

function build(count: number, body: (f: FunctionBuilder) => void): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder()
  module.importMemory('host', 'memory', { min: 1 })
  module.importTable('host', 'table', { min: 64 })
  const funcs = Array.from({ length: count }, () => module.declare(['i32'], []))
  for (const func of funcs) module.body(func, body)
  module.element(0, funcs)
  return module.finish()
}

/** The least disturbed of several runs of about 100 ms, in microseconds a module. */
function measure(count: number, body: (f: FunctionBuilder) => void): number {
  const times: number[] = []
  for (let run = 0; run < 11; run++) {
    let modules = 0
    const start = performance.now()
    let elapsed = 0
    while (elapsed < 100) {
      for (let i = 0; i < 10; i++) build(count, body)
      modules += 10
      elapsed = performance.now() - start
    }
    times.push((elapsed * 1000) / modules)
  }
  return Math.min(...times)
}

for (const [name, count, body] of [
  ['one small function', 1, small],
  ['64 small functions', 64, small],
  ['one function of 1500 statements', 1, large],
] as const) {
  const bytes = build(count, body)
  if (!WebAssembly.validate(bytes)) throw new Error(`the module of ${name} is not valid`)
  const micros = measure(count, body)
  console.log(`${name.padEnd(34)} ${bytes.length} bytes  ${micros.toFixed(1)} µs a module`)
}
