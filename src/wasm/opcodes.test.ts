// Every instruction of the tables is encoded and read back by wabt, which is the second source.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import wabt from 'wabt'
import type { FunctionBuilder } from './function.ts'
import { ModuleBuilder } from './module.ts'
import {
  type AtomicOp,
  type AtomicStoreOp,
  type Instruction,
  instruction,
  instructions,
  type LaneLoadOp,
  type LaneOp,
  type LaneStoreOp,
  type LoadOp,
  type PureOp,
  type StoreOp,
} from './opcodes.ts'
import type { Value } from './value.ts'

const FEATURES = { readDebugNames: true, simd: true, threads: true, memory64: true }

/** Records the instruction on the function's parameters, with a lane or offset where it takes one. */
function use(f: FunctionBuilder, what: Instruction, args: Value[]): Value | undefined {
  const [a, b] = args as [Value, Value]
  switch (what.group) {
    case 'pure':
      return f.op(what.name as PureOp, ...args)
    case 'lane':
      return f.lane(what.name as LaneOp, what.size - 1, ...args)
    case 'load':
      return f.load(what.name as LoadOp, a, 5)
    case 'store':
      f.store(what.name as StoreOp, a, b, 5)
      return undefined
    case 'laneLoad':
      return f.loadLane(what.name as LaneLoadOp, 1, a, b, 5)
    case 'laneStore':
      f.storeLane(what.name as LaneStoreOp, 1, a, b, 5)
      return undefined
    case 'atomic':
      return f.atomic(what.name as AtomicOp, 5, a, ...args.slice(1))
    case 'atomicStore':
      f.atomicStore(what.name as AtomicStoreOp, a, b, 5)
      return undefined
    case 'control':
      throw new Error(what.name)
  }
}

function build(memory64: boolean): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder({ memory64 })
  module.importMemory('host', 'memory', { min: 1 })
  for (const what of instructions()) {
    const params = what.operands.map((type) => type ?? module.addressType)
    const results = what.result ? [what.result] : []
    const func = module.declare(params, results, what.name)
    module.body(func, (f) => {
      const value = use(
        f,
        what,
        params.map((_, i) => f.param(i)),
      )
      if (value) f.ret(value)
    })
  }
  return module.finish()
}

/** The lines of the body of a function in wabt's text, parameters and reads of them left out. */
function bodyOf(text: string, name: string): string[] {
  const start = text.indexOf(`(func $${name} `)
  const lines = text
    .slice(start, text.indexOf('(func', start + 1) >>> 0)
    .split('\n')
    .slice(1)
  return lines
    .map((line) => line.trim().replace(/\)+$/, ''))
    .filter((line) => /^(?!local.get)\w+[.\w]* ?[^(]*$/.test(line))
}

for (const memory64 of [false, true]) {
  test(`every instruction reads back in wabt, memory64 ${memory64}`, async () => {
    const bytes = build(memory64)
    assert.ok(WebAssembly.validate(bytes))
    const module = (await wabt()).readWasm(bytes, FEATURES)
    module.applyNames()
    const text = module.toText({})
    let count = 0
    for (const what of instructions()) {
      const offset =
        what.group === 'laneLoad' ||
        what.group === 'laneStore' ||
        /load|store|atomic/.test(what.name)
          ? ' offset=5'
          : ''
      // wabt prints alignments that are not natural: none may appear.
      const lane =
        what.group === 'lane' ? ` ${what.size - 1}` : what.group.startsWith('lane') ? ' 1' : ''
      const [first] = bodyOf(text, what.name)
      assert.equal(first, what.name + offset + lane)
      count++
    }
    assert.ok(count > 450, `${count}`)
  })
}

test('an instruction asked for in the wrong group is a Bug', () => {
  assert.throws(() => instruction('pure', 'i32.load'), { name: 'Bug' })
  assert.throws(() => instruction('load', 'i32.lode'), { name: 'Bug' })
})
