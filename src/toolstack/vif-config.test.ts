// Specifications of interfaces; what is expected is what xl-network-configuration(5) says.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UserError } from '../base/errors.ts'
import { formatVifSpec, hasGateway, parseVifSpec } from './vif-config.ts'

test('the examples of the manual page are taken', () => {
  assert.deepEqual(parseVifSpec(''), {})
  assert.deepEqual(parseVifSpec('mac=00:16:3E:74:34:32'), { mac: '00:16:3E:74:34:32' })
  assert.deepEqual(parseVifSpec('mac=00:16:3e:5f:48:e4,bridge=xenbr1'), {
    mac: '00:16:3e:5f:48:e4',
    bridge: 'xenbr1',
  })
  const warnings: string[] = []
  const warn = ({ message }: { message: string }) => warnings.push(message)
  assert.deepEqual(parseVifSpec('mac=00:16:3E:74:3d:76,model=rtl8139,bridge=xenbr0', warn), {
    mac: '00:16:3E:74:3d:76',
    bridge: 'xenbr0',
  })
  assert.equal(warnings.length, 1)
})

test('rates are credit for an interval, as the manual page counts it', () => {
  const rate = (text: string) => parseVifSpec(`rate=${text}`).rate
  assert.deepEqual(rate('1MB/s@20ms'), { bytes: 20_000, intervalUs: 20_000 })
  assert.deepEqual(rate('10Mb/s'), { bytes: 62_500, intervalUs: 50_000 })
  assert.deepEqual(rate('250KB/s'), { bytes: 12_500, intervalUs: 50_000 })
  assert.deepEqual(rate('1GB/s@1s'), { bytes: 1e9, intervalUs: 1e6 })
  assert.deepEqual(rate('8000b/s@1000000'), { bytes: 1000, intervalUs: 1e6 })
})

test('ports are forwarded from the host itself unless another address is given', () => {
  const { forwards } = parseVifSpec('forward=8080:80, forward=udp:0.0.0.0/53, forward=tcp:2222:22')
  assert.deepEqual(forwards, [
    { protocol: 'tcp', address: '127.0.0.1', hostPort: 8080, guestPort: 80 },
    { protocol: 'udp', address: '0.0.0.0', hostPort: 53, guestPort: 53 },
    { protocol: 'tcp', address: '127.0.0.1', hostPort: 2222, guestPort: 22 },
  ])
})

test('a forwarded port of an IPv6 address has brackets, as in URLs', () => {
  const { forwards } = parseVifSpec('forward=[::1]/8080:80,forward=udp:[2001:DB8::10.0.2.2]/53')
  assert.deepEqual(forwards, [
    { protocol: 'tcp', address: '::1', hostPort: 8080, guestPort: 80 },
    { protocol: 'udp', address: '2001:db8::10.0.2.2', hostPort: 53, guestPort: 53 },
  ])
})

test('an interface as text is read as the same interface', () => {
  for (const text of [
    '',
    'mac=00:16:3e:01:02:03,bridge=xenbr1,gateway=passt,untrusted,mtu=9000,devid=3',
    'forward=8080:80,forward=udp:0.0.0.0/53,ip=10.0.2.20,vifname=web',
    'forward=[2001:db8:0:0:0:0:0:1]/8080',
    'gateway=none,rate=1MB/s@20ms',
    'rate=1GB/s@1s',
    'rate=7b/s@3s',
  ]) {
    const vif = parseVifSpec(text)
    assert.deepEqual(parseVifSpec(formatVifSpec(vif)), vif, text)
  }
})

test('an interface has a way out unless it names a bridge or says otherwise', () => {
  const isOpen = (spec: string) => hasGateway(parseVifSpec(spec))
  assert.ok(isOpen(''))
  assert.ok(!isOpen('bridge=xenbr0'))
  assert.ok(!isOpen('gateway=none'))
  assert.ok(isOpen('bridge=xenbr0,gateway=passt'))
  assert.ok(isOpen('bridge=xenbr0,forward=8080:80'))
})

test('flags need no value', () => {
  assert.deepEqual(parseVifSpec('untrusted,mtu=9000,devid=3,vifname=web,ip=10.0.2.20'), {
    isTrusted: false,
    mtu: 9000,
    devid: 3,
    vifname: 'web',
    ip: '10.0.2.20',
  })
  assert.deepEqual(parseVifSpec('trusted=0'), { isTrusted: false })
})

test('what makes no sense is said with what would', () => {
  const wrong = [
    'brigde=xenbr0',
    'constructor=1',
    'mac=00:16:3e',
    'mac=01:00:5e:00:00:01',
    'bridge=a b',
    'rate=fast',
    'rate=0b/s',
    'rate=1b/s',
    'forward=0:80',
    'forward=80:65536',
    'forward=8080:80:1',
    'forward=256.0.0.1/80',
    'forward=::1/80',
    'forward=[1:2:3:4:5:6:7]/80',
    'forward=[1::2::3]/80',
    'forward=[12345::]/80',
    'forward=[1:2:3:4:5:6:7:8:9]/80',
    'forward=[::1.2.3]/80',
    'forward=[fe80::1%eth0]/80',
    'ip=10.0.2',
    'mtu=12',
    'devid=256',
    'gateway=slirp',
    'gateway=none,forward=80',
    'vifname=a/b',
    'trusted=yes',
  ]
  for (const spec of wrong) assert.throws(() => parseVifSpec(spec), UserError, spec)
})
