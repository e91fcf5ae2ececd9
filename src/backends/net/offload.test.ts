// Checksums, segments and captures, all read back by tshark, which knows the protocols.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { folded, sumWords, withChecksum } from './checksum.ts'
import { type Frame, type Gso } from './frame.ts'
import { captureInterface, capturedPacket, captureStart } from './pcapng.ts'
import { segments } from './segment.ts'
import { etherFrame, transportFrame } from './test-frames.ts'

const hasTshark = (() => {
  try {
    return execFileSync('tshark', ['--version']).length > 0
  } catch {
    return false
  }
})()
const skip = hasTshark ? false : 'needs tshark'

const CHECKS = ['ip', 'tcp', 'udp'].flatMap((name) => ['-o', `${name}.check_checksum:TRUE`])

/** What tshark reads in fields of a capture, a row a packet. */
function dissect(capture: Uint8Array, fields: readonly string[]): string[][] {
  const folder = mkdtempSync(join(tmpdir(), 'capture-'))
  try {
    const file = join(folder, 'capture.pcapng')
    writeFileSync(file, capture)
    const text = execFileSync(
      'tshark',
      ['-r', file, ...CHECKS, '-T', 'fields', ...fields.flatMap((field) => ['-e', field])],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
    )
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => line.split('\t'))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function captureOf(frames: readonly Uint8Array[]): Uint8Array {
  const packets = frames.map((bytes, i) => capturedPacket(0, BigInt(i), bytes, 'in'))
  return Buffer.concat([captureStart(), captureInterface('vif1.0'), ...packets])
}

const blank = (bytes: Uint8Array, gso?: Gso): Frame => ({
  bytes,
  isBlank: true,
  isValidated: true,
  ...(gso && { gso }),
})

/** Good: 1, in tshark's fields of checksum statuses. */
const GOOD = '1'

test('the sum is that of the example in RFC 1071', () => {
  const bytes = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7)
  assert.equal(sumWords(bytes, 0, 8), 0x2ddf0)
  assert.equal(folded(0x2ddf0), ~0xddf2 & 0xffff)
  assert.equal(sumWords(bytes, 0, 7), 0x2ddf0 - 0xf7)
})

test('checksums of TCP and UDP over IPv4 and IPv6 are good, of all lengths', { skip }, () => {
  const frames = ([4, 6] as const).flatMap((version) =>
    (['tcp', 'udp'] as const).flatMap((protocol) =>
      [0, 1, 2, 99, 1460, 1461].map((payload) => transportFrame({ version, protocol, payload })),
    ),
  )
  // Padding, which the checksum does not cover.
  const padded = new Uint8Array(70)
  padded.set(transportFrame({ payload: 0 }))
  const complete = [...frames, padded].map((bytes) => withChecksum(blank(bytes)).bytes)
  const rows = dissect(captureOf(complete), ['tcp.checksum.status', 'udp.checksum.status'])
  assert.equal(rows.length, complete.length)
  for (const [tcp, udp] of rows) assert.equal(`${tcp}${udp}`, GOOD)
})

test('a UDP checksum of zero is sent as all ones', () => {
  // The last word makes the sum come out as 0xffff, whatever the rest.
  const bytes = transportFrame({ protocol: 'udp', payload: 2 })
  bytes.set([0, 0], bytes.length - 2)
  const sum = withChecksum(blank(bytes)).bytes
  bytes.set(sum.subarray(40, 42), bytes.length - 2)
  const { bytes: complete } = withChecksum(blank(bytes))
  assert.deepEqual([...complete.subarray(40, 42)], [0xff, 0xff])
})

for (const version of [4, 6] as const) {
  test(`segments of TCP over IPv${version} carry on where the one before ended`, { skip }, () => {
    const mss = 1448
    const bytes = transportFrame({ version, payload: 5000, tcpFlags: 0x99 })
    const gso: Gso = { type: version === 4 ? 'tcpv4' : 'tcpv6', size: mss }
    const cut = segments(blank(bytes, gso))
    const rows = dissect(captureOf(cut.map((frame) => frame.bytes)), [
      'tcp.seq_raw',
      'tcp.len',
      'tcp.flags',
      'tcp.checksum.status',
      'ip.checksum.status',
      'ip.id',
    ])
    const start = 0xffff_ff00
    const flags = [0x90, 0x10, 0x10, 0x19]
    assert.deepEqual(
      rows.map(([seq, length, flag, good]) => [Number(seq), Number(length), Number(flag), good]),
      [1448, 1448, 1448, 656].map((length, i) => [
        (start + i * mss) % 2 ** 32,
        length,
        flags[i],
        GOOD,
      ]),
    )
    if (version === 4) {
      assert.deepEqual(
        rows.map(([, , , , good, id]) => [good, Number(id)]),
        [0xfffe, 0xffff, 0, 1].map((id) => [GOOD, id]),
      )
    }
    const head = bytes.length - 5000
    const joined = Buffer.concat(cut.map((frame) => frame.bytes.subarray(head)))
    assert.deepEqual(joined, Buffer.from(bytes.subarray(head)))
  })
}

test('a frame that is no large one, or not what it says, is left as it is', () => {
  const whole = blank(transportFrame({ payload: 5000 }))
  assert.deepEqual(segments(whole), [whole])
  const wrong = blank(transportFrame({ payload: 5000 }), { type: 'tcpv6', size: 1448 })
  assert.deepEqual(segments(wrong), [wrong])
})

test('tshark reads interfaces, times, directions and lengths of a capture', { skip }, () => {
  const small = etherFrame(1, 2)
  const capture = Buffer.concat([
    captureStart(),
    captureInterface('vif1.0'),
    captureInterface('vif2.0'),
    capturedPacket(0, 1_767_225_600_123_456_789n, small, 'in'),
    capturedPacket(1, 1_767_225_601_000_000_001n, transportFrame({ payload: 64_000 }), 'out'),
    capturedPacket(0, 1_767_225_602_000_000_000n, small.subarray(0, 15), 'out'),
  ])
  const rows = dissect(capture, [
    'frame.interface_name',
    'frame.time_epoch',
    'frame.len',
    'frame.packet_flags_direction',
  ])
  assert.deepEqual(rows, [
    ['vif1.0', '1767225600.123456789', '60', '0x00000001'],
    ['vif2.0', '1767225601.000000001', '64054', '0x00000002'],
    ['vif1.0', '1767225602.000000000', '15', '0x00000002'],
  ])
})
