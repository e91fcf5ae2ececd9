import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FRAME_PINNED, FRAME_VALIDATED, FrameTable, FrameType } from './frame-table.ts'
import type { FrameTableOptions, Mfn } from './frame-table.ts'

const FIRST = 3
const FRAMES = 12

function memory(): { u8: Uint8Array; u32: Uint32Array } {
  const buffer = new ArrayBuffer((FIRST + FRAMES) * 4096)
  return { u8: new Uint8Array(buffer), u32: new Uint32Array(buffer) }
}

function table(options?: FrameTableOptions): FrameTable {
  return new FrameTable(memory(), FIRST * 4096, FRAMES * 4096, options)
}

function taken(frames: FrameTable, domid: number): Mfn {
  const mfn = frames.allocate(domid)
  assert.ok(mfn !== undefined)
  return mfn
}

test('frames are handed out from the bottom, and the table runs out without an exception', () => {
  const frames = table()
  const all = Array.from({ length: FRAMES }, () => taken(frames, 1))
  assert.deepEqual(
    all,
    Array.from({ length: FRAMES }, (_, i) => FIRST + i),
  )
  assert.equal(frames.allocate(1), undefined)
  assert.equal(frames.freeFrames, 0)
  assert.equal(frames.totalOf(1), FRAMES)
})

test('allocateMany takes all it is asked for or nothing', () => {
  const frames = table()
  assert.equal(frames.allocateMany(1, FRAMES + 1), undefined)
  assert.equal(frames.freeFrames, FRAMES)
  assert.equal(frames.allocateMany(1, FRAMES)?.length, FRAMES)
})

test("a frame stays its owner's while somebody holds it, and is wiped before the next", () => {
  const frames = table()
  const mfn = taken(frames, 1)
  frames.bytes(mfn).fill(0x5a)
  assert.equal(frames.get(mfn, 1), true)
  assert.equal(frames.free(mfn), true)
  assert.equal(frames.owner(mfn), 1)
  assert.equal(frames.totalOf(1), 1)
  assert.equal(frames.bytes(mfn)[0], 0x5a)
  frames.put(mfn)
  assert.equal(frames.owner(mfn), undefined)
  assert.equal(frames.totalOf(1), 0)
  assert.equal(taken(frames, 2), mfn)
  assert.ok(frames.bytes(mfn).every((byte) => byte === 0))
})

test('get refuses a frame of another domain, a free frame and a number that is no frame', () => {
  const frames = table()
  const mfn = taken(frames, 1)
  assert.equal(frames.get(mfn, 2), false)
  assert.equal(frames.get(mfn + 1, 1), false)
  for (const nonsense of [0, FIRST - 1, FIRST + FRAMES, -1, 3.5, 2 ** 40, Number.NaN]) {
    assert.equal(frames.get(nonsense), false)
    assert.equal(frames.free(nonsense), false)
    assert.equal(frames.owner(nonsense), undefined)
    assert.equal(frames.changeOwner(nonsense, 1, 2), false)
  }
})

test('a frame cannot be freed twice, nor a reference be given back twice', () => {
  const frames = table()
  const mfn = taken(frames, 1)
  frames.get(mfn, 1)
  assert.equal(frames.free(mfn), true)
  assert.equal(frames.free(mfn), false)
  frames.put(mfn)
  assert.equal(frames.free(mfn), false)
  assert.throws(() => frames.put(mfn), /a reference too many/)
})

test('a type changes only while the frame is in no use, and then is not validated', () => {
  const frames = table()
  const mfn = taken(frames, 1)
  assert.equal(frames.getType(mfn, FrameType.writable), true)
  assert.equal(frames.getType(mfn, FrameType.writable), true)
  assert.equal(frames.getType(mfn, FrameType.l1), false)
  frames.putType(mfn)
  frames.putType(mfn)
  assert.throws(() => frames.putType(mfn), /a type reference too many/)
  const i = frames.indexOf(mfn)
  assert.equal(frames.type[i], FrameType.writable)
  frames.flags[i] = (frames.flags[i] as number) | FRAME_VALIDATED | FRAME_PINNED
  assert.equal(frames.getType(mfn, FrameType.l1), true)
  assert.equal(frames.flags[i] & (FRAME_VALIDATED | FRAME_PINNED), FRAME_PINNED)
})

