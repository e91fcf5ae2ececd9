// Golden texts: what is recorded, and the instructions that it becomes as wabt reads them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import wabt from 'wabt'
import { Bug } from '../base/errors.ts'
import type { FunctionBuilder } from './function.ts'
import { ModuleBuilder, type ModuleOptions } from './module.ts'
import type { Type } from './opcodes.ts'
import type { Label, Value } from './value.ts'

const reader = await wabt()
const FEATURES = { simd: true, threads: true, memory64: true, tail_call: true, code_metadata: true }

interface Shape extends ModuleOptions {
  readonly params?: Type[]
  readonly results?: Type[]
}

/** The instructions of a function, in one line, without wabt's comments and declarations. */
function textOf(shape: Shape, build: (f: FunctionBuilder) => void): string {
  const module = new ModuleBuilder(shape)
  module.importMemory('host', 'memory', { min: 1 })
  module.importTable('host', 'table', { min: 1 })
  const func = module.declare(shape.params ?? [], shape.results ?? [])
  module.body(func, build)
  const read = reader.readWasm(module.finish(), FEATURES)
  read.validate()
  const lines = read.toText({}).split('\n')
  const start = lines.findIndex((line) => line.startsWith('  (func'))
  return lines
    .slice(start + 1)
    .map((line) => line.replace(/;;.*|\(;.*?;\)/g, '').trim())
    .filter((line) => !line.startsWith('(local'))
    .join(' ')
    .replace(/ +/g, ' ')
    .replace(/\)+ *$/, '')
}

/** The types of the locals that a function declares. */
function localsOf(shape: Shape, build: (f: FunctionBuilder) => void): string {
  const module = new ModuleBuilder(shape)
  const func = module.declare(shape.params ?? [], shape.results ?? [])
  module.body(func, build)
  return /\(local ([^)]*)\)/.exec(reader.readWasm(module.finish(), FEATURES).toText({}))?.[1] ?? ''
}

const I32: Shape = { params: ['i32', 'i32'], results: ['i32'] }

test('a value that is used once is computed at its use', () => {
  const text = textOf(I32, (f) => f.ret(f.mul(f.add(f.param(0), f.i32(5)), f.param(1))))
  assert.equal(text, 'local.get 0 i32.const 5 i32.add local.get 1 i32.mul return')
})

test('a value that is used twice is kept in a local', () => {
  const text = textOf(I32, (f) => {
    const sum = f.add(f.param(0), f.param(1))
    f.ret(f.mul(sum, sum))
  })
  assert.equal(text, 'local.get 0 local.get 1 i32.add local.tee 2 local.get 2 i32.mul return')
})

test('a value that nobody uses vanishes, and with it what only it used', () => {
  const text = textOf(I32, (f) => {
    f.add(f.load('i32.load', f.add(f.param(0), f.param(1))), f.i32(1))
    f.ret(f.param(0))
  })
  assert.equal(text, 'local.get 0 return')
})

test('a value from outside a loop is computed before the loop', () => {
  const text = textOf({ params: ['i32'] }, (f) => {
    const square = f.mul(f.param(0), f.param(0))
    f.loop((again) => f.brIf(again, square))
  })
  assert.equal(text, 'local.get 0 local.get 0 i32.mul local.set 1 loop local.get 1 br_if 0 end')
})

test('a load is not moved over a store, but moves to its use otherwise', () => {
  const load = (f: FunctionBuilder) => f.load('i32.load', f.param(0), 8)
  const over = textOf({ params: ['i32', 'i32'] }, (f) => {
    const value = load(f)
    f.store('i32.store', f.param(1), f.i32(1))
    f.store('i32.store', f.param(0), value, 4)
  })
  assert.equal(
    over,
    'local.get 0 i32.load offset=8 local.set 2 local.get 1 i32.const 1 i32.store ' +
      'local.get 0 local.get 2 i32.store offset=4',
  )
  const direct = textOf({ params: ['i32', 'i32'] }, (f) => {
    const value = load(f)
    f.store('i32.store', f.param(1), value)
  })
  assert.equal(direct, 'local.get 1 local.get 0 i32.load offset=8 i32.store')
})

test('a trapping load stays although nobody uses it', () => {
  const text = textOf({ params: ['i32'] }, (f) => {
    f.loadTrapping('i32.load8_u', f.param(0))
  })
  assert.equal(text, 'local.get 0 i32.load8_u drop')
})

