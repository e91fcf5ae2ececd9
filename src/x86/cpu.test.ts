// The run loop: how many instructions run, when interrupts come in, when it comes back.
// Shadows of STI and MOV SS, blocking of NMIs: SDM vol. 3A, 6.7.1 and 6.8.3.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assemble } from '../../test/x86/assemble.ts'
import { FLAG_IF } from './registers.ts'
import * as S from './state.ts'
import { CODE, HANDLERS, SystemMachine } from './testing/system-machine.ts'

function machine(source: string): SystemMachine {
  const m = new SystemMachine(64)
  m.load(CODE, assemble(source, 64, CODE))
  return m
}

test('run(n) executes exactly n instructions, across blocks and branches', () => {
  const source = `
    xor eax, eax
  again:
    inc rax
    add rbx, rax
    test al, 3
    jnz short skip
    call far_away
  skip:
    jmp again
    times 5000 nop
  far_away:
    push rax
    pop rcx
    ret`
  const whole = machine(source)
  assert.deepEqual(whole.cpu.run(5000), { executed: 5000, reason: 'budget' })
  const pieces = machine(source)
  let done = 0
  for (let n = 1; done < 5000; n = (n % 13) + 1) {
    const { executed, reason } = pieces.cpu.run(Math.min(n, 5000 - done))
    assert.equal(reason, 'budget')
    assert.equal(executed, Math.min(n, 5000 - done))
    done += executed
  }
  assert.equal(pieces.cpu.rip, whole.cpu.rip)
  for (let i = 0; i < 16; i++) {
    assert.equal(pieces.cpu.readRegister(i), whole.cpu.readRegister(i), `register ${i}`)
  }
})

test('an instruction that faults counts as one', () => {
  const m = machine('nop\nud2')
  // NOP, UD2, HLT of the handler.
  assert.deepEqual(m.cpu.run(100), { executed: 3, reason: 'halt' })
})

test('a jump to memory that cannot be fetched counts itself and the delivery', () => {
  const m = machine('nop\njmp 0x30000')
  m.page(0x30000, 0n)
  assert.deepEqual(m.cpu.run(100), { executed: 4, reason: 'halt' })
  assert.equal(m.cpu.getU64(S.CR2), 0x30000n)
})

test('a repeated string instruction counts once a chunk, and is the same in any pieces', () => {
  const source = 'mov edi, 0x40000\nmov ecx, 20000\nmov al, 7\nrep stosb\nhlt'
  const whole = machine(source)
  const { executed, reason } = whole.cpu.run(1000)
  assert.equal(reason, 'halt')
  const pieces = machine(source)
  let done = 0
  while (pieces.cpu.rip !== whole.cpu.rip) done += pieces.cpu.run(1).executed
  assert.equal(done, executed)
  assert.equal(pieces.cpu.readRegister(S.RDI), 0x40000n + 20000n)
  assert.equal(pieces.read(0x40000 + 19999, 2), 7n)
})

test('an interrupt that waits comes in when IF is set, one instruction after STI', () => {
  const m = machine('nop\nsti\ninc eax\ninc eax\njmp $')
  m.interrupts.push(0x50)
  m.cpu.interruptsChanged()
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 0x50)
  assert.equal(m.cpu.readRegister(S.RAX), 1n)
  assert.equal(m.interrupts.length, 0)
})

test('an interrupt that comes between STI and HLT ends the HLT', () => {
  const m = machine('sti\nhlt\njmp $')
  assert.equal(m.cpu.run(1).executed, 1)
  m.interrupts.push(0x50)
  m.cpu.interruptsChanged()
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 0x50)
  assert.equal(entry?.words(1)[0], BigInt(CODE + 2))
})

test('STI while interrupts are enabled already holds nothing off', () => {
  const m = machine('sti\nnop\nsti\ninc eax\njmp $')
  m.cpu.run(3)
  m.interrupts.push(0x50)
  m.cpu.interruptsChanged()
  m.runToHandler()
  assert.equal(m.cpu.readRegister(S.RAX), 0n)
})

test('STI and CLI in a row let no interrupt in', () => {
  const m = machine('sti\ncli\ninc eax\nhlt')
  m.interrupts.push(0x50)
  m.cpu.interruptsChanged()
  assert.equal(m.runToHandler(), undefined)
  assert.equal(m.cpu.isHalted, true)
  assert.equal(m.cpu.readRegister(S.RAX), 1n)
})

test('MOV SS and POP SS hold interrupts and NMIs off for one instruction', () => {
  for (const load of ['mov ss, cx', 'pop fs\nmov ss, cx']) {
    const m = machine(`mov ecx, 0x10\npush rcx\nsti\nnop\n${load}\ninc eax\ninc eax\njmp $`)
    m.cpu.run(4 + load.split('\n').length)
    m.interrupts.push(0x50)
    m.nmis = 1
    m.cpu.interruptsChanged()
    const entry = m.runToHandler()
    assert.equal(entry?.vector, 2)
    assert.equal(m.cpu.readRegister(S.RAX), 1n)
  }
})

test('an NMI comes in without IF, ends HLT, and holds others off until IRET', () => {
  const m = machine('hlt\nmov ebx, 1\nhlt')
  m.load(HANDLERS + 32, assemble('inc eax\nnop\nnop\niretq', 64, HANDLERS + 32))
  m.cpu.run(10)
  m.nmis = 2
  m.cpu.interruptsChanged()
  m.cpu.run(2)
  assert.equal(m.cpu.readRegister(S.RAX), 1n)
  assert.equal(m.nmis, 1)
  m.cpu.run(1)
  assert.equal(m.nmis, 1)
  m.cpu.run(1)
  assert.equal(m.nmis, 0)
  m.cpu.run(1)
  assert.equal(m.cpu.readRegister(S.RAX), 2n)
  m.cpu.run(100)
  assert.equal(m.cpu.readRegister(S.RBX), 1n)
})

test('a halted processor with IF clear stays halted', () => {
  const m = machine('hlt\ninc eax')
  m.cpu.run(10)
  m.interrupts.push(0x50)
  m.cpu.interruptsChanged()
  assert.deepEqual(m.cpu.run(10), { executed: 0, reason: 'halt' })
  assert.equal(m.cpu.rflags & FLAG_IF, 0)
})

test('an exit that a port asks for comes right after the instruction', () => {
  const m = machine('inc ebx\nout 0x80, al\ninc ebx\njmp $')
  m.onPortWrite = () => m.cpu.requestExit()
  assert.deepEqual(m.cpu.run(100), { executed: 2, reason: 'exit' })
  assert.equal(m.cpu.readRegister(S.RBX), 1n)
  assert.deepEqual(m.cpu.run(3), { executed: 3, reason: 'budget' })
})

test('the time that an instruction sees is that of the instructions before it', () => {
  const m = machine(`
    rdtsc
    mov r8d, eax
    nop
    test eax, eax
    jz short other
    times 30 nop
  other:
    rdtsc
    mov r9d, eax
    hlt`)
  m.cpu.run(1000)
  assert.equal(m.cpu.readRegister(8), 0n)
  const jumped = m.cpu.readRegister(9)
  assert.equal(jumped, 5n)
})
