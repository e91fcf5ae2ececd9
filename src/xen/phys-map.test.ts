import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MAX_GFNS, P2mType, PhysMap } from './phys-map.ts'

const gfns = fc.oneof(
  fc.integer({ min: 0, max: 3000 }),
  fc.constantFrom(0xfee00, 0x100000, 0xfffff, 2 ** 35, MAX_GFNS - 1),
)

test('the map holds what was last put at each place, and tells what becomes stale', () => {
  const steps = fc.array(
    fc.record({ gfn: gfns, mfn: fc.nat(5000), type: fc.constantFrom(...Object.values(P2mType)) }),
    { maxLength: 100 },
  )
  fc.assert(
    fc.property(steps, (list) => {
      const map = new PhysMap()
      const model = new Map<number, { mfn: number; type: P2mType }>()
      const told: number[] = []
      map.listen((gfn) => told.push(gfn))
      for (const { gfn, mfn, type } of list) {
        const isFrame = type !== P2mType.invalid && type !== P2mType.mmio_dm
        const before = told.length
        map.set(gfn, isFrame ? mfn : -1, type)
        assert.equal(told.length - before, model.has(gfn) ? 1 : 0)
        if (type === P2mType.invalid) model.delete(gfn)
        else model.set(gfn, { mfn, type })
      }
      const copy = new PhysMap()
      copy.restore(map.save())
      for (const each of [map, copy]) {
        for (const { gfn } of list) {
          const expected = model.get(gfn)
          assert.equal(each.typeOf(gfn), expected?.type ?? P2mType.invalid)
          const frame = !expected ? -1 : expected.type === P2mType.mmio_dm ? -2 : expected.mfn
          assert.equal(each.frameOf(gfn), frame)
        }
        assert.deepEqual(
          [...each.entries()].map(({ gfn }) => gfn),
          [...model.keys()].sort((a, b) => a - b),
        )
        assert.equal(each.maximumGfn, Math.max(0, ...model.keys()))
      }
    }),
  )
})

test('places that no guest frame can have hold nothing', () => {
  const map = new PhysMap()
  for (const gfn of [-1, MAX_GFNS, Number.NaN, 1e18, 0.5]) {
    assert.equal(map.frameOf(gfn), -1)
    assert.equal(map.typeOf(gfn), P2mType.invalid)
    assert.equal(map.ramAt(gfn), undefined)
  }
})