test('a read of a local keeps what it held, in a local of its own only if it must', () => {
  const text = textOf(I32, (f) => {
    const local = f.local('i32')
    f.set(local, f.param(0))
    const before = f.get(local)
    f.store('i32.store', f.param(0), before)
    f.set(local, f.add(before, f.i32(1)))
    f.ret(f.add(f.get(local), f.param(1)))
  })
  assert.equal(
    text,
    'local.get 0 local.set 2 local.get 0 local.get 2 i32.store ' +
      'local.get 2 i32.const 1 i32.add local.tee 2 local.get 1 i32.add return',
  )
  const changed = textOf(I32, (f) => {
    const local = f.local('i32')
    f.set(local, f.param(0))
    const before = f.get(local)
    f.set(local, f.param(1))
    f.ret(f.sub(before, f.get(local)))
  })
  assert.equal(
    changed,
    'local.get 0 local.tee 2 local.set 3 local.get 1 local.set 2 local.get 3 local.get 2 i32.sub return',
  )
})

test('a local whose value is over is used for another of its type', () => {
  const chain = (f: FunctionBuilder) => {
    let value: Value = f.param(0)
    for (let i = 0; i < 20; i++) {
      const sum = f.add(value, f.param(1))
      value = f.mul(sum, sum)
    }
    f.ret(value)
  }
  assert.equal(localsOf(I32, chain), 'i32')
})

test('an if has arms, a choice has a value', () => {
  const text = textOf(I32, (f) => {
    f.if(
      f.ltU(f.param(0), f.param(1)),
      () => f.ret(f.i32(1)),
      () => f.store('i32.store', f.param(0), f.i32(2)),
    )
    f.ret(
      f.choose(
        'i32',
        f.param(1),
        () => f.i32(3),
        () => f.add(f.param(0), f.i32(-1)),
      ),
    )
  })
  assert.equal(
    text,
    'local.get 0 local.get 1 i32.lt_u if i32.const 1 return ' +
      'else local.get 0 i32.const 2 i32.store end ' +
      'local.get 1 if (result i32) i32.const 3 else local.get 0 i32.const -1 i32.add end return',
  )
})

test('of a condition that is known only one arm is recorded', () => {
  const text = textOf(I32, (f) => {
    f.if(
      f.i32(0),
      () => f.unreachable(),
      () => f.store('i32.store', f.param(0), f.i32(2)),
    )
    f.block((end) => {
      f.brIf(end, f.i32(0))
      f.if(f.i32(1), () =>
        f.ret(
          f.choose(
            'i32',
            f.i32(1),
            () => f.param(0),
            () => f.param(1),
          ),
        ),
      )
      f.unreachable()
    })
  })
  assert.equal(text, 'local.get 0 i32.const 2 i32.store block local.get 0 return end unreachable')
})

test('what follows an exit is dropped', () => {
  const text = textOf(I32, (f) => {
    f.block((end) => {
      f.br(end)
      f.store('i32.store', f.param(0), f.param(1))
      f.loop(() => f.unreachable())
    })
    f.if(
      f.param(0),
      () => f.ret(f.i32(1)),
      () => f.ret(f.i32(2)),
    )
    f.store('i32.store', f.param(0), f.param(1))
  })
  assert.equal(
    text,
    'block br 0 end local.get 0 if i32.const 1 return else i32.const 2 return end unreachable',
  )
})

test('branches count the structures between them and their label', () => {
  const text = textOf({ params: ['i32'] }, (f) => {
    f.block((outer) => {
      f.loop((again) => {
        f.if(f.param(0), () => f.brIf(outer, f.param(0)))
        f.block((inner) => f.brTable([inner, again], outer, f.param(0)))
        f.br(again)
      })
    })
  })
  assert.equal(
    text,
    'block loop local.get 0 if local.get 0 br_if 2 end ' +
      'block local.get 0 br_table 0 1 2 end br 0 end unreachable end',
  )
})

test('conditions lose what does not change them', () => {
  const text = textOf({ params: ['i32', 'i64'] }, (f) => {
    f.block((end) => {
      f.brIf(end, f.ne(f.param(0), f.i32(0)))
      f.brIf(end, f.eqz(f.eqz(f.param(0))))
      f.brIf(end, f.eqz(f.ltU(f.param(1), f.i64(9))))
      f.brIf(end, f.eq(f.param(1), f.i64(0)))
    })
  })
  assert.equal(
    text,
    'block local.get 0 br_if 0 local.get 0 br_if 0 ' +
      'local.get 1 i64.const 9 i64.ge_u br_if 0 local.get 1 i64.eqz br_if 0 end',
  )
})

