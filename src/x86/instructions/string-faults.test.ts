// String instructions that fault or are interrupted in the middle. Registers are those of the
// element that could not be done, so that the instruction goes on when it is executed again.
// (SDM vol. 2, REP; vol. 1, 7.3.9.)

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assemble } from '../../../test/x86/assemble.ts'
import { FLAG_DF } from '../registers.ts'
import * as S from '../state.ts'
import { CODE, SystemMachine } from '../testing/system-machine.ts'

function machine(source: string, registers: Readonly<Record<number, bigint>>): SystemMachine {
  const m = new SystemMachine(64)
  m.load(CODE, assemble(source, 64, CODE))
  for (const [index, value] of Object.entries(registers)) m.cpu.writeRegister(Number(index), value)
  return m
}

test('REP MOVS stops at the page that faults and goes on once it is there', () => {
  for (const [text, size] of [
    ['rep movsb', 1n],
    ['rep movsq', 8n],
  ] as const) {
    const count = 0x1800n / size
    const m = machine(`${text}\nhlt`, { [S.RSI]: 0x50000n, [S.RDI]: 0x40800n, [S.RCX]: count })
    for (let i = 0; i < 0x1800; i += 8) m.write(0x50000 + i, BigInt(i) * 0x0101n, 8)
    m.page(0x41000, 0n)
    const entry = m.runToHandler()
    assert.equal(entry?.vector, 14)
    assert.equal(m.cpu.getU64(S.CR2), 0x41000n)
    assert.deepEqual(entry.words(2), [2n, BigInt(CODE)])
    assert.equal(m.cpu.readRegister(S.RDI), 0x41000n)
    assert.equal(m.cpu.readRegister(S.RSI), 0x50800n)
    assert.equal(m.cpu.readRegister(S.RCX), 0x1000n / size)
    m.page(0x41000, 0x41007n)
    m.cpu.rip = BigInt(CODE)
    m.cpu.isHalted = false
    assert.equal(m.cpu.run(10_000).reason, 'halt')
    assert.equal(m.cpu.readRegister(S.RCX), 0n)
    for (let i = 0; i < 0x1800; i += 8) assert.equal(m.read(0x40800 + i, 8), m.read(0x50000 + i, 8))
  }
})

test('downwards too, and for an element that lies in two pages', () => {
  const m = machine('rep movsd', { [S.RSI]: 0x50100n, [S.RDI]: 0x41006n, [S.RCX]: 8n })
  m.cpu.rflags = 2 | FLAG_DF
  m.page(0x40000, 0n)
  assert.equal(m.runToHandler()?.vector, 14)
  assert.equal(m.cpu.readRegister(S.RDI), 0x40ffen)
  assert.equal(m.cpu.readRegister(S.RCX), 6n)
  assert.equal(m.read(0x41000, 2), 0n)
})

test('a read that faults has not moved the pointers', () => {
  const m = machine('lodsq', { [S.RSI]: 0x40000n, [S.RAX]: 5n })
  m.page(0x40000, 0n)
  assert.equal(m.runToHandler()?.vector, 14)
  assert.equal(m.cpu.readRegister(S.RSI), 0x40000n)
  assert.equal(m.cpu.readRegister(S.RAX), 5n)
})

test('REPE CMPS and REPNE SCAS fault with the flags of before', () => {
  const m = machine('stc\nrepne scasb', { [S.RDI]: 0x40ff0n, [S.RCX]: 100n, [S.RAX]: 1n })
  m.page(0x41000, 0n)
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 14)
  assert.equal(m.cpu.readRegister(S.RDI), 0x41000n)
  assert.equal(m.cpu.readRegister(S.RCX), 100n - 16n)
})

test('an interrupt comes in between the elements, and the instruction goes on after it', () => {
  const m = machine('sti\nnop\nrep stosb\nhlt', {
    [S.RDI]: 0x40000n,
    [S.RCX]: 0x100000n,
    [S.RAX]: 7n,
  })
  m.load(0x4500, assemble('mov rbx, rcx\niretq', 64, 0x4500))
  m.cpu.run(5)
  m.interrupts.push(0x50)
  m.cpu.interruptsChanged()
  assert.equal(m.cpu.run(100_000).reason, 'halt')
  const left = m.cpu.readRegister(S.RBX)
  assert.ok(left > 0n && left < 0x100000n)
  assert.equal(m.cpu.readRegister(S.RCX), 0n)
  assert.equal(m.cpu.readRegister(S.RDI), 0x140000n)
  assert.equal(m.read(0x13ffff, 2), 7n)
})

test('a count of zero touches nothing', () => {
  const m = machine('rep movsb\nrep lodsb\nrepe cmpsb\nint 0x80', { [S.RCX]: 0n })
  m.cpu.writeRegister(S.RSI, 0x8000_0000_0000n)
  assert.equal(m.runToHandler()?.vector, 0x80)
})

test('32-bit addresses wrap their registers and clear the upper halves', () => {
  const m = machine('a32 rep stosb\nhlt', {
    [S.RDI]: 0x1_0004_0000n,
    [S.RCX]: 0x1_0000_0003n,
    [S.RAX]: 9n,
  })
  assert.equal(m.cpu.run(100).reason, 'halt')
  assert.equal(m.cpu.readRegister(S.RDI), 0x40003n)
  assert.equal(m.cpu.readRegister(S.RCX), 0n)
  assert.equal(m.read(0x40000, 4), 0x090909n)
})

test('INS checks the destination before it reads the port', () => {
  const m = machine('insb', { [S.RDI]: 0x40000n, [S.RDX]: 0x80n })
  m.page(0x40000, 0x40005n)
  assert.equal(m.runToHandler()?.vector, 14)
  assert.equal(m.cpu.readRegister(S.RDI), 0x40000n)
})
