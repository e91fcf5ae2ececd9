import assert from 'node:assert/strict'
import { test } from 'node:test'
import wabt from 'wabt'
import { ModuleBuilder } from './module.ts'
import type { Type } from './opcodes.ts'

/** What the engine offers beyond what the pure layers know of it. */
const { customSections } = WebAssembly.Module as unknown as {
  customSections(this: void, module: WebAssembly.Module, name: string): ArrayBuffer[]
}

function instantiate(module: ModuleBuilder, host: Record<string, unknown> = {}) {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.finish()), { host })
  return exports as Record<string, (...args: unknown[]) => unknown>
}

test('functions call each other before their bodies are built', () => {
  const module = new ModuleBuilder()
  const isEven = module.declare(['i32'], ['i32'])
  const isOdd = module.declare(['i32'], ['i32'])
  // Out of order, and deeper than the stack would allow without tail calls.
  module.body(isOdd, (f) => {
    f.if(f.eqz(f.param(0)), () => f.ret(f.i32(0)))
    f.returnCall(isEven, f.sub(f.param(0), f.i32(1)))
  })
  module.body(isEven, (f) => {
    f.if(f.eqz(f.param(0)), () => f.ret(f.i32(1)))
    f.returnCall(isOdd, f.sub(f.param(0), f.i32(1)))
  })
  module.exportFunction(isEven, 'isEven')
  const { isEven: run } = instantiate(module)
  assert.equal(run?.(1_000_000), 1)
  assert.equal(run?.(1_000_001), 0)
})

test('functions are reached through the table', () => {
  const table = new WebAssembly.Table({ element: 'anyfunc', initial: 8 })
  const module = new ModuleBuilder()
  module.importTable('host', 'table', { min: 8 })
  const double = module.declare(['i64'], ['i64'])
  const square = module.declare(['i64'], ['i64'])
  const apply = module.declare(['i32', 'i64'], ['i64'])
  const jump = module.declare(['i32', 'i64'], ['i64'])
  module.body(double, (f) => f.ret(f.add(f.param(0), f.param(0))))
  module.body(square, (f) => f.ret(f.mul(f.param(0), f.param(0))))
  module.body(apply, (f) => {
    f.ret(f.add(f.callIndirect(['i64'], ['i64'], f.param(0), f.param(1)), f.i64(1)))
  })
  module.body(jump, (f) => f.returnCallIndirect(['i64'], ['i64'], f.param(0), f.param(1)))
  module.element(3, [double, square])
  module.exportFunction(apply, 'apply')
  module.exportFunction(jump, 'jump')
  const exports = instantiate(module, { table })
  assert.equal(exports['apply']?.(3, 10n), 21n)
  assert.equal(exports['apply']?.(4, 10n), 101n)
  assert.equal(exports['jump']?.(4, 10n), 100n)
  assert.throws(() => exports['apply']?.(5, 10n), { name: 'RuntimeError' })
  assert.equal((table.get(3) as (n: bigint) => bigint)(4n), 8n)
})

test('several results arrive in order', () => {
  const module = new ModuleBuilder()
  const divide = module.declare(['i32', 'i32'], ['i32', 'i32', 'i64'])
  const run = module.declare(['i32', 'i32'], ['i32'])
  module.body(divide, (f) => {
    f.ret(f.divU(f.param(0), f.param(1)), f.remU(f.param(0), f.param(1)), f.i64(5))
  })
  module.body(run, (f) => {
    const [quotient, remainder] = f.callMany(divide, f.param(0), f.param(1))
    assert.ok(quotient && remainder)
    f.ret(f.add(f.mul(quotient, f.i32(1000)), remainder))
  })
  module.exportFunction(run, 'run')
  assert.equal(instantiate(module)['run']?.(47, 5), 9002)
})

test('imported functions come first and are called like others', () => {
  const module = new ModuleBuilder()
  const add = module.importFunction('host', 'add', ['f64', 'f32'], ['f64'])
  const note = module.importFunction('host', 'note', ['i32'], [])
  const run = module.declare(['f64'], ['f64'])
  module.body(run, (f) => {
    f.call(note, f.i32(7))
    f.ret(f.call(add, f.param(0), f.f32(0.5)))
  })
  module.exportFunction(run, 'run')
  const notes: unknown[] = []
  const host = { add: (a: number, b: number) => a + b, note: (n: number) => notes.push(n) }
  assert.equal(instantiate(module, host)['run']?.(1.25), 1.75)
  assert.deepEqual(notes, [7])
})

test('equal function types have one index', () => {
  const module = new ModuleBuilder()
  assert.equal(module.type(['i32', 'i64'], []), 0)
  assert.equal(module.type(['i32'], ['i64']), 1)
  assert.equal(module.type(['i32', 'i64'], []), 0)
  assert.equal(module.declare(['i32'], ['i64']).typeIndex, 1)
})

