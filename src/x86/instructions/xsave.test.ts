// XSAVE and its kin, FXSAVE, LDMXCSR. (SDM vol. 1, 10.5, 13.4 to 13.12; what is written and left
// alone agrees with an AMD EPYC processor.)

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GP, NM, UD } from '../emit/emitter.ts'
import { CR0_TS, CR4_OSXSAVE } from '../mmu/walker.ts'
import * as S from '../state.ts'
import { ENDED, SCRATCH, VectorMachine } from '../../../test/x86/vector-machine.ts'

const UNTOUCHED = 0xaa
const BOTH = 'mov eax, 3\nxor edx, edx\n'
const AREA = `[${SCRATCH}]`

/** A machine with a value in XMM1, x87 in its initial state, and memory full of 0xAA. */
function machine(): VectorMachine {
  const m = new VectorMachine()
  m.load(SCRATCH, new Uint8Array(4096).fill(UNTOUCHED))
  m.load(SCRATCH + 512, new Uint8Array(64))
  m.setXmm(1, '00112233445566778899bbccddeeff01')
  return m
}

/** Runs of bytes that are as they were, e.g. `416-511`. */
function untouched(m: VectorMachine, size: number): string {
  const bytes = [...m.scratch(0, size), 0]
  const runs: string[] = []
  let start = -1
  for (const [i, byte] of bytes.entries()) {
    if (byte === UNTOUCHED) {
      if (start < 0) start = i
    } else if (start >= 0) {
      runs.push(`${start}-${i - 1}`)
      start = -1
    }
  }
  return runs.join(' ')
}

const header = (m: VectorMachine) => [m.read(SCRATCH + 512, 8), m.read(SCRATCH + 520, 8)]

test('XSAVE writes all that is asked for, and in XSTATE_BV what is in use', () => {
  const m = machine()
  assert.equal(m.execute(`${BOTH}xsave64 ${AREA}`), ENDED)
  assert.equal(untouched(m, 640), '416-511 576-639')
  assert.deepEqual(header(m), [2n, 0n])
  assert.equal(m.read(SCRATCH + 24, 4), 0x1f80n)
  assert.equal(m.read(SCRATCH, 2), 0x37fn)
})

test('XSAVEOPT leaves out what is in its initial state, but not MXCSR', () => {
  const m = machine()
  m.execute(`${BOTH}xsaveopt64 ${AREA}`)
  assert.equal(untouched(m, 640), '0-23 32-159 416-511 576-639')
  assert.deepEqual(header(m), [2n, 0n])
})

test('XSAVEC notes the compacted format and leaves the rest of the header alone', () => {
  const m = machine()
  m.load(SCRATCH + 512, new Uint8Array(64).fill(UNTOUCHED))
  m.execute(`${BOTH}xsavec64 ${AREA}`)
  assert.equal(untouched(m, 640), '0-23 32-159 416-511 528-639')
  assert.deepEqual(header(m), [2n, 0x8000000000000003n])
})

test('XSAVEC counts an MXCSR that is not initial as SSE state in use, XSAVEOPT does not', () => {
  const m = machine()
  m.setXmm(1, '0')
  m.mxcsr = 0x1fa0
  m.execute(`${BOTH}xsavec64 ${AREA}`)
  assert.deepEqual(header(m), [2n, 0x8000000000000003n])
  const other = machine()
  other.setXmm(1, '0')
  other.mxcsr = 0x1fa0
  other.execute(`${BOTH}xsaveopt64 ${AREA}`)
  assert.deepEqual(header(other), [0n, 0n])
  assert.equal(other.read(SCRATCH + 24, 4), 0x1fa0n)
})

