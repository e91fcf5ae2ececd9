// The store against a model that is a plain map from paths to values, and transactions against
// all orders in which they could have run one after another.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Caller } from './permissions.ts'
import { parentOf } from './path.ts'
import { DEFAULT_QUOTAS } from './quotas.ts'
import { Store } from './store.ts'
import type { Transaction } from './transaction.ts'
import { bytesOf, textOf } from './wire.ts'
import type { Workspace } from './workspace.ts'

const ZERO: Caller = { domid: 0, isPrivileged: true }
const FIVE: Caller = { domid: 5, isPrivileged: false }

type Operation = readonly [kind: 'read' | 'list' | 'write' | 'make' | 'remove', path: string]

const path = fc
  .array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 3 })
  .map((names) => `/${names.join('/')}`)
const operation: fc.Arbitrary<Operation> = fc.tuple(
  fc.constantFrom('read', 'list', 'write', 'write', 'make', 'remove'),
  path,
)

/** Carries out an operation and gives what it answers; each write writes something else. */
function apply(on: Workspace, [kind, at]: Operation, value: string): string {
  const plain = (result: unknown): string => {
    if (result instanceof Uint8Array) return `value ${textOf(result)}`
    return typeof result === 'string' ? result : 'OK'
  }
  switch (kind) {
    case 'read':
      return plain(on.read(ZERO, at))
    case 'list': {
      const listed = on.list(ZERO, at)
      return typeof listed === 'string' ? listed : listed.names.toSorted().join()
    }
    case 'write':
      return plain(on.write(ZERO, at, bytesOf(value)))
    case 'make':
      return plain(on.makeNode(ZERO, at))
    case 'remove':
      return plain(on.remove(ZERO, at))
  }
}

/** The same on a map from paths to values. */
function applyToModel(model: Map<string, string>, [kind, at]: Operation, value: string): string {
  const make = (made: string): void => {
    if (model.has(made)) return
    make(parentOf(made))
    model.set(made, '')
  }
  switch (kind) {
    case 'read':
      return model.has(at) ? `value ${model.get(at)}` : 'ENOENT'
    case 'list': {
      if (!model.has(at)) return 'ENOENT'
      const children = [...model.keys()].filter((p) => p !== '/' && parentOf(p) === at)
      return children
        .map((p) => p.slice(p.lastIndexOf('/') + 1))
        .toSorted()
        .join()
    }
    case 'write':
      make(at)
      model.set(at, value)
      return 'OK'
    case 'make':
      make(at)
      return 'OK'
    case 'remove':
      if (!model.has(parentOf(at))) return 'ENOENT'
      for (const p of model.keys()) if (p === at || p.startsWith(`${at}/`)) model.delete(p)
      return 'OK'
  }
}

function contents(on: Workspace): string {
  const lines: string[] = []
  const visit = (at: string): void => {
    lines.push(`${at}=${apply(on, ['read', at], '')}`)
    const names = apply(on, ['list', at], '').split(',')
    for (const name of names) if (name !== '') visit(at === '/' ? `/${name}` : `${at}/${name}`)
  }
  visit('/')
  return lines.join('\n')
}

test('the store does what a map from paths to values does', () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 40 }), (operations) => {
      const store = new Store()
      const model = new Map([['/', '']])
      for (const [i, op] of operations.entries()) {
        assert.equal(apply(store, op, `v${i}`), applyToModel(model, op, `v${i}`), op.join(' '))
      }
      assert.equal(store.owned.get(0)?.nodes, model.size)
    }),
  )
})

/** Operations that answered as if they had run alone, at some moment from `start` to `end`. */
interface Run {
  readonly steps: { op: Operation; value: string; answer: string }[]
  readonly start: number
  readonly end: number
}

/**
 * Whether there is an order in which the runs, one after another, give the same answers and the
 * same end; a run that ended before another began must come before it.
 */
function isSerial(runs: readonly Run[], start: Store, end: string): boolean {
  if (runs.length === 0) return contents(start) === end
  return runs.some((run) => {
    const others = runs.filter((r) => r !== run)
    if (others.some((r) => r.end < run.start)) return false
    const store = new Store()
    store.restore(start.save())
    const fits = run.steps.every(({ op, value, answer }) => apply(store, op, value) === answer)
    return fits && isSerial(others, store, end)
  })
}

/** A step of one of three transactions, perhaps its last, or (3) of none. */
const step = fc.tuple(
  fc.integer({ min: 0, max: 3 }),
  fc.tuple(
    fc.constantFrom('read', 'list', 'write', 'write', 'make', 'remove'),
    fc.constantFrom('/a', '/a/a', '/a/b', '/b', '/b/a'),
  ),
  fc.boolean(),
)

