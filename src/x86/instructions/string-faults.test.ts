// String instructions that fault or are interrupted in the middle. Registers are those of the
// element that could not be done, so that the instruction goes on when it is executed again.
// (SDM vol. 2, REP; vol. 1, 7.3.9.)

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assemble } from '../../../test/x86/assemble.ts'
import { FLAG_CF, FLAG_DF, FLAG_PF, FLAG_ZF } from '../registers.ts'
import * as S from '../state.ts'
import { ALL_FEATURES } from '../testing/bare-machine.ts'
import { CODE, SystemMachine } from '../testing/system-machine.ts'
import type { TranslationMode } from '../translator/options.ts'

const ARITHMETIC = 0x8d5

function machine(
  source: string,
  registers: Readonly<Record<number, bigint>>,
  mode?: TranslationMode,
): SystemMachine {
  const m = new SystemMachine(64, ALL_FEATURES, mode)
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

test('REPE CMPS and REPNE SCAS fault with the flags of the element before', () => {
  const stopped = (source: string, registers: Readonly<Record<number, bigint>>) => {
    const m = machine(`stc\n${source}`, registers)
    m.page(0x41000, 0n)
    const entry = m.runToHandler()
    assert.equal(entry?.vector, 14)
    assert.equal(m.cpu.readRegister(S.RDI), 0x41000n)
    return { left: m.cpu.readRegister(S.RCX), flags: Number(entry.words(4)[3]) & ARITHMETIC }
  }
  // An AMD EPYC under Linux leaves these to the handler of SIGSEGV. Zeros are in memory.
  const scan = { [S.RDI]: 0x40ff0n, [S.RCX]: 100n, [S.RAX]: 1n }
  assert.deepEqual(stopped('repne scasb', scan), { left: 84n, flags: 0 })
  const texts = { [S.RDI]: 0x3f008n, [S.RSI]: 0x50001n, [S.RCX]: 0x10000n }
  const left = 0x10000n - 0x1ff8n
  assert.deepEqual(stopped('repe cmpsb', texts), { left, flags: FLAG_ZF | FLAG_PF })
  // Before the first element: as they were.
  const first = { [S.RDI]: 0x41000n, [S.RCX]: 5n, [S.RAX]: 1n }
  assert.deepEqual(stopped('repne scasb', first), { left: 5n, flags: FLAG_CF })
})

test('CMPS faults at the element of which one byte is missing, in either text and direction', () => {
  for (const [rsi, rdi, done, isDown] of [
    [0x50000n, 0x40ff2n, 3n, false],
    [0x40ff2n, 0x50000n, 3n, false],
    [0x50800n, 0x42016n, 6n, true],
    [0x42016n, 0x50800n, 6n, true],
  ] as const) {
    const m = machine('repe cmpsd', { [S.RSI]: rsi, [S.RDI]: rdi, [S.RCX]: 9n })
    if (isDown) m.cpu.rflags = 2 | FLAG_DF
    m.page(0x41000, 0n)
    const entry = m.runToHandler()
    assert.equal(entry?.vector, 14)
    assert.equal(m.cpu.getU64(S.CR2) >> 12n, 0x41n)
    const moved = isDown ? -4n * done : 4n * done
    assert.equal(m.cpu.readRegister(S.RSI), rsi + moved)
    assert.equal(m.cpu.readRegister(S.RDI), rdi + moved)
    assert.equal(m.cpu.readRegister(S.RCX), 9n - done)
  }
})

test('an interrupt comes in between the elements, and the instruction goes on after it', () => {
  for (const text of ['rep stosb', 'rep movsb', 'rep lodsb', 'repe cmpsb', 'repne scasb']) {
    const m = machine(`sti\nnop\n${text}\nhlt`, {
      [S.RSI]: 0x40000n,
      [S.RDI]: 0x40000n,
      [S.RCX]: 0x100000n,
      [S.RAX]: 7n,
    })
    m.load(0x4500, assemble('mov rbx, rcx\niretq', 64, 0x4500))
    assert.equal(m.cpu.run(20).executed, 20, text)
    m.interrupts.push(0x50)
    m.cpu.interruptsChanged()
    // It does no more before the interrupt than its budget has been.
    assert.ok(m.cpu.run(1).executed <= 1)
    const left = m.cpu.readRegister(S.RCX)
    assert.ok(left > 0x100000n - 21n * 4096n && left < 0x100000n, text)
    assert.equal(m.cpu.run(100_000).reason, 'halt')
    assert.equal(m.cpu.readRegister(S.RBX), left)
    assert.equal(m.cpu.readRegister(S.RCX), 0n)
    const isSource = text === 'rep lodsb'
    assert.equal(m.cpu.readRegister(isSource ? S.RSI : S.RDI), 0x140000n)
    if (text === 'rep stosb') assert.equal(m.read(0x13ffff, 2), 7n)
  }
})

test('it counts the pieces that lie on pages, whether the TLB knows those or not', () => {
  /** Runs of elements that lie on their pages, and elements that go on in the next one. */
  const pieces = (starts: readonly number[], bytes: number, count: number, isDown: boolean) => {
    const at = (start: number, i: number) => start + (isDown ? -i : i) * bytes
    const isCrossing = (start: number, i: number) => (at(start, i) & 4095) + bytes > 4096
    let number = 0
    for (let i = 0; i < count; i++) {
      const isAlone = starts.some((start) => isCrossing(start, i))
      const isNew = starts.some((start) => at(start, i) >>> 12 !== at(start, i - 1) >>> 12)
      const isBehind = starts.some((start) => isCrossing(start, i - 1))
      if (i === 0 || isAlone || isNew || isBehind) number++
    }
    return number
  }
  for (const [text, bytes, uses] of [
    ['rep movsd', 4, 'both'],
    ['rep stosd', 4, 'target'],
    ['rep lodsq', 8, 'source'],
    ['repe cmpsw', 2, 'both'],
    ['repe cmpsb', 1, 'both'],
    ['repe scasq', 8, 'target'],
  ] as const) {
    for (const isDown of [false, true]) {
      const [from, to] = isDown ? [0x52fe3, 0x60fe0] : [0x50023, 0x60ff1]
      const count = 0x2800 / bytes
      const starts = uses === 'both' ? [from, to] : uses === 'source' ? [from] : [to]
      const m = machine(`${text}\nhlt`, {})
      if (isDown) m.cpu.rflags = 2 | FLAG_DF
      for (const isFlushed of [true, false, false, true]) {
        if (isFlushed) m.cpu.flushTlb()
        m.cpu.writeRegister(S.RSI, BigInt(from))
        m.cpu.writeRegister(S.RDI, BigInt(to))
        m.cpu.writeRegister(S.RCX, BigInt(count))
        m.cpu.rip = BigInt(CODE)
        m.cpu.isHalted = false
        const expected = pieces(starts, bytes, count, isDown) + 1
        assert.deepEqual(m.cpu.run(1000), { executed: expected, reason: 'halt' }, text)
      }
    }
  }
})

test('a device is accessed element by element, once each, up to where texts differ', () => {
  const program = { [S.RSI]: 0x60010n, [S.RDI]: 0x50000n, [S.RCX]: 20n, [S.RAX]: 0n }
  const accesses = (text: string, mode: TranslationMode) => {
    const m = machine(`${text}\nhlt`, program, mode)
    const log: string[] = []
    m.device = {
      gfn: 0x60,
      read: (offset, size) => {
        log.push(`read ${offset} ${size}`)
        return offset < 0x1c ? 0n : 5n
      },
      write: (offset, size, value) => void log.push(`write ${offset} ${size} ${value}`),
    }
    for (let i = 0; i < 20; i++) m.write(0x50000 + i * 4, BigInt(i), 4)
    if (text.includes('stos') || text.includes('scas')) m.cpu.writeRegister(S.RDI, 0x60010n)
    for (let offset = 0; offset < 80; offset += 4) {
      if (text.includes('cmps')) m.write(0x50000 + offset, 0n, 4)
    }
    assert.equal(m.cpu.run(100).reason, 'halt')
    return { log, left: m.cpu.readRegister(S.RCX) }
  }
  const reads = (count: number) => Array.from({ length: count }, (_, i) => `read ${16 + i * 4} 4`)
  for (const mode of ['off', 'hot', 'always'] as const) {
    assert.deepEqual(accesses('repe cmpsd', mode), { log: reads(4), left: 16n })
    assert.deepEqual(accesses('repe scasd', mode), { log: reads(4), left: 16n })
    assert.deepEqual(accesses('rep movsd', mode), { log: reads(20), left: 0n })
    const writes = reads(20).map((read) => `${read.replace('read', 'write')} 0`)
    assert.deepEqual(accesses('rep stosd', mode), { log: writes, left: 0n })
  }
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