test('XRSTOR takes back what XSAVE and XSAVES wrote, and initialises what they left out', () => {
  for (const [save, restore] of [
    ['xsave64', 'xrstor64'],
    ['xsavec64', 'xrstor64'],
    ['xsaves64', 'xrstors64'],
  ]) {
    const m = machine()
    m.mxcsr = 0x1fa5
    m.execute(`${BOTH}${save} ${AREA}\nfld1\npxor xmm1, xmm1\nmovdqa xmm9, ${AREA}`)
    m.mxcsr = 0x1f80
    assert.equal(m.execute(`${BOTH}${restore} ${AREA}`), ENDED)
    assert.equal(m.xmm(1), '00112233445566778899bbccddeeff01')
    assert.equal(m.xmm(9), '0'.repeat(32))
    assert.equal(m.mxcsr, 0x1fa5)
    assert.deepEqual([m.cpu.getI32(S.FTW), m.cpu.getI32(S.FSW)], [0, 0])
  }
})

test('XRSTOR in the standard format takes MXCSR even if the area has no SSE state', () => {
  const m = machine()
  m.load(SCRATCH, new Uint8Array(576))
  m.write(SCRATCH + 24, 0x1fbfn, 4)
  assert.equal(m.execute(`${BOTH}xrstor64 ${AREA}`), ENDED)
  assert.equal(m.mxcsr, 0x1fbf)
  assert.equal(m.xmm(1), '0'.repeat(32))
})

for (const [what, offset, value] of [
  ['a component that XCR0 does not enable', 512, 8n],
  ['a component outside of the compacted format', 520, 0x8000000000000001n],
  ['XCOMP_BV without its top bit', 520, 3n],
  ['a reserved byte of the header', 528, 1n],
  ['a reserved bit of MXCSR', 24, 0x10000n],
] as const) {
  test(`XRSTOR refuses ${what}`, () => {
    const m = machine()
    m.load(SCRATCH, new Uint8Array(576))
    m.write(SCRATCH + 512, 3n, 8)
    m.write(SCRATCH + offset, value, 8)
    assert.equal(m.execute(`${BOTH}xrstor64 ${AREA}`), GP)
    assert.equal(m.xmm(1), '00112233445566778899bbccddeeff01')
  })
}

test('XSAVE wants 64-byte alignment, CR4.OSXSAVE and CR0.TS clear', () => {
  const m = machine()
  assert.equal(m.execute(`${BOTH}xsave64 [${SCRATCH + 16}]`), GP)
  m.cpu.set32(S.CR0, m.cpu.cr0 | CR0_TS)
  assert.equal(m.execute(`${BOTH}xsave64 ${AREA}`), NM)
  m.cpu.set32(S.CR4, m.cpu.cr4 & ~CR4_OSXSAVE)
  assert.equal(m.execute(`${BOTH}xsave64 ${AREA}`), UD)
})

test('an area that goes on in a page that cannot be written is not written at all', () => {
  const m = machine()
  m.load(SCRATCH + 4096 - 64, new Uint8Array(64).fill(UNTOUCHED))
  m.page(SCRATCH + 4096, 0n)
  assert.equal(m.execute(`fxsave64 [${SCRATCH + 4096 - 64}]`), 14)
  assert.deepEqual([...m.scratch(4096 - 64, 64)], Array(64).fill(UNTOUCHED))
})

test('FXSAVE stores ST(0) first, whatever TOP is, and FXRSTOR brings it back', () => {
  const m = machine()
  assert.equal(m.execute(`fldz\nfld1\nfxsave64 ${AREA}\nfninit\nfxrstor64 ${AREA}`), ENDED)
  assert.equal(m.read(SCRATCH + 32, 8), 0x8000000000000000n)
  assert.equal(m.read(SCRATCH + 40, 2), 0x3fffn)
  assert.equal(m.read(SCRATCH + 48, 8), 0n)
  assert.equal(m.read(SCRATCH + 4, 1), 0xc0n)
  assert.equal((m.cpu.getI32(S.FSW) >> 11) & 7, 6)
  assert.equal(m.cpu.getU64(S.X87 + 6 * S.X87_SIZE), 0x8000000000000000n)
})

test('LDMXCSR refuses reserved bits', () => {
  const m = machine()
  m.write(SCRATCH, 0x11f80n, 4)
  assert.equal(m.execute(`ldmxcsr ${AREA}`), GP)
})