test('transactions that commit have an order in which they could have run alone', () => {
  fc.assert(
    fc.property(
      fc.array(operation, { maxLength: 6 }),
      fc.array(step, { minLength: 8, maxLength: 18 }),
      (setup, steps) => {
        const store = new Store()
        for (const [i, op] of setup.entries()) apply(store, op, `s${i}`)
        const start = new Store()
        start.restore(store.save())
        const open = new Map<number, { on: Transaction; run: Run }>()
        const done: Run[] = []
        for (const [i, [who, op, isLast]] of steps.entries()) {
          const value = `v${i}`
          if (who === 3) {
            const answer = apply(store, op, value)
            done.push({ steps: [{ op, value, answer }], start: i, end: i })
            continue
          }
          const { on, run } = open.get(who) ?? {
            on: store.begin(),
            run: { steps: [], start: i, end: i },
          }
          open.set(who, { on, run })
          run.steps.push({ op, value, answer: apply(on, op, value) })
          if (!isLast) continue
          open.delete(who)
          if (store.commit(ZERO, on) === undefined) done.push({ ...run, end: i })
        }
        assert.ok(isSerial(done, start, contents(store)))
      },
    ),
    { numRuns: 1500 },
  )
})

test('a transaction that looked at what others changed since fails, and changes nothing', () => {
  const conflicts: [mine: Operation[], theirs: Operation][] = [
    [
      [
        ['read', '/a'],
        ['write', '/z'],
      ],
      ['write', '/a'],
    ],
    [[['write', '/a']], ['write', '/a']],
    [
      [
        ['list', '/'],
        ['write', '/z/y'],
      ],
      ['write', '/b'],
    ],
    [
      [
        ['read', '/b'],
        ['write', '/z'],
      ],
      ['write', '/b'],
    ],
    [[['write', '/a/b']], ['remove', '/a']],
    [
      [
        ['remove', '/a'],
        ['make', '/a'],
      ],
      ['write', '/a/b'],
    ],
  ]
  for (const [mine, theirs] of conflicts) {
    const store = new Store()
    store.write(ZERO, '/a', bytesOf('1'))
    const transaction = store.begin()
    for (const op of mine) apply(transaction, op, 'mine')
    apply(store, theirs, 'theirs')
    const before = contents(store)
    assert.equal(store.commit(ZERO, transaction), 'EAGAIN', theirs.join(' '))
    assert.equal(contents(store), before)
  }
})

test('transactions that touch different nodes of one parent both commit', () => {
  const store = new Store()
  store.makeNode(ZERO, '/backend')
  const one = store.begin()
  const two = store.begin()
  one.write(ZERO, '/backend/1', bytesOf('one'))
  two.write(ZERO, '/backend/2', bytesOf('two'))
  assert.equal(store.commit(ZERO, one), undefined)
  assert.equal(store.commit(ZERO, two), undefined)
  assert.deepEqual(apply(store, ['list', '/backend'], ''), '1,2')
})

test('a transaction that only reads sees one moment and never fails', () => {
  const store = new Store()
  store.write(ZERO, '/a', bytesOf('1'))
  const transaction = store.begin()
  assert.equal(apply(transaction, ['read', '/a'], ''), 'value 1')
  store.write(ZERO, '/a', bytesOf('2'))
  assert.equal(apply(transaction, ['read', '/a'], ''), 'value 1')
  assert.equal(store.commit(ZERO, transaction), undefined)
})

test('the count of nodes that each domain owns stays that of the tree', () => {
  const owner = fc.constantFrom(0, 5, 6)
  const action = fc.tuple(operation, owner, fc.boolean())
  fc.assert(
    fc.property(fc.array(action, { maxLength: 30 }), (actions) => {
      const store = new Store()
      let transaction: Transaction | undefined
      for (const [i, [op, domid, isInTransaction]] of actions.entries()) {
        if (isInTransaction) transaction ??= store.begin()
        const on = isInTransaction && transaction ? transaction : store
        apply(on, op, `v${i}`)
        on.setPermissions(ZERO, op[1], [{ domid, access: 'n' }])
        if (transaction && i % 5 === 4) {
          store.commit(ZERO, transaction)
          transaction = undefined
        }
        if (i % 7 === 6) store.forgetDomain(6)
      }
      const counted = new Store()
      counted.restore(store.save())
      assert.deepEqual(Object.fromEntries(store.owned), Object.fromEntries(counted.owned))
    }),
  )
})

test('a commit that would make a domain own too much fails as a whole', () => {
  const store = new Store({ ...DEFAULT_QUOTAS, nodeSize: 1 << 20 })
  store.makeNode(ZERO, '/five')
  store.setPermissions(ZERO, '/five', [{ domid: 5, access: 'n' }])
  const transaction = store.begin()
  for (let i = 0; i < 600; i++) {
    assert.equal(transaction.makeNode(FIVE, `/five/t${i}`), undefined)
    assert.equal(store.makeNode(FIVE, `/five/s${i % 300}`), undefined)
  }
  assert.equal(store.commit(FIVE, transaction), undefined)
  assert.equal(store.owned.get(5)?.nodes, 901)
  const more = store.begin()
  for (let i = 0; i < 99; i++) more.makeNode(FIVE, `/five/u${i}`)
  store.makeNode(FIVE, '/five/last')
  assert.equal(store.commit(FIVE, more), 'ENOSPC')
  assert.equal(store.owned.get(5)?.nodes, 902)
})
