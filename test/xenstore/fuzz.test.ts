// Several clients of one xenstored, tools on sockets and guests on rings, make requests in random
// order, with transactions that overlap. Every answer, every event and the tree must be those of
// the reference model. Seeded: a failure names the seed and the request.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ringClient,
  streamClient,
  type TestClient,
  TestPage,
} from '../../src/backends/xenstore/test-clients.ts'
import { DEFAULT_QUOTAS } from '../../src/backends/xenstore/quotas.ts'
import * as wire from '../../src/backends/xenstore/wire.ts'
import { Xenstored } from '../../src/backends/xenstore/xenstored.ts'
import { Random } from '../hostile/random.ts'
import {
  childrenOf,
  ModelClient,
  type ModelRequest,
  type ModelTransaction,
  ReferenceModel,
} from './reference-model.ts'

const SEEDS = Number(process.env['XENOLITH_STORE_SEEDS'] ?? 150)
const REQUESTS = 300
const WATCHES = 6
const TRANSACTIONS = 2
/** Of memory; a guest's home alone takes about fifty bytes. Infinity stands for 0, no limit. */
const LIMITS = [150, 250, 400, Infinity]
/** Bytes of an answer and of its header, at the most that there are here. */
const MOST_ANSWER = 200
const EVENT_HEADER = 16

const PATHS = [
  ...['/shared', '/shared/a', '/shared/a/b', '/shared/c', '/shared/c/d/e', '/', '/none/at/all'],
  ...['/local/domain/5/x', '/local/domain/5/x/y', '/local/domain/6/x', '/local/domain/6'],
  ...['x', 'x/y', 'z', 'x/y/z'],
]
const WATCHED = ['/shared', '/shared/a', '/', 'x', '/local/domain/5', '/local/domain/6/x']
const PERMISSIONS = [['n0'], ['r0'], ['b0'], ['n5'], ['n5', 'r6'], ['n0', 'b5', 'r6'], ['w6']]
const VERBS = [
  ...(['READ', 'READ', 'DIRECTORY', 'GET_PERMS', 'WRITE', 'WRITE', 'WRITE'] as const),
  ...(['MKDIR', 'RM', 'SET_PERMS'] as const),
]
const TYPES: Readonly<Record<ModelRequest['verb'], number>> = {
  READ: wire.XS_READ,
  DIRECTORY: wire.XS_DIRECTORY,
  GET_PERMS: wire.XS_GET_PERMS,
  WRITE: wire.XS_WRITE,
  MKDIR: wire.XS_MKDIR,
  RM: wire.XS_RM,
  SET_PERMS: wire.XS_SET_PERMS,
}

/** What happened, to see that the fuzzer gets anywhere. */
const seen = new Map<string, number>()

function count(what: string): void {
  seen.set(what, (seen.get(what) ?? 0) + 1)
}

interface Side {
  readonly name: string
  readonly real: TestClient
  readonly model: ModelClient
}

/** One daemon with its clients, and the model of it. */
class Fuzz {
  readonly random: Random
  readonly daemon: Xenstored
  readonly sides: readonly Side[]
  readonly model: ReferenceModel
  readonly limit: number
  #value = 0

  constructor(seed: number) {
    this.random = new Random(seed)
    this.limit = this.random.pick(LIMITS)
    const memory = Number.isFinite(this.limit) ? this.limit : 0
    const quotas = { ...DEFAULT_QUOTAS, memory, watches: WATCHES, transactions: TRANSACTIONS }
    this.daemon = new Xenstored({ quotas })
    const guests = [5, 6].map((domid) => {
      const page = new TestPage()
      this.daemon.introduceDomain(domid, page)
      const real = ringClient(this.daemon, domid, page)
      return { name: `guest ${domid}`, real, model: new ModelClient(domid) }
    })
    const tools = [0, 1].map((i) => ({
      name: `tool ${i}`,
      real: streamClient(this.daemon),
      model: new ModelClient(0),
    }))
    this.sides = [...tools, ...guests]
    this.model = new ReferenceModel(
      this.sides.map(({ model }) => model),
      this.limit,
    )
    const tool = this.sides[0] as Side
    this.plain(tool, { verb: 'MKDIR', path: '/tool/xenstored', more: [] })
    for (const { home, domid } of guests.map(({ model }) => model)) {
      this.plain(tool, { verb: 'MKDIR', path: home, more: [] })
      this.plain(tool, { verb: 'SET_PERMS', path: home, more: [`n${domid}`] })
    }
    this.plain(tool, { verb: 'WRITE', path: '/shared/a/b', more: ['start'] })
    this.plain(tool, { verb: 'SET_PERMS', path: '/shared', more: ['b0'] })
  }

