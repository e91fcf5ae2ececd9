// The examples and the rules of xl-disk-configuration(5), and the numbers of xen-vbd-interface(7).

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UserError } from '../base/errors.ts'
import { formatDiskSpec, parseDiskSpec } from './disk-spec.ts'
import { virtualDeviceNumber } from './virtual-device.ts'

const DISK = {
  target: '/dev/vg/guest-volume',
  format: undefined,
  vdev: 'hda',
  devid: 768,
  isReadOnly: false,
  isCdrom: false,
  hasDiscard: true,
  isSnapshot: false,
}
const CDROM = {
  ...DISK,
  target: '/root/image.iso',
  vdev: 'hdc',
  devid: 5632,
  isReadOnly: true,
  isCdrom: true,
}

test('the examples of the manual page mean what it says', () => {
  assert.deepEqual(parseDiskSpec('/dev/vg/guest-volume,,hda'), DISK)
  const raw = { ...DISK, format: 'raw' }
  for (const text of [
    '/dev/vg/guest-volume,raw,hda,rw',
    'format=raw, vdev=hda, access=rw, target=/dev/vg/guest-volume',
    'raw:/dev/vg/guest-volume,hda,w',
  ]) {
    assert.deepEqual(parseDiskSpec(text), raw, text)
  }
  for (const text of ['/root/image.iso,,hdc,cdrom', '/root/image.iso,,hdc,,cdrom']) {
    assert.deepEqual(parseDiskSpec(text), CDROM, text)
  }
  for (const text of [
    '/root/image.iso,raw,hdc,devtype=cdrom',
    'format=raw, vdev=hdc, access=ro, devtype=cdrom, target=/root/image.iso',
    'raw:/root/image.iso,hdc:cdrom,ro',
  ]) {
    assert.deepEqual(parseDiskSpec(text), { ...CDROM, format: 'raw' }, text)
  }
})

test('keys may come before, between and behind the positions, and target= takes the rest', () => {
  const spec = parseDiskSpec('vdev=xvdb, no-discard,/a.img , access=r,  qcow2')
  assert.deepEqual(
    [spec.target, spec.format, spec.vdev, spec.isReadOnly, spec.hasDiscard],
    ['/a.img', 'qcow2', 'xvdb', true, false],
  )
  const target = ' /a, b=c:d,ro '
  assert.equal(parseDiskSpec(`,qcow2,xvda,target=${target}`).target, target)
  assert.equal(parseDiskSpec('/a=b,,xvda').target, '/a=b')
})

test('empty drives, deprecated prefixes and our own key', () => {
  assert.equal(parseDiskSpec(',,hdc,cdrom').target, undefined)
  assert.equal(parseDiskSpec('vdev=hdc,cdrom,target=').target, undefined)
  for (const prefix of ['file:', 'phy:', 'tap2:', 'tap:aio:', 'ioemu:', 'tapdisk:']) {
    const spec = parseDiskSpec(`${prefix}/a.img,xvda,w`)
    assert.deepEqual([spec.target, spec.vdev, spec.format], ['/a.img', 'xvda', undefined])
  }
  assert.equal(parseDiskSpec('tap:qcow2:/a.img,xvda,w').format, 'qcow2')
  assert.equal(parseDiskSpec('/a,,xvda,snapshot=1').isSnapshot, true)
  assert.equal(parseDiskSpec('/a,,xvda,w,snapshot=0').isSnapshot, false)
})

test('a disk as text is read as the same disk', () => {
  for (const text of [
    '/a,,xvda',
    'qcow2:/a b,xvdb,r',
    ',,hdc,cdrom',
    'raw:/a.iso,hdc:cdrom',
    'no-discard,snapshot=1,vdev=xvdc,target=/a,b=c,ro',
  ]) {
    const disk = parseDiskSpec(text)
    assert.deepEqual(parseDiskSpec(formatDiskSpec(disk)), disk, text)
  }
})

const REFUSED: readonly (readonly [string, RegExp])[] = [
  ['', /no virtual device/],
  ['/a', /no virtual device/],
  ['/a,raw', /no virtual device/],
  [',,xvda', /names no image/],
  ['/a,qcow,xvda', /character 4: The format qcow is not supported/],
  ['/a,qed,xvda', /qed is not supported/],
  ['/a,zip,xvda', /no format "zip"/],
  ['/a,,xvda,x', /no access "x"/],
  ['/a,,xyz', /"xyz" is no virtual device/],
  ['/a,,xvda,w,more', /"more" is one positional parameter too many/],
  ['/a,,xvda,vdev=xvdb', /"vdev" is given twice/],
  ['/a,,xvda,colour=red', /no parameter "colour"/],
  ['/a,,xvda,__proto__=red', /no access "__proto__=red"/],
  ['/a,,xvda,constructor=1', /no parameter "constructor"/],
  ['/a,,xvda,cdrom=1', /takes no value/],
  ['/a,,xvda,script=block-x', /Scripts are not run/],
  ['nbd:/a,xvda,w', /Scripts are not run/],
  ['/a,,xvda,backend=other', /Domain-0 only/],
  ['/a,,xvda,backendtype=x', /no backendtype/],
  ['/a,,xvda,specification=virtio', /Virtio/],
  ['/a,,xvda,devtype=floppy', /no devtype "floppy"/],
  ['/a,,xvda,colo', /COLO/],
  ['/a,,xvda,snapshot=yes', /0 or 1/],
]

test('what cannot be is refused in three lines with the place', () => {
  for (const [text, why] of REFUSED) {
    assert.throws(
      () => parseDiskSpec(text),
      (error: unknown) => {
        assert.ok(error instanceof UserError, text)
        assert.match(error.why, why, text)
        assert.equal(error.message.split('\n').length, 3)
        return true
      },
    )
  }
})

test('virtual devices have the numbers of xen-vbd-interface(7)', () => {
  for (const [name, number] of [
    ['xvda', 202 << 8],
    ['xvda1', (202 << 8) | 1],
    ['xvdb', (202 << 8) | (1 << 4)],
    ['xvdp15', (202 << 8) | (15 << 4) | 15],
    ['xvdq', (1 << 28) | (16 << 8)],
    ['xvda16', (1 << 28) | 16],
    ['xvdaa', (1 << 28) | (26 << 8)],
    ['d0p0', 202 << 8],
    ['d16p3', (1 << 28) | (16 << 8) | 3],
    ['sda', 8 << 8],
    ['sdb2', (8 << 8) | (1 << 4) | 2],
    ['hda', 3 << 8],
    ['hdb', (3 << 8) | 64],
    ['hdc', 22 << 8],
    ['hdd5', (22 << 8) | 64 | 5],
    ['51712', 51712],
    ['0xca00', 51712],
  ] as const) {
    assert.equal(virtualDeviceNumber(name), number, name)
  }
  for (const name of [
    '',
    'xvd',
    'hde',
    'hda64',
    'sdq',
    'sda16',
    'xvda256',
    'xvdA',
    'nvme0n1',
    'd',
  ]) {
    assert.equal(virtualDeviceNumber(name), undefined, name)
  }
})