test('a frame in use as a type cannot go back to the pool', () => {
  const frames = table()
  const mfn = taken(frames, 1)
  frames.getType(mfn, FrameType.l1)
  assert.throws(() => frames.free(mfn), /still in use as type/)
})

test('a frame changes hands only when its owner alone has it and it is in no use', () => {
  const frames = table()
  const mfn = taken(frames, 1)
  frames.bytes(mfn)[9] = 9
  assert.equal(frames.changeOwner(mfn, 2, 3), false)
  frames.get(mfn, 1)
  assert.equal(frames.changeOwner(mfn, 1, 2), false)
  frames.put(mfn)
  frames.getType(mfn, FrameType.writable)
  assert.equal(frames.changeOwner(mfn, 1, 2), false)
  frames.putType(mfn)
  assert.equal(frames.changeOwner(mfn, 1, 2), true)
  assert.equal(frames.owner(mfn), 2)
  assert.equal(frames.bytes(mfn)[9], 9)
  assert.deepEqual([frames.totalOf(1), frames.totalOf(2)], [0, 1])
})

test('frames of the Xen heap belong to a domain but do not count as its memory', () => {
  const frames = table()
  const mfn = frames.allocate(1, { xenHeap: true })
  assert.ok(mfn !== undefined)
  assert.equal(frames.owner(mfn), 1)
  assert.equal(frames.totalOf(1), 0)
  assert.equal(frames.changeOwner(mfn, 1, 2), false)
  frames.free(mfn)
  assert.equal(frames.totalOf(1), 0)
  assert.equal(frames.freeFrames, FRAMES)
})

test('a contiguous run is aligned to its size in machine frame numbers', () => {
  const frames = table()
  assert.equal(frames.allocateContiguous(1, 2), 4)
  assert.equal(taken(frames, 2), 3)
  assert.equal(frames.allocateContiguous(1, 2), 8)
  assert.equal(frames.allocateContiguous(1, 2), undefined)
  assert.equal(frames.allocateContiguous(1, 1), 12)
  assert.equal(frames.totalOf(1), 10)
  assert.deepEqual(frames.framesOf(2), [3])
  assert.equal(taken(frames, 2), 14)
  assert.equal(frames.freeFrames, 0)
})

test('in poison mode frames come full of 0xC2, and writes to free frames are reported', () => {
  const reports: [number, number][] = []
  const frames = table({ scrub: 'poison', onDirty: (mfn, offset) => reports.push([mfn, offset]) })
  const mfn = taken(frames, 1)
  assert.ok(frames.bytes(mfn).every((byte) => byte === 0xc2))
  frames.bytes(mfn).fill(1)
  frames.free(mfn)
  assert.equal(taken(frames, 1), mfn)
  assert.deepEqual(reports, [])
  frames.free(mfn)
  frames.bytes(mfn)[77] = 0
  taken(frames, 2)
  assert.deepEqual(reports, [[mfn, 77]])
  assert.ok(frames.bytes(mfn).every((byte) => byte === 0xc2))
})

test('a restored table hands out the same frames as the one that was saved', () => {
  const frames = table()
  const [a, b, c] = [taken(frames, 1), taken(frames, 2), taken(frames, 1)]
  frames.get(c, 1)
  frames.free(a)
  frames.free(c)
  frames.getType(b, FrameType.l4)
  const state = structuredClone(frames.save())
  const other = table()
  other.restore(state)
  assert.deepEqual([other.totalOf(1), other.totalOf(2), other.freeFrames], [1, 1, FRAMES - 2])
  assert.equal(other.typeCount[other.indexOf(b)], 1)
  other.put(c)
  frames.put(c)
  const rest = (f: FrameTable): Mfn[] | undefined => f.allocateMany(5, FRAMES - 1)
  assert.deepEqual(rest(other), rest(frames))
})

