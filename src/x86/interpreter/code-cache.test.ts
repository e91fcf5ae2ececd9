// Code that changes while it runs, by every way that stores take. The processor sees its own
// stores at the next instruction. (SDM vol. 3A, 9.1.3 and 12.6.)

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assemble } from '../../../test/x86/assemble.ts'
import * as S from '../state.ts'
import { CODE, SystemMachine } from '../testing/system-machine.ts'

function machine(source: string): SystemMachine {
  const m = new SystemMachine(64)
  m.load(CODE, assemble(source, 64, CODE))
  return m
}

/** Runs to HLT and gives RBX. */
function rbx(m: SystemMachine, budget = 10_000): number {
  assert.equal(m.cpu.run(budget).reason, 'halt')
  return m.cpu.registerLow(S.RBX)
}

const STORES: Readonly<Record<string, string>> = {
  'a plain store': 'mov dword [target + 1], 2',
  'a modification': 'add dword [target + 1], 1',
  'a locked exchange': 'mov eax, 2\nxchg [target + 1], eax',
  'a string store': 'mov eax, 2\nlea rdi, [rel target + 1]\nstosd',
  'a repeated string move': 'lea rdi, [rel target]\nlea rsi, [rel patch]\nmov ecx, 5\nrep movsb',
  'a vector store': 'movups xmm0, [rel patch]\nmovups [rel target], xmm0',
  'a push': 'mov r8, rsp\nlea rsp, [rel target + 8]\npush qword [rel patch]\nmov rsp, r8',
}

for (const [what, store] of Object.entries(STORES)) {
  test(`${what} changes an instruction further down in its own block`, () => {
    const m = machine(`
      ${store}
    target:
      mov ebx, 1
      nop
      nop
      nop
      hlt
      times 8 nop
    patch:
      mov ebx, 2
      nop
      nop
      nop
      hlt
      times 8 nop`)
    assert.equal(rbx(m), 2)
  })

  test(`${what} changes a block that ran before`, () => {
    const m = machine(`
      call target
      call change
      call target
      hlt
    change:
      ${store}
      ret
      align 64
    target:
      mov ebx, 1
      ret
      nop
      nop
      times 8 nop
    patch:
      mov ebx, 2
      ret
      nop
      nop
      times 8 nop`)
    assert.equal(rbx(m), 2)
  })
}

test('an instruction can overwrite the loop that it lies in, over and over', () => {
  const m = machine(`
    xor ecx, ecx
  again:
    inc ecx
    mov [target + 1], ecx
  target:
    mov ebx, 0
    cmp ecx, 100
    jne again
    hlt`)
  assert.equal(rbx(m), 100)
})

test('single steps and small budgets see changed code as well', () => {
  const source = `
    mov dword [target + 1], 7
  target:
    mov ebx, 1
    hlt`
  for (const budget of [1, 2]) {
    const m = machine(source)
    for (let i = 0; i < 4; i++) m.cpu.run(budget)
    assert.equal(m.cpu.registerLow(S.RBX), 7)
  }
})

test('a store through another mapping of the page changes the code', () => {
  const m = machine(`
    call target
    mov dword [target - 0x8000 + 0x40000 + 1], 2
    call target
    hlt
  target:
    mov ebx, 1
    ret`)
  m.page(0x40000, BigInt(CODE + 7))
  assert.equal(rbx(m), 2)
})

test('a store to data beside code keeps the code', () => {
  const m = machine(`
    mov ecx, 1000
  again:
    mov [data], ecx
    dec ecx
    jnz again
    mov ebx, [data]
    hlt
    align 16
  data: dd 0`)
  assert.equal(rbx(m), 1)
  assert.equal(m.engine.code.invalidations, 0)
})

test('a store into one function leaves the others of its page as they are', () => {
  const m = machine(`
      mov r8d, 2
    again:
      call one
      call other
      mov dword [one + 1], 7
      dec r8d
      jnz again
      hlt
    one:
      mov ebx, 1
      ret
    other:
      mov ecx, 3
      ret`)
  assert.equal(rbx(m), 7)
  // One for each of the two stores.
  assert.equal(m.engine.code.blocksDropped, 2)
})

test('branches find a block again that was changed, and are linked to it', () => {
  const m = machine(`
      mov ecx, 1000
    again:
      cmp ecx, 990
      jne skip
      mov dword [target + 1], 7
    skip:
      jmp short target
      align 64
    target:
      mov ebx, 1
      dec ecx
      jnz near again
      hlt`)
  const enter = m.engine.enter.bind(m.engine)
  let entries = 0
  m.engine.enter = (cpu, rec) => {
    entries++
    enter(cpu, rec)
  }
  assert.equal(rbx(m), 7)
  assert.ok(entries < 30, `emitted code was entered ${entries} times`)
})

test('a page that is filled loses its code at once', () => {
  const m = machine(`
      call 0x40000
      lea rdi, [0x40000]
      lea rsi, [0x50000]
      mov ecx, 512
    again:
      mov rax, [rsi]
      mov [rdi], rax
      add rsi, 8
      add rdi, 8
      dec ecx
      jnz again
      call 0x40000
      hlt`)
  // Blocks of three instructions all over the page, and what comes in their place.
  m.load(0x40000, assemble(`${'inc ebx\njmp $ + 14\ntimes 12 nop\n'.repeat(255)}ret`, 64, 0x40000))
  m.load(0x50000, assemble(`${'times 16 nop\n'.repeat(255)}inc ebx\nret`, 64, 0x40000))
  assert.equal(rbx(m, 20_000), 256)
  assert.ok(m.engine.code.invalidations < 10, `${m.engine.code.invalidations} invalidations`)
})

