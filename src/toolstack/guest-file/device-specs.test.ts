// The examples of xl-disk-configuration(5) and xl-network-configuration(5), and what they forbid.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { parseDiskSpec } from './disk-spec.ts'
import { SpecError } from './spec-text.ts'
import { parseVifSpec } from './vif-spec.ts'

/** Groups of strings that the manual calls equivalent. */
const EQUAL_DISKS = [
  [
    '/dev/vg/guest-volume,,hda',
    '/dev/vg/guest-volume,raw,hda,rw',
    'format=raw, vdev=hda, access=rw, target=/dev/vg/guest-volume',
    'raw:/dev/vg/guest-volume,hda,w',
  ],
  [
    '/root/image.iso,,hdc,cdrom',
    '/root/image.iso,,hdc,,cdrom',
    '/root/image.iso,raw,hdc,devtype=cdrom',
    'format=raw, vdev=hdc, access=ro, devtype=cdrom, target=/root/image.iso',
    'raw:/root/image.iso,hdc:cdrom,ro',
  ],
]

test('the spellings that the manual calls equal mean the same', () => {
  const [volume, cdrom] = EQUAL_DISKS.map((spellings) => spellings.map(parseDiskSpec))
  for (const spec of volume ?? []) assert.deepEqual(spec, volume?.[0])
  for (const spec of cdrom ?? []) assert.deepEqual(spec, cdrom?.[0])
  assert.equal(volume?.[0]?.target, '/dev/vg/guest-volume')
  assert.equal(volume?.[0]?.vdev, 'hda')
  assert.equal(volume?.[0]?.access, 'rw')
  assert.equal(cdrom?.[0]?.isCdrom, true)
  assert.equal(cdrom?.[0]?.access, 'ro')
})

test('parameters of a disk have the defaults of the manual', () => {
  const { format, access, isCdrom, discard, isTrusted, isSnapshot } = parseDiskSpec('/a,,xvda')
  assert.deepEqual(
    { format, access, isCdrom, discard, isTrusted, isSnapshot },
    {
      format: 'raw',
      access: 'rw',
      isCdrom: false,
      discard: true,
      isTrusted: true,
      isSnapshot: false,
    },
  )
})

test('flags and named parameters of a disk are read', () => {
  const spec = parseDiskSpec(
    '/a,qcow2,xvda,no-discard,untrusted,direct-io-safe,snapshot,backendtype=qdisk',
  )
  assert.equal(spec.format, 'qcow2')
  assert.equal(spec.discard, false)
  assert.equal(spec.isTrusted, false)
  assert.equal(spec.directIoSafe, true)
  assert.equal(spec.isSnapshot, true)
  assert.equal(spec.backendType, 'qdisk')
})

test('a target by name takes the rest of the string, commas and blanks included', () => {
  assert.equal(parseDiskSpec('vdev=xvda,target=/a b, c,d ').target, '/a b, c,d ')
  assert.equal(parseDiskSpec(',raw,xvda,target=/x').target, '/x')
})

test('an empty CD drive has no target', () => {
  assert.equal(parseDiskSpec(',,hdc,cdrom').target, '')
})

test('what no disk can be is refused, with the place in the string', () => {
  const wrong: readonly (readonly [string, RegExp, number])[] = [
    ['/a', /no vdev/, 0],
    [',,xvda', /no target/, 0],
    ['/a,,xvda,rx', /access cannot be "rx"/, 9],
    ['/a,qcw2,xvda', /did you mean "qcow2"/, 3],
    ['/a,,xvd', /"xvd" is no vdev/, 4],
    ['/a,,xvda,,vdev=xvdb', /vdev is given twice/, 10],
    ['/a,,xvda,rw,more', /"more" is too much/, 12],
    ['/a,,xvda,frmat=raw', /did you mean "format"/, 9],
    ['/a,,xvda,devtype=tape', /devtype cannot be "tape"/, 9],
  ]
  for (const [text, message, start] of wrong) {
    assert.throws(
      () => parseDiskSpec(text),
      (error) => {
        assert.ok(error instanceof SpecError, text)
        assert.match(error.message, message)
        assert.equal(error.start, start, text)
        return true
      },
    )
  }
})

test('the examples of network interfaces are read', () => {
  assert.deepEqual(parseVifSpec(''), { isTrusted: true })
  assert.deepEqual(parseVifSpec('mac=00:16:3E:74:3d:76,model=rtl8139,bridge=xenbr0'), {
    mac: '00:16:3e:74:3d:76',
    model: 'rtl8139',
    bridge: 'xenbr0',
    isTrusted: true,
  })
  assert.equal(parseVifSpec('netdev=eth0, untrusted').gatewayDevice, 'eth0')
  assert.equal(parseVifSpec('netdev=eth0, untrusted').isTrusted, false)
})

test('rates are credits each so many microseconds', () => {
  const rate = (text: string) => parseVifSpec(`rate=${text}`).rate
  // The manual: 20,000 bytes in every 20 milliseconds.
  assert.deepEqual(rate('1MB/s@20ms'), { bytes: 20_000, intervalUs: 20_000 })
  assert.deepEqual(rate('10Mb/s'), { bytes: 62_500, intervalUs: 50_000 })
  assert.deepEqual(rate('250KB/s'), { bytes: 12_500, intervalUs: 50_000 })
  assert.deepEqual(rate('8b/s@1s'), { bytes: 1, intervalUs: 1_000_000 })
})

test('what no network interface can have is refused', () => {
  for (const text of [
    'mac=00:16:3e:00:00',
    'mac=01:00:5e:00:00:01',
    'rate=fast',
    'rate=1b/s@1us',
    'mtu=9',
    'devid=x',
    'type=virtio',
    'brdge=x',
    'something',
  ]) {
    assert.throws(() => parseVifSpec(text), SpecError, text)
  }
})

test('no string makes the parsers fail in another way', () => {
  const pieces = [',', '=', ':', 'raw', 'vdev', 'target', 'xvda', 'mac', 'rate', '1MB/s', ' ', '/']
  const text = fc.string({ unit: fc.constantFrom(...pieces), maxLength: 20 })
  fc.assert(
    fc.property(text, (spec) => {
      for (const parse of [parseDiskSpec, parseVifSpec]) {
        try {
          parse(spec)
        } catch (error) {
          assert.ok(error instanceof SpecError, String(error))
          assert.ok(error.start >= 0 && error.end <= spec.length)
        }
      }
    }),
    { numRuns: 500 },
  )
})
