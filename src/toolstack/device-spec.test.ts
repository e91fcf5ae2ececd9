// Mistakes in specifications of devices are told with their place, whatever the text.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { SpecError } from './device-spec.ts'
import { parseDiskSpec } from './disk-spec.ts'
import { parseVifSpec } from './vif-config.ts'

test('a mistake is told at its place, with what was probably meant', () => {
  const wrong: readonly (readonly [(text: string) => unknown, string, RegExp, number])[] = [
    [parseDiskSpec, '/a', /names no virtual device/, 0],
    [parseDiskSpec, '/a,qcw2,xvda', /At character 4: .*did you mean "qcow2"/, 3],
    [parseDiskSpec, '/a,,xvd', /"xvd" is no virtual device/, 4],
    [parseDiskSpec, '/a,,xvda,,vdev=xvdb', /"vdev" is given twice/, 10],
    [parseDiskSpec, '/a,,xvda, rw, more', /"more" is one positional/, 14],
    [parseDiskSpec, '/a,,xvda,frmat=raw', /did you mean "format"/, 9],
    [parseVifSpec, 'mtu=9000, brigde=xenbr0', /At character 11: .*did you mean "bridge"/, 10],
    [parseVifSpec, 'rate=1b/s@1us', /rate cannot be "1b\/s@1us"/, 0],
    [parseVifSpec, 'gateway=none,forward=80', /without a gateway/, 0],
  ]
  for (const [parse, text, message, start] of wrong) {
    assert.throws(
      () => parse(text),
      (error) => {
        assert.ok(error instanceof SpecError, text)
        assert.match(error.message, message)
        assert.equal(error.remark.start, start, text)
        return true
      },
    )
  }
})

test('a key that is ignored is remarked at its place', () => {
  const remarks: unknown[] = []
  parseVifSpec('mac=00:16:3e:01:02:03, script=vif-bridge', (remark) => remarks.push(remark))
  assert.deepEqual(remarks, [
    {
      message: 'script is ignored',
      hint: 'no hotplug scripts are run: the switch is built in',
      start: 23,
      end: 40,
    },
  ])
})

test('no text makes the parsers fail in another way', () => {
  const pieces = [',', '=', ':', 'raw', 'vdev', 'target', 'xvda', 'mac', 'rate', '1MB/s', ' ', '/']
  const text = fc.string({ unit: fc.constantFrom(...pieces), maxLength: 20 })
  fc.assert(
    fc.property(text, (spec) => {
      for (const parse of [parseDiskSpec, parseVifSpec]) {
        try {
          parse(spec)
        } catch (error) {
          assert.ok(error instanceof SpecError, String(error))
          const { start, end } = error.remark
          assert.ok(start >= 0 && start <= end && end <= spec.length)
        }
      }
    }),
    { numRuns: 500 },
  )
})
