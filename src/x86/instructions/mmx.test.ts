// MMX registers and the x87 registers that they are. (SDM vol. 1, 9.5 and 9.6; vol. 3A, table 2-2.)

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MF, NM, UD } from '../emit/emitter.ts'
import { CR0_EM, CR0_TS } from '../mmu/walker.ts'
import * as S from '../state.ts'
import { ENDED, SCRATCH, VectorMachine } from '../../../test/x86/vector-machine.ts'

function significand(m: VectorMachine, register: number): bigint {
  return m.cpu.getU64(S.X87 + register * S.X87_SIZE)
}

test('an MMX instruction sets TOP to 0, marks all registers valid and the exponent ones', () => {
  const m = new VectorMachine()
  m.cpu.set32(S.FSW, 5 << 11)
  m.cpu.set32(S.FTW, 0)
  m.cpu.writeRegister(S.RAX, 0x1122334455667788n)
  assert.equal(m.execute('movq mm3, rax'), ENDED)
  assert.equal(significand(m, 3), 0x1122334455667788n)
  assert.equal(m.cpu.getI32(S.X87 + 3 * S.X87_SIZE + 8) & 0xffff, 0xffff)
  assert.deepEqual([m.cpu.getI32(S.FSW), m.cpu.getI32(S.FTW)], [0, 0xff])
})

test('EMMS marks all registers empty', () => {
  const m = new VectorMachine()
  m.execute('pxor mm0, mm0\nemms')
  assert.equal(m.cpu.getI32(S.FTW), 0)
})

test('a store that faults leaves the x87 tags alone', () => {
  const m = new VectorMachine()
  m.page(SCRATCH, 0n)
  m.cpu.set32(S.FTW, 0x0f)
  assert.equal(m.execute(`movq [${SCRATCH}], mm0`), 14)
  assert.equal(m.cpu.getI32(S.FTW), 0x0f)
})

test('a pending x87 exception, CR0.TS and CR0.EM are seen before anything else', () => {
  const m = new VectorMachine()
  m.cpu.set32(S.FSW, 0x8081)
  assert.equal(m.execute('paddb mm0, mm1'), MF)
  m.cpu.set32(S.CR0, m.cpu.cr0 | CR0_TS)
  assert.equal(m.execute('paddb mm0, mm1'), NM)
  m.cpu.set32(S.CR0, m.cpu.cr0 | CR0_EM)
  assert.equal(m.execute('paddb mm0, mm1'), UD)
})

test('PUNPCKLBW reads four bytes of memory', () => {
  const m = new VectorMachine()
  m.page(SCRATCH + 4096, 0n)
  m.write(SCRATCH + 4092, 0xddccbbaan, 4)
  m.cpu.writeRegister(S.RAX, 0x44332211n)
  assert.equal(m.execute(`movq mm0, rax\npunpcklbw mm0, [${SCRATCH + 4092}]`), ENDED)
  assert.equal(significand(m, 0), 0xdd44cc33bb22aa11n)
})