test('named functions are in the name section, and engines show the names', () => {
  const module = new ModuleBuilder()
  const helper = module.declare([], [])
  const failing = module.declare([], [], 'block at 0xc0de')
  module.body(helper, () => {})
  module.body(failing, (f) => f.unreachable())
  module.exportFunction(failing, 'run')
  const compiled = new WebAssembly.Module(module.finish())
  const [section] = customSections(compiled, 'name')
  assert.ok(section)
  // Subsection 1 (functions) of 18 bytes: one name, of function 1.
  const text = new TextEncoder().encode('block at 0xc0de')
  assert.deepEqual([...new Uint8Array(section)], [1, 18, 1, 1, 15, ...text])
  const run = new WebAssembly.Instance(compiled).exports['run'] as () => void
  assert.throws(run, (error: Error) => error.stack?.includes('block at 0xc0de') === true)
})

test('a module without names has no name section', () => {
  const module = new ModuleBuilder()
  module.body(module.declare([], []), () => {})
  assert.deepEqual(customSections(new WebAssembly.Module(module.finish()), 'name'), [])
})

test('branch hints stand at the instructions they are for', async () => {
  const module = new ModuleBuilder()
  module.importFunction('host', 'f', [], [])
  const plain = module.declare([], [])
  const hinted = module.declare(['i32', 'i64'], [])
  module.body(plain, () => {})
  module.body(hinted, (f) => {
    const local = f.local('f32')
    f.set(local, f.f32(1))
    f.block((end) => {
      f.brIf(end, f.param(0), 'unlikely')
      f.if(f.wrap(f.param(1)), () => f.brIf(end, f.eqz(f.param(0))), undefined, 'likely')
    })
  })
  const bytes = module.finish()
  assert.equal(customSections(new WebAssembly.Module(bytes), 'metadata.code.branch_hint').length, 1)
  const read = (await wabt()).readWasm(bytes, { code_metadata: true })
  const lines = read
    .toText({})
    .split('\n')
    .filter((line) => /br_if|if/.test(line))
  assert.deepEqual(
    lines.map((line) => line.replace(/;;.*|\(;.*/, '').trim()),
    [
      '(@metadata.code.branch_hint "\\00") br_if 0',
      '(@metadata.code.branch_hint "\\01") if',
      'br_if 1',
    ],
  )
})

test('shared memories and memories of 64 bits are valid', () => {
  for (const sharedMemory of [false, true]) {
    for (const memory64 of [false, true]) {
      const module = new ModuleBuilder({ sharedMemory, memory64 })
      module.importMemory('host', 'memory', { min: 300, max: 70_000 >> (memory64 ? 0 : 1) })
      const func = module.declare([module.addressType], ['i64'])
      module.body(func, (f) => f.ret(f.atomic('i64.atomic.rmw.add', 8, f.param(0), f.i64(1))))
      assert.ok(WebAssembly.validate(module.finish()), `${sharedMemory} ${memory64}`)
    }
  }
  const module = new ModuleBuilder({ sharedMemory: true })
  assert.throws(() => module.importMemory('host', 'memory', { min: 1 }), { name: 'Bug' })
})

test('functions of many locals and of much code are valid', () => {
  const module = new ModuleBuilder()
  module.importMemory('host', 'memory', { min: 1 })
  const types: Type[] = ['i32', 'i64', 'f32', 'f64', 'v128']
  const func = module.declare(['i32'], ['i32'])
  module.body(func, (f) => {
    const locals = Array.from({ length: 300 }, (_, i) => f.local(types[i % 5] as Type))
    for (const local of locals) {
      if (local.type === 'i32') f.set(local, f.add(f.param(0), f.i32(0x1234_5678)))
    }
    for (let i = 0; i < 5000; i++)
      f.store('i32.store', f.i32(i * 4), f.load('i32.load', f.param(0)))
    f.ret(f.get(locals[295] as (typeof locals)[0]))
  })
  module.exportFunction(func, 'run')
  const memory = new WebAssembly.Memory({ initial: 1 })
  assert.equal(instantiate(module, { memory })['run']?.(1), 0x1234_5679)
})

test('modules that are built at the same time do not mix', () => {
  const build = (n: number) => {
    const module = new ModuleBuilder()
    const func = module.declare([], ['i32'])
    module.body(func, (f) => f.ret(f.i32(n)))
    module.exportFunction(func, 'run')
    return module
  }
  const first = build(1)
  const second = build(2)
  assert.equal(instantiate(first)['run']?.(), 1)
  const third = build(3)
  assert.equal(instantiate(third)['run']?.(), 3)
  assert.equal(instantiate(second)['run']?.(), 2)
})

test('misuse of the builder is a Bug', () => {
  const bug = { name: 'Bug' }
  const module = new ModuleBuilder()
  const func = module.declare([], ['i32'], 'answer')
  assert.throws(
    () => module.importFunction('host', 'late', [], []),
    /after a function was declared/,
  )
  assert.throws(() => module.finish(), /answer has no body/)
  assert.throws(() => module.body(func, () => {}), /can reach its end/)
  module.body(func, (f) => f.ret(f.i32(42)))
  assert.throws(() => module.body(func, (f) => f.ret(f.i32(42))), bug)
  assert.throws(() => new ModuleBuilder().body(func, () => {}), bug)
  module.finish()
  assert.throws(() => module.finish(), bug)
})
