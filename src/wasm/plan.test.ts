// Random programs are run twice: as WebAssembly, and by an interpreter that does everything in the
// order in which it is written. Whatever planning and encoding move, drop or share must not show.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { FunctionBuilder } from './function.ts'
import { ModuleBuilder } from './module.ts'
import type { FuncRef } from './graph.ts'
import type { Label, Local, Value } from './value.ts'

type Expression =
  | { readonly kind: 'constant'; readonly n: number }
  | { readonly kind: 'local'; readonly i: number }
  | { readonly kind: 'named'; readonly i: number }
  | { readonly kind: 'load'; readonly at: Expression }
  | {
      readonly kind: 'add' | 'xor' | 'mul' | 'ltU' | 'wide'
      readonly a: Expression
      readonly b: Expression
    }
  | {
      readonly kind: 'select'
      readonly a: Expression
      readonly b: Expression
      readonly c: Expression
    }

type Statement =
  | { readonly kind: 'name'; readonly value: Expression }
  | { readonly kind: 'set'; readonly i: number; readonly value: Expression }
  /** Adds the values that were last named to a local. */
  | { readonly kind: 'sum'; readonly i: number; readonly count: number }
  | { readonly kind: 'store'; readonly at: Expression; readonly value: Expression }
  | { readonly kind: 'call'; readonly value: Expression }
  | {
      readonly kind: 'if'
      readonly test: Expression
      readonly then: Statement[]
      readonly otherwise: Statement[] | null
    }
  | {
      readonly kind: 'choose'
      readonly test: Expression
      readonly a: Expression
      readonly body: Statement[]
      readonly b: Expression
    }
  | {
      readonly kind: 'loop'
      readonly times: number
      readonly body: Statement[]
      readonly leave: Expression
    }
  | {
      readonly kind: 'block'
      readonly before: Statement[]
      readonly test: Expression
      readonly after: Statement[]
    }
  | { readonly kind: 'leave'; readonly levels: number }

const LOCALS = 3
const MEMORY = 8
const START = Uint8Array.from({ length: MEMORY }, (_, i) => i * 29 + 7)

const { body } = fc.letrec<{ expression: Expression; statement: Statement; body: Statement[] }>(
  (tie) => ({
    expression: fc.oneof(
      { maxDepth: 3, depthIdentifier: 'expression' },
      fc.record({ kind: fc.constant('named' as const), i: fc.nat(9) }),
      fc.record({ kind: fc.constant('local' as const), i: fc.nat(LOCALS - 1) }),
      fc.record({ kind: fc.constant('constant' as const), n: fc.integer({ min: -3, max: 70 }) }),
      fc.record({ kind: fc.constant('load' as const), at: tie('expression') }),
      fc.record({
        kind: fc.constantFrom(
          'add' as const,
          'xor' as const,
          'mul' as const,
          'ltU' as const,
          'wide' as const,
        ),
        a: tie('expression'),
        b: tie('expression'),
      }),
      fc.record({
        kind: fc.constant('select' as const),
        a: tie('expression'),
        b: tie('expression'),
        c: tie('expression'),
      }),
    ),
    statement: fc.oneof(
      { maxDepth: 3, depthIdentifier: 'statement' },
      fc.record({ kind: fc.constant('sum' as const), i: fc.nat(LOCALS - 1), count: fc.nat(6) }),
      fc.record({ kind: fc.constant('name' as const), value: tie('expression') }),
      fc.record({
        kind: fc.constant('set' as const),
        i: fc.nat(LOCALS - 1),
        value: tie('expression'),
      }),
      fc.record({
        kind: fc.constant('store' as const),
        at: tie('expression'),
        value: tie('expression'),
      }),
      fc.record({ kind: fc.constant('call' as const), value: tie('expression') }),
      fc.record({
        kind: fc.constant('if' as const),
        test: tie('expression'),
        then: tie('body'),
        otherwise: fc.option(tie('body')),
      }),
      fc.record({
        kind: fc.constant('choose' as const),
        test: tie('expression'),
        a: tie('expression'),
        body: tie('body'),
        b: tie('expression'),
      }),
      {
        weight: 3,
        arbitrary: fc.record({
          kind: fc.constant('loop' as const),
          times: fc.integer({ min: 1, max: 3 }),
          body: tie('body'),
          leave: fc.oneof(fc.constant<Expression>({ kind: 'constant', n: 0 }), tie('expression')),
        }),
      },
      fc.record({
        kind: fc.constant('block' as const),
        before: tie('body'),
        test: tie('expression'),
        after: tie('body'),
      }),
      fc.record({ kind: fc.constant('leave' as const), levels: fc.nat(3) }),
    ),
    body: fc.array(tie('statement'), { maxLength: 7, size: 'max' }),
  }),
)