// The model: a list of records with the sets of holders spelled out.
type Step =
  | { allocate: number }
  | { free: number }
  | { get: number; as: number }
  | { put: number }
  | { transfer: number; to: number }
  | { contiguous: number; order: number }
const any = fc.nat(FRAMES - 1)
const domid = fc.nat(3)
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({ allocate: domid }),
    fc.record({ free: any }),
    fc.record({ get: any, as: domid }),
    fc.record({ put: any }),
    fc.record({ transfer: any, to: domid }),
    fc.record({ contiguous: domid, order: fc.nat(3) }),
  ),
  { maxLength: 60 },
)

test('the table agrees with a list of owners, and no byte of one domain reaches another', () => {
  fc.assert(
    fc.property(steps, fc.boolean(), (script, isRestoredEachStep) => {
      const ram = memory()
      const make = (): FrameTable => new FrameTable(ram, FIRST * 4096, FRAMES * 4096)
      let frames = make()
      const model = Array.from({ length: FRAMES }, () => ({
        owner: -1,
        held: 0,
        isAllocated: false,
      }))
      const claim = (mfn: number | undefined, owner: number): void => {
        const record = model[(mfn as number) - FIRST]
        assert.ok(record && record.held === 0)
        assert.ok(
          ram.u8
            .subarray((mfn as number) * 4096, ((mfn as number) + 1) * 4096)
            .every((b) => b === 0),
        )
        ram.u8[(mfn as number) * 4096 + owner] = owner + 1
        Object.assign(record, { owner, held: 1, isAllocated: true })
      }
      const at = (i: number) => model[i] as (typeof model)[number]
      for (const s of script) {
        if ('allocate' in s) {
          const mfn = frames.allocate(s.allocate)
          if (model.every((r) => r.held > 0)) assert.equal(mfn, undefined)
          else claim(mfn, s.allocate)
        } else if ('free' in s) {
          const record = at(s.free)
          assert.equal(frames.free(FIRST + s.free), record.isAllocated)
          if (record.isAllocated) record.held--
          record.isAllocated = false
        } else if ('get' in s) {
          const isFine = at(s.get).held > 0 && at(s.get).owner === s.as
          assert.equal(frames.get(FIRST + s.get, s.as), isFine)
          if (isFine) at(s.get).held++
        } else if ('put' in s) {
          const record = at(s.put)
          if (record.held - (record.isAllocated ? 1 : 0) <= 0) continue
          frames.put((FIRST + s.put) as Mfn)
          record.held--
        } else if ('transfer' in s) {
          const record = at(s.transfer)
          const isFine = record.isAllocated && record.held === 1
          assert.equal(frames.changeOwner(FIRST + s.transfer, record.owner, s.to), isFine)
          if (isFine) record.owner = s.to
        } else {
          const run = 2 ** s.order
          const starts = model
            .map((_, i) => i)
            .filter((i) => (FIRST + i) % run === 0 && i + run <= FRAMES)
          const wanted = starts.find((i) => model.slice(i, i + run).every((r) => r.held === 0))
          const got = frames.allocateContiguous(s.contiguous, s.order)
          assert.equal(got, wanted === undefined ? undefined : FIRST + wanted)
          const claimed = got === undefined ? [] : model.slice(0, run)
          for (const i of claimed.keys()) claim((got as number) + i, s.contiguous)
        }
        if (isRestoredEachStep) {
          const state = frames.save()
          frames = make()
          frames.restore(state)
        }
        for (const [i, record] of model.entries()) {
          assert.equal(frames.owner(FIRST + i), record.held > 0 ? record.owner : undefined)
          assert.equal(frames.count[i], record.held)
        }
        for (let d = 0; d <= 3; d++) {
          assert.equal(frames.totalOf(d), model.filter((r) => r.held > 0 && r.owner === d).length)
        }
        assert.equal(frames.freeFrames, model.filter((r) => r.held === 0).length)
      }
    }),
  )
})