test('addresses are of 64 bits with a 64-bit memory, and offsets may be long', () => {
  const shape: Shape = { params: ['i64'], results: ['i64'], memory64: true }
  const text = textOf(shape, (f) => {
    assert.equal(f.addressType, 'i64')
    f.memoryFill(f.param(0), f.i32(7), f.i64(16))
    f.ret(f.load('i64.load', f.param(0), 0x12_3456_789a))
  })
  assert.equal(
    text,
    `local.get 0 i32.const 7 i64.const 16 memory.fill local.get 0 i64.load offset=78187493530 return`,
  )
  assert.throws(() => textOf(shape, (f) => f.load('i32.load', f.i32(0))), /takes i64, not i32/)
})

test('vectors: constants, shuffles, lanes', () => {
  const text = textOf({ params: ['v128', 'i32'], results: ['v128'] }, (f) => {
    const bytes = Uint8Array.from({ length: 16 }, (_, i) => i)
    const lanes = Array.from({ length: 16 }, (_, i) => 31 - i)
    const mixed = f.shuffle(lanes, f.param(0), f.v128(bytes))
    const changed = f.lane('i16x8.replace_lane', 7, mixed, f.param(1))
    f.ret(f.op('v128.bitselect', changed, f.param(0), f.op('i32x4.splat', f.param(1))))
  })
  assert.equal(
    text,
    'local.get 0 v128.const i32x4 0x03020100 0x07060504 0x0b0a0908 0x0f0e0d0c ' +
      'i8x16.shuffle 31 30 29 28 27 26 25 24 23 22 21 20 19 18 17 16 ' +
      'local.get 1 i16x8.replace_lane 7 local.get 0 local.get 1 i32x4.splat v128.bitselect return',
  )
})

test('floats keep their bits', () => {
  const text = textOf({ results: ['f64'] }, (f) => {
    f.store('f32.store', f.i32(0), f.f32(-0))
    f.store('f32.store', f.i32(0), f.f32Bits(0x7f80_0001))
    f.ret(f.op('f64.add', f.f64(Math.PI), f.f64Bits(0xfff0_0000_0000_0001n)))
  })
  assert.equal(
    text,
    'i32.const 0 f32.const -0x0p+0 f32.store i32.const 0 f32.const nan:0x1 f32.store ' +
      'f64.const 0x1.921fb54442d18p+1 f64.const -nan:0x1 f64.add return',
  )
})

test('atomics, fences, memory size and growth', () => {
  const text = textOf({ params: ['i32'], results: ['i32'] }, (f) => {
    const old = f.atomic('i32.atomic.rmw.cmpxchg', 4, f.param(0), f.i32(1), f.i32(2))
    f.atomicStore('i32.atomic.store', f.param(0), old)
    f.fence()
    f.memoryCopy(f.param(0), f.i32(0), f.memorySize())
    f.ret(f.memoryGrow(f.i32(1)))
  })
  assert.equal(
    text,
    'local.get 0 i32.const 1 i32.const 2 i32.atomic.rmw.cmpxchg offset=4 local.set 1 ' +
      'local.get 0 local.get 1 i32.atomic.store atomic.fence ' +
      'memory.size local.set 1 local.get 0 i32.const 0 local.get 1 memory.copy ' +
      'i32.const 1 memory.grow return',
  )
})

test('very long expressions are cut and do not overflow the stack', () => {
  const module = new ModuleBuilder()
  const func = module.declare(['i32'], ['i32'])
  module.body(func, (f) => {
    let value = f.param(0)
    for (let i = 0; i < 100_000; i++) value = f.op('i32.rotl', f.xor(value, f.i32(i | 1)), f.i32(1))
    f.ret(value)
  })
  assert.ok(WebAssembly.validate(module.finish()))
})

/** Records in a function that ends properly: what `build` throws is thrown. */
function recording(build: (f: FunctionBuilder) => void): () => void {
  return () => textOf({ params: ['i32', 'i64'] }, build)
}

