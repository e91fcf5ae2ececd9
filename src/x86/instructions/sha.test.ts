// The SHA extensions: hashes of one block, computed as the manual's instructions are meant to be
// used, against Node's own implementation.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { SCRATCH, VectorMachine } from '../../../test/x86/vector-machine.ts'

const MESSAGE = 'abc'

/** The block of a short message, its words as the processor reads them. */
function block(): Uint32Array {
  const bytes = new Uint8Array(64)
  bytes.set(new TextEncoder().encode(MESSAGE))
  bytes[MESSAGE.length] = 0x80
  new DataView(bytes.buffer).setUint32(60, MESSAGE.length * 8)
  const view = new DataView(bytes.buffer)
  return Uint32Array.from({ length: 16 }, (_, i) => view.getUint32(i * 4))
}

/** A vector of four words, the first of them lowest. */
const vector = (words: ArrayLike<number>) =>
  Array.from(words, (word) => (word >>> 0).toString(16).padStart(8, '0'))
    .reverse()
    .join('')

const wordsOf = (text: string) =>
  [0, 1, 2, 3].map((i) => Number.parseInt(text.slice(24 - 8 * i, 32 - 8 * i), 16))

const add = (a: readonly number[], b: readonly number[]) =>
  a.map((x, i) => (x + (b[i] as number)) >>> 0)

const hex = (words: readonly number[]) => words.map((w) => w.toString(16).padStart(8, '0')).join('')

test('SHA256RNDS2, SHA256MSG1 and SHA256MSG2 hash a block as FIPS 180-4 does', () => {
  const m = new VectorMachine()
  // The first 32 bits of the fractional parts of cube and square roots of primes (4.2.2, 5.3.3).
  const primes = [2]
  for (let n = 3; primes.length < 64; n += 2) if (primes.every((p) => n % p !== 0)) primes.push(n)
  const fraction = (x: number) => Math.floor((x % 1) * 2 ** 32)
  const constants = primes.map((p) => fraction(Math.cbrt(p)))
  const initial = primes.slice(0, 8).map((p) => fraction(Math.sqrt(p)))
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = initial
  m.load(SCRATCH, new Uint8Array(Uint32Array.from(constants).buffer))
  m.setXmm(1, vector([f, e, b, a]))
  m.setXmm(2, vector([h, g, d, c]))
  for (let i = 0; i < 4; i++) m.setXmm(4 + i, vector(block().subarray(4 * i, 4 * i + 4)))
  const steps: string[] = []
  for (let i = 0; i < 16; i++) {
    const [w, w1, w2, w3] = [0, 1, 2, 3].map((n) => `xmm${4 + ((i + n) % 4)}`)
    steps.push(`movdqa xmm0, ${w}\npaddd xmm0, [${SCRATCH + 16 * i}]`)
    steps.push('sha256rnds2 xmm2, xmm1\npshufd xmm0, xmm0, 0x0e\nsha256rnds2 xmm1, xmm2')
    // The words sixteen further take the place of those just used.
    steps.push(`sha256msg1 ${w}, ${w1}\nmovdqa xmm3, ${w3}\npalignr xmm3, ${w2}, 4`)
    steps.push(`paddd ${w}, xmm3\nsha256msg2 ${w}, ${w3}`)
  }
  m.execute(steps.join('\n'))
  const [f1 = 0, e1 = 0, b1 = 0, a1 = 0] = wordsOf(m.xmm(1))
  const [h1 = 0, g1 = 0, d1 = 0, c1 = 0] = wordsOf(m.xmm(2))
  const hash = add(initial, [a1, b1, c1, d1, e1, f1, g1, h1])
  assert.equal(hex(hash), createHash('sha256').update(MESSAGE).digest('hex'))
})

test('SHA1RNDS4, SHA1NEXTE, SHA1MSG1 and SHA1MSG2 hash a block as FIPS 180-4 does', () => {
  const m = new VectorMachine()
  const initial = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0]
  const [a = 0, b = 0, c = 0, d = 0, e = 0] = initial
  // SHA-1's instructions have the first word of a vector highest.
  m.setXmm(0, vector([d, c, b, a]))
  m.setXmm(1, vector([0, 0, 0, e]))
  for (let i = 0; i < 4; i++)
    m.setXmm(
      4 + i,
      vector(
        block()
          .subarray(4 * i, 4 * i + 4)
          .toReversed(),
      ),
    )
  const steps: string[] = []
  for (let i = 0; i < 20; i++) {
    const [w, w1, w2, w3] = [0, 1, 2, 3].map((n) => `xmm${4 + ((i + n) % 4)}`)
    // XMM1 holds the A of four rounds ago, from which E follows; in the first round E itself.
    steps.push(i === 0 ? `paddd xmm1, ${w}` : `sha1nexte xmm1, ${w}`)
    steps.push(`movdqa xmm2, xmm0\nsha1rnds4 xmm0, xmm1, ${Math.floor(i / 5)}\nmovdqa xmm1, xmm2`)
    steps.push(`sha1msg1 ${w}, ${w1}\npxor ${w}, ${w2}\nsha1msg2 ${w}, ${w3}`)
  }
  m.execute(`${steps.join('\n')}\npxor xmm3, xmm3\nsha1nexte xmm1, xmm3`)
  const [d1 = 0, c1 = 0, b1 = 0, a1 = 0] = wordsOf(m.xmm(0))
  const e1 = wordsOf(m.xmm(1))[3] ?? 0
  assert.equal(
    hex(add(initial, [a1, b1, c1, d1, e1])),
    createHash('sha1').update(MESSAGE).digest('hex'),
  )
})