  /** Sends a request and gives its answer; all clients must get the events that the model says. */
  send(to: Side, type: number, payload: Uint8Array, transactionId = 0): wire.Message {
    to.real.send({ type, payload, transactionId, requestId: 7 })
    const answers: wire.Message[] = []
    this.events = this.sides.map(({ real }) => {
      const messages = real.take()
      const events = messages.filter((m) => m.type === wire.XS_WATCH_EVENT)
      answers.push(...messages.filter((m) => m.type !== wire.XS_WATCH_EVENT))
      return events.map((m) => wire.decodeStrings(m.payload).join(' '))
    })
    assert.equal(answers.length, 1, 'one answer')
    return answers[0] as wire.Message
  }

  events: string[][] = []

  /** A request that the store answers, in a transaction or not. */
  plain(to: Side, request: ModelRequest, transaction?: readonly [number, ModelTransaction]): void {
    const { verb, path, more } = request
    const payload =
      verb === 'WRITE' ? wire.bytesOf(`${path}\0${more[0]}`) : wire.encodeStrings(path, ...more)
    const answer = this.send(to, TYPES[verb], payload, transaction?.[0])
    const expected = this.model.request(to.model, request, transaction?.[1])
    assert.equal(textOf(verb, answer), expected)
    if (transaction && verb === 'RM' && expected === 'ENOMEM') {
      // Which nodes it had looked at by then is a matter of their order.
      this.end(to, ...transaction, false)
    }
    count(`${verb} ${/^E[A-Z]+$/.test(expected) ? expected : 'OK'}`)
    this.checkEvents()
  }

  start(to: Side): void {
    const answer = this.send(to, wire.XS_TRANSACTION_START, wire.encodeStrings(''))
    const { transactions, domid } = to.model
    const isFull = domid !== 0 && transactions.size > TRANSACTIONS
    if (isFull) return assert.equal(textOf('', answer), 'ENOSPC')
    const id = Number(wire.decodeString(answer.payload))
    assert.ok(id > 0 && !transactions.has(id))
    transactions.set(id, this.model.begin())
  }

  end(to: Side, id: number, transaction: ModelTransaction, isWanted: boolean): void {
    const verdict = wire.encodeStrings(isWanted ? 'T' : 'F')
    const answer = textOf('', this.send(to, wire.XS_TRANSACTION_END, verdict, id))
    to.model.transactions.delete(id)
    count(`END ${isWanted ? answer : 'aborted'}`)
    if (!isWanted) assert.equal(answer, 'OK')
    else if (answer === 'OK') {
      assert.equal(this.model.committed(to.model, transaction), undefined)
    } else {
      assert.equal(answer, 'EAGAIN')
      assert.ok(this.model.mayConflict(to.model, transaction), 'nobody was in its way')
    }
    this.checkEvents()
  }

  checkEvents(): void {
    for (const [i, { model, name }] of this.sides.entries()) {
      const got = this.events[i] ?? []
      const bytes = model.events.reduce((sum, { length }) => sum + EVENT_HEADER + length + 1, 0)
      const most = this.model.memory(model) + bytes + MOST_ANSWER
      if (model.domid !== 0 && most >= this.limit) {
        // Some of them may not have found room.
        for (const event of got) assert.ok(model.events.includes(event), `event of ${name}`)
        if (got.length < model.events.length) count('events dropped')
      } else assert.deepEqual(got.toSorted(), model.events.toSorted(), `events of ${name}`)
      model.events = []
      if (model.domid === 0) continue
      const memory = this.daemon.usageOf(model.domid)?.memory
      assert.equal(memory, this.model.memory(model), `memory of ${name}`)
    }
  }

  /** A guest that has all the memory it may have waits for its answer until there is more. */
  waits(to: Side): void {
    to.real.send({ type: wire.XS_READ, payload: wire.encodeStrings('x'), requestId: 7 })
    assert.deepEqual(to.real.take(), [], `${to.name} is not served`)
    const set = (limit: string) => {
      const payload = wire.encodeStrings('quota', 'set', 'memory', limit)
      this.sides[0]?.real.send({ type: wire.XS_CONTROL, payload })
      const answers = this.sides[0]?.real.take().map((m) => wire.decodeString(m.payload))
      assert.deepEqual(answers, ['OK'])
    }
    set('0')
    const answers = to.real.take()
    assert.equal(answers.length, 1)
    const expected = this.model.request(to.model, { verb: 'READ', path: 'x', more: [] })
    assert.equal(textOf('READ', answers[0] as wire.Message), expected)
    set(String(this.limit))
    count('waits')
  }