/** Records a program. Named values are visible to the end of the body that names them. */
class Recorder {
  readonly f: FunctionBuilder
  readonly call: FuncRef
  readonly locals: Local[]
  named: Value[] = []
  /** Blocks around the current place, the innermost last. */
  blocks: Label[] = []

  constructor(f: FunctionBuilder, call: FuncRef) {
    this.f = f
    this.call = call
    this.locals = Array.from({ length: LOCALS }, () => f.local('i32'))
    this.named.push(f.param(0))
  }

  address(at: Expression): Value {
    return this.f.and(this.expression(at), this.f.i32(MEMORY - 1))
  }

  expression(e: Expression): Value {
    const { f } = this
    switch (e.kind) {
      case 'constant':
        return f.i32(e.n)
      case 'local':
        return f.get(this.locals[e.i] as Local)
      case 'named':
        return this.named[e.i % this.named.length] as Value
      case 'load':
        return f.load('i32.load8_u', this.address(e.at))
      case 'wide':
        return f.wrap(
          f.shrU(f.mul(f.extendU(this.expression(e.a)), f.extendS(this.expression(e.b))), f.i64(7)),
        )
      case 'select': {
        const condition = this.expression(e.c)
        return f.select(condition, this.expression(e.a), this.expression(e.b))
      }
      default:
        return f[e.kind](this.expression(e.a), this.expression(e.b))
    }
  }

  body(statements: readonly Statement[]): void {
    const count = this.named.length
    for (const statement of statements) this.statement(statement)
    this.named.length = count
  }

  statement(s: Statement): void {
    const { f } = this
    switch (s.kind) {
      case 'name':
        this.named.push(this.expression(s.value))
        return
      case 'set':
        f.set(this.locals[s.i] as Local, this.expression(s.value))
        return
      case 'sum': {
        const local = this.locals[s.i] as Local
        f.set(
          local,
          this.named.slice(-s.count).reduce((a, b) => f.add(a, b), f.get(local)),
        )
        return
      }
      case 'store': {
        const at = this.address(s.at)
        f.store('i32.store8', at, this.expression(s.value))
        return
      }
      case 'call':
        this.named.push(f.call(this.call, this.expression(s.value)))
        return
      case 'if': {
        const { otherwise } = s
        f.if(
          this.expression(s.test),
          () => this.body(s.then),
          otherwise ? () => this.body(otherwise) : undefined,
        )
        return
      }
      case 'choose':
        this.named.push(
          f.choose(
            'i32',
            this.expression(s.test),
            () => this.expression(s.a),
            () => {
              this.body(s.body)
              return this.expression(s.b)
            },
          ),
        )
        return
      case 'loop': {
        const counter = f.local('i32')
        f.set(counter, f.i32(0))
        f.block((end) => {
          this.blocks.push(end)
          f.loop((again) => {
            const count = this.named.length
            for (const statement of s.body) this.statement(statement)
            f.brIf(end, this.expression(s.leave))
            const next = f.add(f.get(counter), f.i32(1))
            f.set(counter, next)
            f.brIf(again, f.ltU(next, f.i32(s.times)))
            this.named.length = count
          })
          this.blocks.pop()
        })
        return
      }
      case 'block':
        f.block((end) => {
          this.blocks.push(end)
          this.body(s.before)
          f.brIf(end, this.expression(s.test))
          this.body(s.after)
          this.blocks.pop()
        })
        return
      case 'leave': {
        const label = this.blocks.at(-1 - s.levels)
        if (label) f.br(label)
      }
    }
  }
}

/** A branch out of so many blocks. */
class Leave {
  levels: number
  constructor(levels: number) {
    this.levels = levels
  }
}

/** Runs a program as it is written. */
class Interpreter {
  readonly locals = new Int32Array(LOCALS)
  readonly memory = START.slice()
  named: number[] = []
  depth = 0

  constructor(argument: number) {
    this.named.push(argument)
  }

  /** The imported function of the programs: reads and writes memory. */
  static effect(memory: Uint8Array, n: number): number {
    memory[3] = (memory[3] as number) + n
    return (n ^ (memory[5] as number)) | 0
  }

  expression(e: Expression): number {
    switch (e.kind) {
      case 'constant':
        return e.n
      case 'local':
        return this.locals[e.i] as number
      case 'named':
        return this.named[e.i % this.named.length] as number
      case 'load':
        return this.memory[this.expression(e.at) & (MEMORY - 1)] as number
      case 'add':
        return (this.expression(e.a) + this.expression(e.b)) | 0
      case 'xor':
        return this.expression(e.a) ^ this.expression(e.b)
      case 'mul':
        return Math.imul(this.expression(e.a), this.expression(e.b))
      case 'ltU':
        return this.expression(e.a) >>> 0 < this.expression(e.b) >>> 0 ? 1 : 0
      case 'wide': {
        const product = BigInt(this.expression(e.a) >>> 0) * BigInt(this.expression(e.b))
        return Number(BigInt.asIntN(32, BigInt.asUintN(64, product) >> 7n))
      }
      case 'select':
        return this.expression(e.c) !== 0 ? this.expression(e.a) : this.expression(e.b)
    }
  }

