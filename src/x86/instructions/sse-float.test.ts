// Floating point: what MXCSR has to do with it. (SDM vol. 1, 10.2.3, 11.5 and table 4-7; results
// by themselves are compared with processors in softfloat/sse.test.ts and test/silicon.)

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UD, XM } from '../emit/emitter.ts'
import { CR4_OSXMMEXCPT } from '../mmu/walker.ts'
import * as S from '../state.ts'
import { ENDED, VectorMachine } from '../../../test/x86/vector-machine.ts'

const [IE, DE, ZE, OE, UE, PE] = [1, 2, 4, 8, 0x10, 0x20] as const
const MASKS = 0x1f80
const DAZ = 0x40
const FTZ = 0x8000
const ROUND_UP = 0x4000

/** The pattern of a binary64. */
const double = (value: number) => {
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, value)
  return view.getBigUint64(0).toString(16).padStart(16, '0')
}

/** Runs `xmm1 := xmm1 op xmm2` on doubles. */
function run(op: string, a: number, b: number, mxcsr = MASKS) {
  const m = new VectorMachine()
  m.setXmm(1, double(a))
  m.setXmm(2, double(b))
  m.mxcsr = mxcsr
  const vector = m.execute(`${op} xmm1, xmm2`)
  return { vector, result: m.xmm(1).slice(16), mxcsr: m.mxcsr, m }
}

test('the first inexact result sets PE and later ones find it set, with the same results', () => {
  const first = run('addsd', 0.1, 0.2)
  assert.deepEqual([first.result, first.mxcsr], [double(0.1 + 0.2), MASKS | PE])
  const second = run('addsd', 0.1, 0.2, MASKS | PE)
  assert.deepEqual([second.result, second.mxcsr], [double(0.1 + 0.2), MASKS | PE])
})

test('exact results leave MXCSR alone', () => {
  const { result, mxcsr } = run('mulsd', 1.5, 4)
  assert.deepEqual([result, mxcsr], [double(6), MASKS])
})

test('rounding follows MXCSR', () => {
  const nearest = run('divsd', 1, 3, MASKS | PE).result
  const up = run('divsd', 1, 3, MASKS | PE | ROUND_UP).result
  assert.equal(BigInt(`0x${up}`), BigInt(`0x${nearest}`) + 1n)
})

test('infinity minus infinity is the default NaN, negative and quiet, and IE', () => {
  const { result, mxcsr } = run('subsd', Infinity, Infinity, MASKS | PE)
  assert.deepEqual([result, mxcsr], ['fff8000000000000', MASKS | PE | IE])
})

test('the payload of a NaN operand comes through, made quiet', () => {
  const m = new VectorMachine()
  m.setXmm(1, '7ff0000000000123')
  m.setXmm(2, 'fff8000000000456')
  m.mxcsr = MASKS
  m.execute('mulsd xmm1, xmm2')
  assert.deepEqual([m.xmm(1).slice(16), m.mxcsr], ['7ff8000000000123', MASKS | IE])
})

test('a denormal operand sets DE, and with DAZ counts as zero without any flag', () => {
  assert.equal(run('addsd', 5e-324, 1, MASKS | PE).mxcsr, MASKS | PE | DE)
  const { result, mxcsr } = run('addsd', 5e-324, 0, MASKS | DAZ)
  assert.deepEqual([result, mxcsr], [double(0), MASKS | DAZ])
})

test('a tiny inexact result sets UE and PE, and with FTZ is zero', () => {
  const tiny = run('mulsd', 2 ** -600, 2 ** -474 * 1.25, MASKS)
  assert.deepEqual([tiny.result, tiny.mxcsr], [double(5e-324), MASKS | UE | PE])
  const flushed = run('mulsd', 2 ** -600, 2 ** -450, MASKS | FTZ)
  assert.deepEqual([flushed.result, flushed.mxcsr], [double(0), MASKS | FTZ | UE | PE])
})

test('a product that is rounded up to the least normal number is still tiny', () => {
  // (1 - 2^-53) 2^-1022: below the least normal number even after rounding to 53 bits.
  const { result, mxcsr } = run('mulsd', 1 - 2 ** -53, 2 ** -1022, MASKS | PE)
  assert.deepEqual([result, mxcsr], [double(2 ** -1022), MASKS | PE | UE])
})

test('an unmasked exception is #XM, sets its flag and leaves the register alone', () => {
  const { vector, result, mxcsr } = run('divsd', 1, 0, MASKS & ~(ZE << 7))
  assert.deepEqual([vector, result, mxcsr], [XM, double(1), (MASKS & ~(ZE << 7)) | ZE])
})

test('an unmasked exception is #UD unless CR4.OSXMMEXCPT is set', () => {
  const m = new VectorMachine()
  m.cpu.set32(S.CR4, m.cpu.cr4 & ~CR4_OSXMMEXCPT)
  m.setXmm(1, double(1e300))
  m.mxcsr = MASKS & ~(OE << 7)
  assert.equal(m.execute('mulsd xmm1, xmm1'), UD)
})

test('MINPD and MAXPD give the second operand for zeros and NaNs', () => {
  assert.equal(run('minsd', 0, -0).result, double(-0))
  assert.equal(run('maxsd', -0, 0).result, double(0))
  const { result, mxcsr } = run('minsd', NaN, 1)
  assert.deepEqual([result, mxcsr], [double(1), MASKS | IE])
})

test('CVTTSD2SI gives the integer indefinite and IE for what does not fit', () => {
  const m = new VectorMachine()
  m.mxcsr = MASKS
  m.setXmm(1, double(2147483648))
  assert.equal(m.execute('cvttsd2si eax, xmm1\ncvttsd2si rbx, xmm1'), ENDED)
  assert.equal(m.cpu.readRegister(S.RAX), 0x80000000n)
  assert.equal(m.cpu.readRegister(S.RBX), 0x80000000n)
  assert.equal(m.mxcsr, MASKS | IE)
  m.setXmm(1, double(2 ** 63))
  m.execute('cvttsd2si rax, xmm1')
  assert.equal(m.cpu.readRegister(S.RAX), 0x8000000000000000n)
})

test('CVTSD2SI rounds to even, CVTTSD2SI towards zero', () => {
  const m = new VectorMachine()
  m.setXmm(1, double(-2.5))
  m.execute('cvtsd2si eax, xmm1\ncvttsd2si ebx, xmm1\nroundsd xmm2, xmm1, 9')
  assert.equal(m.cpu.registerLow(S.RAX), -2)
  assert.equal(m.cpu.registerLow(S.RBX), -2)
  assert.equal(m.xmm(2).slice(16), double(-3))
})
