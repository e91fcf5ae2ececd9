// What a change of the address space and INVLPG leave of translations, for data and for code.
// (SDM vol. 3A, 4.10.2.4 and 4.10.4.1.)

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assemble } from '../../../test/x86/assemble.ts'
import * as S from '../state.ts'
import {
  CODE,
  STACK,
  SystemMachine,
  TABLES,
  USER_CODE64,
  USER_DATA,
  USER_STACK,
} from '../testing/system-machine.ts'
import {
  CONTEXT_SUPERVISOR,
  CONTEXT_SUPERVISOR_AC,
  CONTEXT_USER,
  Tlb,
  TLB_INDEX_MASK,
} from './tlb.ts'
import { CR4_PGE, PF_FETCH, PF_PRESENT, PF_USER } from './walker.ts'

const GLOBAL = 0x100
const ENTRY = (page: number) => TABLES + 0x3000 + (page >>> 12) * 8
/** Two pages that the tests map elsewhere, and where. */
const KEPT = 0x200000
const LOST = 0x201000
const ELSEWHERE = 0x300000

const REMAP = `
    mov qword [${ENTRY(KEPT)}], ${ELSEWHERE + GLOBAL + 7}
    mov qword [${ENTRY(LOST)}], ${ELSEWHERE + 7}
    mov rax, cr3
    mov cr3, rax`

function machine(source: string, hasGlobal = true): SystemMachine {
  const m = new SystemMachine(64)
  m.load(CODE, assemble(source, 64, CODE))
  m.page(KEPT, BigInt(KEPT + GLOBAL + 7))
  if (hasGlobal) m.cpu.set32(S.CR4, m.cpu.cr4 | CR4_PGE)
  m.cpu.walker.cr4 = m.cpu.cr4
  return m
}

function registersAtHalt(m: SystemMachine, ...registers: number[]): number[] {
  assert.equal(m.cpu.run(1_000_000).reason, 'halt')
  return registers.map((register) => m.cpu.registerLow(register))
}

const DATA = `
    mov ecx, [${KEPT}]
    mov ecx, [${LOST}]
    ${REMAP}
    mov ebx, [${KEPT}]
    mov ecx, [${LOST}]
    invlpg [${KEPT}]
    mov edx, [${KEPT}]
    hlt`

function loadData(m: SystemMachine): SystemMachine {
  m.write(KEPT, 1n, 4)
  m.write(LOST, 2n, 4)
  m.write(ELSEWHERE, 3n, 4)
  return m
}

test('a write to CR3 forgets translations of data, but global ones only INVLPG does', () => {
  const m = loadData(machine(DATA))
  assert.deepEqual(registersAtHalt(m, S.RBX, S.RCX, S.RDX), [1, 3, 3])
})

test('without CR4.PGE no translation is global', () => {
  const m = loadData(machine(DATA, false))
  assert.deepEqual(registersAtHalt(m, S.RBX, S.RCX, S.RDX), [3, 3, 3])
})

test('a write to CR3 forgets any number of translations', () => {
  const m = loadData(
    machine(`
    mov esi, 0x100000
  next:
    mov ebx, [rsi]
    add esi, 4096
    cmp esi, 0x2ff000
    jb next
    ${DATA}`),
  )
  assert.equal(registersAtHalt(m, S.RCX)[0], 3)
})

test('a write to CR3 forgets where code lies, but of global pages only INVLPG does', () => {
  const m = machine(`
    mov ebp, ${KEPT}
    mov r12d, ${LOST}
    call rbp
    call r12
    ${REMAP}
    call rbp
    mov ebx, eax
    call r12
    mov ecx, eax
    invlpg [${KEPT}]
    call rbp
    mov edx, eax
    hlt`)
  for (const [i, page] of [KEPT, LOST, ELSEWHERE].entries()) {
    m.load(page, assemble(`mov eax, ${i + 1}\nret`, 64, page))
  }
  assert.deepEqual(registersAtHalt(m, S.RBX, S.RCX, S.RDX), [1, 3, 3])
})

test('INVLPG of its second page forgets an instruction that crosses into it', () => {
  const start = LOST - 2
  const m = machine(`
    mov ebp, ${start}
    call rbp
    mov ebx, eax
    mov qword [${ENTRY(LOST)}], ${ELSEWHERE + 7}
    invlpg [${LOST}]
    call rbp
    hlt`)
  m.load(start, assemble('mov eax, 0x01010101\nret', 64, start))
  m.load(ELSEWHERE, assemble('mov eax, 0x02020201\nret', 64, start).slice(2))
  assert.deepEqual(registersAtHalt(m, S.RBX, S.RAX), [0x01010101, 0x02020201])
})

test('code that level 0 has executed on a page of its own is a fault for level 3', () => {
  const m = machine(`
    mov ebp, ${LOST}
    call rbp
    iretq`)
  m.load(LOST, assemble('mov eax, 1\nret', 64, LOST))
  m.page(LOST, BigInt(LOST + 3))
  const words = [LOST, USER_CODE64, 2, USER_STACK, USER_DATA]
  for (const [i, word] of words.entries()) m.write(STACK - 40 + i * 8, BigInt(word), 8)
  m.cpu.writeRegister(S.RSP, BigInt(STACK - 40))
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 14)
  assert.deepEqual(entry.words(2), [BigInt(PF_PRESENT | PF_USER | PF_FETCH), BigInt(LOST)])
  assert.equal(m.cpu.registerLow(S.RAX), 1)
})