  body(statements: readonly Statement[]): void {
    const count = this.named.length
    try {
      for (const statement of statements) this.statement(statement)
    } finally {
      this.named.length = count
    }
  }

  /** Runs what may leave the block around it. */
  block(run: () => void): void {
    this.depth++
    try {
      run()
    } catch (leave) {
      if (!(leave instanceof Leave)) throw leave
      if (leave.levels > 0) {
        leave.levels--
        throw leave
      }
    } finally {
      this.depth--
    }
  }

  statement(s: Statement): void {
    switch (s.kind) {
      case 'name':
        this.named.push(this.expression(s.value))
        return
      case 'set':
        this.locals[s.i] = this.expression(s.value)
        return
      case 'sum': {
        const local = this.locals[s.i] as number
        this.locals[s.i] = this.named.slice(-s.count).reduce((a, b) => (a + b) | 0, local)
        return
      }
      case 'store':
        this.memory[this.expression(s.at) & (MEMORY - 1)] = this.expression(s.value)
        return
      case 'call':
        this.named.push(Interpreter.effect(this.memory, this.expression(s.value)))
        return
      case 'if':
        if (this.expression(s.test) !== 0) this.body(s.then)
        else if (s.otherwise) this.body(s.otherwise)
        return
      case 'choose':
        if (this.expression(s.test) !== 0) this.named.push(this.expression(s.a))
        else {
          this.body(s.body)
          this.named.push(this.expression(s.b))
        }
        return
      case 'loop':
        this.block(() => {
          const count = this.named.length
          try {
            for (let i = 0; i < s.times; i++) {
              for (const statement of s.body) this.statement(statement)
              if (this.expression(s.leave) !== 0) return
              this.named.length = count
            }
          } finally {
            this.named.length = count
          }
        })
        return
      case 'block':
        this.block(() => {
          this.body(s.before)
          if (this.expression(s.test) === 0) this.body(s.after)
        })
        return
      case 'leave':
        if (s.levels < this.depth) throw new Leave(s.levels)
    }
  }
}

/** Memory, then locals, after the program has run as WebAssembly. */
function compiled(program: readonly Statement[], argument: number): Uint8Array {
  const module = new ModuleBuilder()
  module.importMemory('host', 'memory', { min: 1 })
  const call = module.importFunction('host', 'effect', ['i32'], ['i32'])
  const func = module.declare(['i32'], [])
  module.body(func, (f) => {
    const recorder = new Recorder(f, call)
    f.block((end) => {
      recorder.blocks.push(end)
      recorder.body(program)
    })
    for (const [i, local] of recorder.locals.entries()) {
      f.store('i32.store', f.i32(MEMORY + 4 * i), f.get(local))
    }
  })
  module.exportFunction(func, 'run')
  const memory = new WebAssembly.Memory({ initial: 1 })
  const bytes = new Uint8Array(memory.buffer)
  bytes.set(START)
  const host = { memory, effect: (n: number) => Interpreter.effect(bytes, n) }
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.finish()), { host })
  const run = instance.exports['run'] as (argument: number) => void
  run(argument)
  return bytes.slice(0, MEMORY + 4 * LOCALS)
}

function interpreted(program: readonly Statement[], argument: number): Uint8Array {
  const interpreter = new Interpreter(argument)
  interpreter.block(() => interpreter.body(program))
  const bytes = new Uint8Array(MEMORY + 4 * LOCALS)
  bytes.set(interpreter.memory)
  bytes.set(new Uint8Array(interpreter.locals.buffer), MEMORY)
  return bytes
}

test('a program does the same as WebAssembly and when it is interpreted as it is written', () => {
  fc.assert(
    fc.property(body, fc.integer(), (program, argument) => {
      assert.deepEqual(compiled(program, argument), interpreted(program, argument))
    }),
    { numRuns: 3000 },
  )
})

test('a value whose first use lies in an arm is there after it, though a later user is older', () => {
  const module = new ModuleBuilder()
  const func = module.declare(['i32', 'i32'], ['i32'])
  module.body(func, (f) => {
    const out = f.local('i32')
    const shared = f.mul(f.param(0), f.i32(3))
    // Recorded before the arm, used after it.
    const later = f.xor(shared, f.i32(5))
    f.if(f.param(1), () => f.set(out, f.add(shared, f.i32(100))))
    f.ret(f.add(f.get(out), later))
  })
  module.exportFunction(func, 'run')
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.finish()))
  const run = instance.exports['run'] as (a: number, b: number) => number
  assert.equal(run(7, 0), 21 ^ 5)
  assert.equal(run(7, 1), 121 + (21 ^ 5))
})