test('a value of an arm cannot be used outside of it', () => {
  const message = /uses a value \(i32.add\).* that has ended/
  let value: Value | undefined
  const make = (f: FunctionBuilder) => {
    value = f.add(f.param(0), f.i32(1))
  }
  const use = (f: FunctionBuilder) => f.store('i32.store', f.i32(0), value as Value)
  assert.throws(
    recording((f) => {
      f.if(f.param(0), () => make(f))
      use(f)
    }),
    message,
  )
  assert.throws(
    recording((f) =>
      f.if(
        f.param(0),
        () => make(f),
        () => use(f),
      ),
    ),
    message,
  )
  assert.throws(
    recording((f) => {
      f.block(() => make(f))
      use(f)
    }),
    message,
  )
  assert.throws(
    recording((f) => {
      f.loop(() => make(f))
      use(f)
    }),
    message,
  )
  assert.throws(
    recording((f) => use(f)),
    message,
  )
  assert.throws(
    recording((f) => {
      f.if(f.i32(1), () => make(f))
      use(f)
    }),
    message,
  )
})

test('values, locals and labels that do not belong here are Bugs', () => {
  const bug = { name: 'Bug' }
  assert.throws(
    recording((f) => f.add(f.param(0), f.param(1))),
    /i32.add in .* takes i32, not i64/,
  )
  assert.throws(
    recording((f) => f.op('i32.clz', f.param(0), f.param(0))),
    /takes 1 values, not 2/,
  )
  assert.throws(
    recording((f) => f.op('i32.add', f.param(0))),
    /takes 2 values, not 1/,
  )
  assert.throws(
    recording((f) => f.param(2)),
    bug,
  )
  assert.throws(
    recording((f) => f.ret(f.param(0))),
    bug,
  )
  assert.throws(
    recording((f) => f.set(f.local('i32'), f.param(1))),
    bug,
  )
  assert.throws(
    recording((f) => f.load('i32.load', f.param(0), -1)),
    bug,
  )
  assert.throws(
    recording((f) => f.lane('i8x16.extract_lane_u', 16, f.v128(new Uint8Array(16)))),
    bug,
  )
  assert.throws(
    recording((f) => f.select(f.param(0), f.param(0), f.param(1))),
    bug,
  )
  assert.throws(
    recording((f) =>
      f.choose(
        'i32',
        f.param(0),
        () => f.param(0),
        () => f.param(1),
      ),
    ),
    bug,
  )
  assert.throws(
    recording((f) => {
      let label: Label | undefined
      f.block((end) => {
        label = end
      })
      f.br(label as Label)
    }),
    /branches to a block that has ended/,
  )
  assert.throws(
    recording((f) => {
      const nothing = f.callIndirect([], [], f.param(0))
      f.store('i32.store', f.i32(0), nothing)
    }),
    /without result/,
  )
})

test('what is added to a place later happens there', () => {
  const text = textOf(I32, (f) => {
    const place = f.place()
    const [loaded, constant] = [f.local('i32'), f.local('i32')]
    f.loop((again) => {
      f.set(constant, f.add(f.get(constant), f.get(loaded)))
      f.brIf(again, f.param(0))
    })
    f.loadAt(place, loaded, 'i32.load16_u', 1, 6)
    f.setAt(place, constant, f.i32(7))
    f.ret(f.get(constant))
  })
  const prologue = 'local.get 1 i32.load16_u offset=6 local.set 2 i32.const 7 local.set 3 '
  assert.ok(text.startsWith(`${prologue}loop local.get 3 local.get 2 i32.add local.set 3`), text)
})

test('what a place stores is what the variable holds there, and what it loads holds behind it', () => {
  const text = textOf(I32, (f) => {
    const local = f.local('i32')
    f.set(local, f.load('i32.load', f.param(0)))
    const before = f.get(local)
    const place = f.place()
    f.store('i32.store', f.param(0), f.add(before, f.get(local)), 12)
    f.storeAt(place, local, 'i32.store', 1, 4)
    f.loadAt(place, local, 'i32.load', 1, 8)
    f.ret(f.get(local))
  })
  const stored = 'local.get 1 local.get 2 i32.store offset=4'
  const loaded = 'local.get 1 i32.load offset=8 local.set 2'
  assert.ok(text.includes(`${stored} ${loaded}`), text)
  // What was read before it is kept in another variable.
  assert.match(text, /local.get 0 local.get 3 local.get 2 i32.add i32.store offset=12/)
})

test('a place takes constants and loads of the type of the local only', () => {
  textOf(I32, (f) => {
    const place = f.place()
    assert.throws(() => f.setAt(place, f.local('i64'), f.i32(1)), Bug)
    assert.throws(() => f.setAt(place, f.local('i32'), f.param(0)), Bug)
    assert.throws(() => f.loadAt(place, f.local('i64'), 'i32.load', 0, 0), Bug)
    assert.throws(() => f.storeAt(place, f.local('i64'), 'i32.store', 0, 0), Bug)
    f.ret(f.i32(0))
  })
})