test('code of one frame runs at both of its addresses, each with its own RIP', () => {
  const m = machine(`
    mov eax, 0x40000 + target - 0x8000
    call rax
    call target
    hlt
  target:
    inc ebx
    lea rcx, [rel target]
    ret`)
  m.page(0x40000, BigInt(CODE + 7))
  assert.equal(rbx(m), 2)
  assert.equal(m.cpu.registerLow(S.RCX), CODE + 13)
})

/** `mov ebx, imm32` that starts two bytes before the end of a page, then `ret` or HLT. */
function crossing(m: SystemMachine, value: number): void {
  m.load(0x40ffe, new Uint8Array([0xbb, value, 0, 0, 0, 0xc3]))
}

test('an instruction that crosses pages goes by the mapping of its second page', () => {
  const m = machine(`
    call 0x40ffe
    mov r12d, ebx
    mov qword [0x13000 + 0x41 * 8], 0x50007
    invlpg [0x41000]
    call 0x40ffe
    hlt`)
  crossing(m, 1)
  m.load(0x50000, new Uint8Array([0, 2, 0, 0xc3]))
  m.load(0x41000, new Uint8Array([0, 0, 0, 0xc3]))
  assert.equal(rbx(m), 0x20001)
  assert.equal(m.cpu.registerLow(12), 1)
})

test('a crossing instruction whose second page goes to and fro is made anew each time', () => {
  const m = machine(`
    mov ecx, 20
  again:
    call 0x40ffe
    add eax, ebx
    xor dword [0x13000 + 0x41 * 8], 0x11000
    invlpg [0x41000]
    dec ecx
    jnz again
    hlt`)
  crossing(m, 0)
  m.page(0x41000, 0x41067n)
  m.load(0x41000, new Uint8Array([1, 0, 0, 0xc3]))
  m.load(0x50000, new Uint8Array([2, 0, 0, 0xc3]))
  rbx(m)
  assert.equal(m.cpu.registerLow(S.RAX), (10 * 1 + 10 * 2) << 8)
})

test('a store into the second page of a crossing instruction changes it', () => {
  const m = machine('call 0x40ffe\nmov byte [0x41001], 3\ncall 0x40ffe\nhlt')
  crossing(m, 1)
  assert.equal(rbx(m), 0x30001)
})

test('an instruction that goes on at the start of its own page is changed there', () => {
  const m = machine('call 0x40ffe\nmov r8d, ebx\nmov byte [0x40001], 3\ncall 0x40ffe\nhlt')
  m.page(0x41000, 0x40067n)
  m.load(0x40ffe, new Uint8Array([0xbb, 1]))
  m.load(0x40000, new Uint8Array([0, 0, 0, 0xc3]))
  assert.equal(rbx(m), 0x30001)
  assert.equal(m.cpu.registerLow(8), 1)
})

test('the fault of a second page that is not there names it, and RIP is the instruction', () => {
  const m = machine('jmp 0x40ffe')
  crossing(m, 1)
  m.page(0x41000, 0n)
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 14)
  assert.equal(m.cpu.getU64(S.CR2), 0x41000n)
  assert.deepEqual(entry.words(2), [0x10n, 0x40ffen])
})

test('a page that becomes not executable stops code that ran there', () => {
  const m = machine(`
    call 0x40000
    bts qword [0x13000 + 0x40 * 8], 63
    invlpg [0x40000]
    call 0x40000`)
  m.load(0x40000, new Uint8Array([0xc3]))
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 14)
  assert.equal(entry.words(1)[0], 0x11n)
})

test('bytes that were no instruction become one when any of them changes', () => {
  const m = machine('call 0x40000\nhlt')
  m.load(0x40000, new Uint8Array([0x0f, 0xff, 0xc0, 0xc3]))
  m.cpu.run(2)
  assert.equal(Number(m.cpu.rip) & ~0xf, 0x4060)
  const n = machine('jmp 0x40000')
  // 0F 01 /2:6 is no instruction, 0F 01 /7:0 is SWAPGS.
  n.load(0x40000, new Uint8Array([0x0f, 0x01, 0xd6, 0xf4]))
  n.load(0x4060, assemble('mov byte [0x40002], 0xf8\niretq', 64, 0x4060))
  assert.equal(n.cpu.run(100).reason, 'halt')
  assert.equal(n.cpu.rip, 0x40004n)
})

test('what the hypervisor writes is seen at once', () => {
  const m = machine('again: mov ebx, 1\njmp again')
  m.cpu.run(10)
  m.write(CODE + 1, 9n, 1)
  m.cpu.run(2)
  assert.equal(m.cpu.registerLow(S.RBX), 9)
})

test('when the room for blocks is used up, all are made anew and nothing else changes', () => {
  const m = machine(`
    mov ecx, 50
  again:
    mov eax, ecx
    out 0x80, al
    inc ebx
    dec ecx
    jnz again
    hlt`)
  m.onPortWrite = () => m.engine.code.flush()
  assert.deepEqual(m.cpu.run(1000), { executed: 1 + 250 + 1, reason: 'halt' })
  assert.equal(m.cpu.registerLow(S.RBX), 50)
})

test('links between blocks survive', () => {
  const m = machine(`
    mov ecx, 100
  again:
    dec ecx
    jz short done
    jmp short again
  done:
    hlt`)
  m.cpu.run(10_000)
  assert.ok(m.cpu.counters.lookups < 12, `${m.cpu.counters.lookups} look-ups`)
})