test('INVLPG anywhere in a large page forgets where its code and data lie', () => {
  const second = LOST + 0x5000
  const m = machine(`
    mov ebp, ${LOST}
    mov r12d, ${second}
    call rbp
    call r12
    mov ebx, [${LOST + 0x800}]
    mov qword [${TABLES + 0x2008}], 0x87
    invlpg [${LOST + 0x7000}]
    call rbp
    call r12
    mov ecx, [${LOST + 0x800}]
    hlt`)
  m.write(TABLES + 0x2008, 0x200087n, 8)
  // The large page leads to the lower half of the memory afterwards.
  for (const [base, value] of [
    [0x200000, 1],
    [0, 0x10],
  ] as const) {
    m.load(base + 0x1000 + 0x800, new Uint8Array([value, 0, 0, 0]))
    m.load(base + (second & 0x1fffff), assemble(`add edi, ${value}\nret`, 64, second))
  }
  m.load(LOST, assemble('add esi, 1\nret', 64, LOST))
  m.load(LOST & 0x1fffff, assemble('add esi, 16\nret', 64, LOST))
  assert.deepEqual(registersAtHalt(m, S.RSI, S.RDI, S.RBX, S.RCX), [0x11, 0x11, 1, 0x10])
})

test('forgetting a large page takes all its pieces from all contexts, and no other page', () => {
  const m = new SystemMachine(64)
  const tlb = new Tlb(m.memory, m.engine.storeRights)
  for (const shift of [21, 22, 30]) {
    const start = 0x4000_0000
    const size = 2 ** shift
    const inside = [start, start + 0x7000, start + size / 2 + 0x3000, start + size - 1]
    const outside = [start - 1, start + size]
    const found = (page: number) =>
      [CONTEXT_USER, CONTEXT_SUPERVISOR, CONTEXT_SUPERVISOR_AC].map(
        (context) => tlb.find(context, page, 0, false) >= 0,
      )
    for (const page of [...inside, ...outside]) {
      for (const context of [CONTEXT_USER, CONTEXT_SUPERVISOR, CONTEXT_SUPERVISOR_AC]) {
        tlb.fill(context, page, 0, 0x7000, true)
      }
    }
    tlb.noteLarge(start, shift)
    assert.ok(tlb.flushPage(start + 0x5000))
    for (const page of inside) assert.deepEqual(found(page), [false, false, false])
    for (const page of outside) assert.deepEqual(found(page), [true, true, true])
    tlb.flush()
  }
})

test('two pages that share a set of the TLB stay in it, and a third pushes out the older one', () => {
  const m = new SystemMachine(64)
  const tlb = new Tlb(m.memory, m.engine.storeRights)
  const pages = [0x10_0000, 0x90_0000, 0x110_0000] as const
  const [first, second, third] = pages
  const found = () => pages.map((page) => tlb.find(CONTEXT_USER, page + 8, 0, false))
  tlb.fill(CONTEXT_USER, first, 0, 0x7000, false)
  tlb.fill(CONTEXT_USER, second, 0, 0x8000, true, true)
  assert.deepEqual(found(), [0x7008, 0x8008, -1])
  tlb.fill(CONTEXT_USER, third, 0, 0x9000, false)
  assert.deepEqual(found(), [-1, 0x8008, 0x9008])
  tlb.flushLocal()
  assert.deepEqual(found(), [-1, 0x8008, -1], 'the one that is global stays')
  tlb.fill(CONTEXT_USER, first, 0, 0x7000, false)
  assert.equal(tlb.find(CONTEXT_USER, second, 0, true), 0x8000)
  tlb.flushPage(second)
  assert.deepEqual(found(), [0x7008, -1, -1])
})

test('of two pages that share a set, a write to CR3 forgets the one that is not global', () => {
  const sharing = KEPT + ((TLB_INDEX_MASK + 1) << 12)
  const table = 0x3f0000
  const entry = table + ((sharing >>> 12) & 511) * 8
  for (const order of [
    [KEPT, sharing],
    [sharing, KEPT],
  ]) {
    // The one that comes first is looked for in second place then.
    const use = order.map((page) => `mov eax, [${page}]`).join('\n')
    const m = machine(`
      ${use}
      mov eax, [${order[0]}]
      mov qword [${ENTRY(KEPT)}], ${ELSEWHERE + GLOBAL + 7}
      mov qword [${entry}], ${ELSEWHERE + 7}
      mov rax, cr3
      mov cr3, rax
      mov ebx, [${KEPT}]
      mov ecx, [${sharing}]
      hlt`)
    m.write(TABLES + 0x2000 + (sharing >>> 21) * 8, BigInt(table + 7), 8)
    m.write(entry, BigInt(LOST + 7), 8)
    loadData(m)
    assert.deepEqual(registersAtHalt(m, S.RBX, S.RCX), [1, 3])
  }
})