  checkTree(): void {
    const zero = { domid: 0, isPrivileged: true }
    const { tree } = this.model
    for (const [path, { value, permissions }] of tree) {
      const real = this.daemon.store.read(zero, path)
      assert.equal(typeof real === 'string' ? real : wire.textOf(real), value, path)
      const entries = this.daemon.store.permissions(zero, path)
      assert.ok(typeof entries !== 'string')
      assert.deepEqual(
        entries.map(({ access, domid }) => `${access}${domid}`),
        permissions,
      )
      const listed = this.daemon.store.list(zero, path)
      assert.ok(typeof listed !== 'string')
      assert.deepEqual(listed.names.toSorted(), childrenOf(tree, path).toSorted())
    }
  }

  step(): string {
    const { random } = this
    const to = random.pick(this.sides)
    const open = [...to.model.transactions]
    const path = random.pick(PATHS)
    const roll = random.below(20)
    if (to.model.domid !== 0 && this.model.memory(to.model) >= this.limit) {
      this.waits(to)
      return `${to.name} waits`
    }
    if (roll === 0) {
      this.start(to)
      return `${to.name} starts`
    }
    if (roll <= 2 && open.length > 0) {
      const [id, transaction] = random.pick(open)
      const isWanted = random.below(5) > 0
      this.end(to, id, transaction, isWanted)
      return `${to.name} ends ${id}`
    }
    if (roll === 3 || roll === 4) {
      const watched = random.pick(WATCHED)
      const token = random.pick(['t', 'u'])
      const isNew = roll === 3
      const type = isNew ? wire.XS_WATCH : wire.XS_UNWATCH
      const answer = textOf('', this.send(to, type, wire.encodeStrings(watched, token)))
      const expected = isNew
        ? this.model.watch(to.model, watched, token, WATCHES)
        : this.model.unwatch(to.model, watched, token)
      assert.equal(answer, expected)
      this.checkEvents()
      return `${to.name} ${isNew ? 'watches' : 'unwatches'} ${watched} ${token}`
    }
    const verb = random.pick(VERBS)
    const more = verb === 'SET_PERMS' ? random.pick(PERMISSIONS) : [`v${this.#value++}`]
    const request = { verb, path, more: verb === 'WRITE' || verb === 'SET_PERMS' ? more : [] }
    const transaction = open.length > 0 && random.below(3) > 0 ? random.pick(open) : undefined
    this.plain(to, request, transaction)
    return `${to.name} ${verb} ${path} in ${transaction?.[0] ?? 'none'}`
  }
}

function textOf(verb: string, { type, payload }: wire.Message): string {
  if (type === wire.XS_ERROR) return wire.decodeString(payload) ?? ''
  if (verb === 'READ') return `=${wire.textOf(payload)}`
  const strings = wire.decodeStrings(payload)
  return (verb === 'DIRECTORY' ? strings.toSorted() : strings).join()
}

test(`${SEEDS} seeds of ${REQUESTS} requests: clients, transactions and watches as modelled`, () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const fuzz = new Fuzz(seed)
    const steps: string[] = []
    try {
      for (let i = 0; i < REQUESTS; i++) steps.push(fuzz.step())
      fuzz.checkTree()
    } catch (error) {
      throw new Error(`seed ${seed}, after:\n${steps.slice(-8).join('\n')}`, { cause: error })
    }
  }
  // A fuzzer whose requests all fail alike would pass as well.
  const often = [
    ...['READ OK', 'READ ENOENT', 'READ EACCES', 'WRITE OK', 'WRITE EACCES', 'MKDIR OK', 'RM OK'],
    ...['SET_PERMS OK', 'SET_PERMS EPERM', 'END OK', 'END EAGAIN', 'END aborted'],
    ...['WRITE EIO', 'WRITE ENOMEM', 'events dropped', 'waits'],
  ]
  for (const what of often) assert.ok((seen.get(what) ?? 0) >= SEEDS, `${what} came too seldom`)
})
