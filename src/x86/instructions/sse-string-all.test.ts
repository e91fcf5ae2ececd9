// The string comparisons of SSE4.2 under every immediate, with random operands, interpreted (the
// immediate is read at run time) and translated (it is a constant). Expected values: the manual's
// description, element by element (test/x86/string-comparison.ts).

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compareStrings } from '../../../test/x86/string-comparison.ts'
import type { Translation } from '../translator/options.ts'
import * as S from '../state.ts'
import { ALL_FEATURES, BareMachine } from '../testing/bare-machine.ts'

const CODE = 0x1000
const STACK = 0x20000
const MASKS = 0x20000
const ROUNDS = 12
/** CF PF AF ZF SF OF. */
const ARITHMETIC = 0x8d5

/** A sequence of numbers below 2^32 that is the same each time. */
function numbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

const ELEMENTS = [0, 0x61, 0x62, 0x63, 0x7f, 0x80, 0xff]

/** A text of few different elements, so that much is found; often with an end. */
function randomText(random: (below: number) => number): Uint8Array {
  const first = random(3) === 0 ? 0 : 1
  const bytes = Uint8Array.from(
    { length: 16 },
    () => ELEMENTS[first + random(ELEMENTS.length - first)] as number,
  )
  if (random(2) === 0) bytes.fill(0, random(16) & (random(2) === 0 ? ~1 : ~0), 16)
  return bytes
}

/** All immediates in turn; what each leaves goes onto the stack and to MASKS. */
function program(opcode: number, isWide: boolean): Uint8Array {
  const bytes: number[] = []
  for (let immediate = 0; immediate < 256; immediate++) {
    bytes.push(0x66, ...(isWide ? [0x48] : []), 0x0f, 0x3a, opcode, 0xca, immediate)
    // movups [rdi], xmm0; lea rdi, [rdi+16]; push rcx; pushfq
    bytes.push(0x0f, 0x11, 0x07, 0x48, 0x8d, 0x7f, 0x10, 0x51, 0x9c)
  }
  return Uint8Array.of(...bytes, 0xf4)
}

function check(
  translation: Translation,
  opcode: number,
  isExplicit: boolean,
  isWide: boolean,
): void {
  const random = numbers(opcode)
  const isIndex = (opcode & 1) !== 0
  const machine = new BareMachine(1 << 20, 64, ALL_FEATURES, translation)
  const { cpu, memory, ram } = machine
  machine.load(CODE, program(opcode, isWide))
  for (let round = 0; round < ROUNDS; round++) {
    const vectors = [randomText(random), randomText(random)] as const
    const lengths = [0, 1].map(() => {
      const length = BigInt(random(40) - 20)
      return random(8) === 0 ? length << BigInt(8 * random(7)) : length
    }) as [bigint, bigint]
    for (const [i, bytes] of vectors.entries()) {
      memory.u8.set(bytes, cpu.state + S.VECTORS + (i + 1) * S.VECTOR_SIZE)
    }
    cpu.writeRegister(S.RAX, BigInt.asUintN(64, lengths[0]))
    cpu.writeRegister(S.RDX, BigInt.asUintN(64, lengths[1]))
    cpu.writeRegister(S.RCX, ~0n & 0xffff_ffff_ffff_ffffn)
    cpu.writeRegister(S.RDI, BigInt(MASKS))
    cpu.writeRegister(S.RSP, BigInt(STACK))
    cpu.rip = BigInt(CODE)
    cpu.isHalted = false
    cpu.run(10_000)
    assert.ok(cpu.isHalted)
    const bits = isWide ? 64 : 32
    const seen = lengths.map((length) => BigInt.asIntN(bits, length)) as [bigint, bigint]
    for (let immediate = 0; immediate < 256; immediate++) {
      const expected = compareStrings(vectors, immediate, isExplicit ? seen : undefined)
      const at = ram + STACK - 16 * (immediate + 1)
      const what =
        `immediate ${immediate.toString(16)} of ${vectors.map((v) => v.toHex()).join(' ')}` +
        (isExplicit ? ` lengths ${seen.join()}` : '')
      assert.equal(memory.view.getUint32(at, true) & ARITHMETIC, expected.flags, `flags, ${what}`)
      if (isIndex) {
        assert.equal(memory.view.getBigUint64(at + 8, true), BigInt(expected.index), what)
      } else {
        const mask = memory.u8.slice(
          ram + MASKS + 16 * immediate,
          ram + MASKS + 16 * immediate + 16,
        )
        assert.equal(mask.toHex(), expected.mask.toHex(), what)
      }
    }
  }
}

for (const [name, opcode, isExplicit] of [
  ['PCMPESTRM', 0x60, true],
  ['PCMPESTRI', 0x61, true],
  ['PCMPISTRM', 0x62, false],
  ['PCMPISTRI', 0x63, false],
] as const) {
  for (const translation of ['off', 'always'] as const) {
    const how = translation === 'off' ? 'interpreted' : 'translated'
    test(`${name} does what the manual says under each immediate, ${how}`, () => {
      check(translation, opcode, isExplicit, false)
      if (isExplicit) check(translation, opcode, isExplicit, true)
    })
  }
}
