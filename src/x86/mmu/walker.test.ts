// Paging as code meets it: rights, reserved bits, accessed and dirty bits, error codes, and when
// translations go away. Expected values: SDM vol. 3A, 5.3 to 5.10 (chapter 4 in older editions).

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assemble } from '../../../test/x86/assemble.ts'
import * as S from '../state.ts'
import { ALL_FEATURES } from '../testing/bare-machine.ts'
import { updateWalker } from '../system/control-registers.ts'
import {
  CODE,
  CODE32,
  DATA,
  STACK,
  SystemMachine,
  TABLES,
  USER_CODE64,
  USER_DATA,
  USER_STACK,
} from '../testing/system-machine.ts'
import { CR0_PG, CR0_WP, CR4_PAE, CR4_PSE, CR4_SMAP, CR4_SMEP, EFER_NXE } from './walker.ts'

const P = 1n
const RW = 2n
const US = 4n
const A = 0x20n
const D = 0x40n
const NX = 1n << 63n
const PAGE = 0x40000

function machine(source: string, isUser = false): SystemMachine {
  const m = new SystemMachine(64)
  m.load(CODE, assemble(source, 64, CODE))
  if (isUser) m.enter(USER_CODE64, USER_DATA, USER_STACK)
  return m
}

/** Changes CR0, CR4 and EFER by adding and removing bits. */
function control(m: SystemMachine, register: number, set: number, clear = 0): void {
  m.cpu.set32(register, (m.cpu.getI32(register) | set) & ~clear)
  updateWalker(m.cpu)
  m.cpu.flushTlb()
}

/** The error code of the page fault that the code ends with, or undefined if it does not. */
function faultOf(m: SystemMachine): number | undefined {
  const entry = m.runToHandler()
  return entry?.vector === 14 ? Number(entry.words(1)[0]) : undefined
}

const READ = 'mov al, [0x40000]\nhlt'
const WRITE = 'mov [0x40000], al\nhlt'
const JUMP = 'mov eax, 0x40000\njmp rax'

test('error codes tell presence, direction, privilege and fetches', () => {
  const cases: [string, boolean, bigint, number | undefined][] = [
    [READ, false, 0n, 0],
    [WRITE, false, 0n, 2],
    [READ, true, 0n, 4],
    [WRITE, true, 0n, 6],
    [READ, true, P | RW, 5],
    [WRITE, true, P | US, 7],
    [WRITE, false, P | RW, undefined],
    [WRITE, false, P, 3],
    [JUMP, false, P | RW | NX, 0x11],
    [JUMP, true, P | RW, 0x15],
    [JUMP, true, 0n, 0x14],
    [READ, false, P | NX, undefined],
  ]
  for (const [source, isUser, bits, expected] of cases) {
    const m = machine(source, isUser)
    m.page(PAGE, BigInt(PAGE) | bits)
    assert.equal(faultOf(m), expected, `${source} ${isUser ? 'user' : 'supervisor'} ${bits}`)
    if (expected !== undefined) assert.equal(m.cpu.getU64(S.CR2), BigInt(PAGE))
  }
})

test('rights are those that all levels agree on', () => {
  const m = machine('mov [0x300000], al', true)
  m.write(TABLES + 0x2008, BigInt(TABLES + 0x4000) | P | US, 8)
  assert.equal(faultOf(m), 7)
  const supervisor = machine('mov al, [0x300000]', true)
  supervisor.write(TABLES + 0x2008, BigInt(TABLES + 0x4000) | P | RW, 8)
  assert.equal(faultOf(supervisor), 5)
  const noExecute = machine('mov eax, 0x300000\njmp rax')
  noExecute.write(TABLES + 0x2008, BigInt(TABLES + 0x4000) | P | RW | US | NX, 8)
  assert.equal(faultOf(noExecute), 0x11)
})

test('without CR0.WP the supervisor writes read-only pages, users do not', () => {
  const m = machine(WRITE)
  m.page(PAGE, BigInt(PAGE) | P)
  control(m, S.CR0, 0, CR0_WP)
  assert.equal(faultOf(m), undefined)
  assert.equal(m.pageEntry(PAGE), BigInt(PAGE) | P | A | D)
  const user = machine(WRITE, true)
  user.page(PAGE, BigInt(PAGE) | P | US)
  control(user, S.CR0, 0, CR0_WP)
  assert.equal(faultOf(user), 7)
})

test('setting CR0.WP takes the right away that a translation gave before', () => {
  const m = machine('mov [0x40000], al\nmov rax, cr0\nbts rax, 16\nmov cr0, rax\nmov [0x40000], al')
  m.page(PAGE, BigInt(PAGE) | P)
  control(m, S.CR0, 0, CR0_WP)
  assert.equal(faultOf(m), 3)
})

test('SMEP keeps the supervisor from executing user pages', () => {
  const m = machine(JUMP)
  for (let page = 0; page < 0x20000; page += 0x1000) m.page(page, BigInt(page) | P | RW)
  m.page(PAGE, BigInt(PAGE) | P | US)
  control(m, S.CR4, CR4_SMEP)
  assert.equal(faultOf(m), 0x11)
})

test('SMAP keeps the supervisor from user data unless RFLAGS.AC is set', () => {
  const source = 'stac\nmov al, [0x40000]\nclac\nmov al, [0x40000]\nhlt'
  const m = machine(source)
  for (let page = 0; page < 0x20000; page += 0x1000) m.page(page, BigInt(page) | P | RW)
  control(m, S.CR4, CR4_SMAP)
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 14)
  assert.deepEqual(entry.words(2), [1n, BigInt(CODE + 3 + 7 + 3)])
})

test('what the processor reads on its own at level 3 is not held to user rights', () => {
  const m = machine('ud2', true)
  for (let page = 0; page < 0x8000; page += 0x1000) m.page(page, BigInt(page) | P | RW)
  m.page(STACK - 0x1000, BigInt(STACK - 0x1000) | P | RW)
  control(m, S.CR4, CR4_SMAP | CR4_SMEP)
  assert.equal(m.runToHandler()?.vector, 6)
})

test('reserved bits fault with bit 3, NX counts as one without EFER.NXE', () => {
  const m = machine(READ)
  m.page(PAGE, BigInt(PAGE) | P | (1n << 51n))
  assert.equal(faultOf(m), 9)
  const nx = machine(READ)
  nx.page(PAGE, BigInt(PAGE) | P | NX)
  control(nx, S.EFER, 0, EFER_NXE)
  assert.equal(faultOf(nx), 9)
  const large = machine(READ)
  large.write(TABLES + 0x2000, 0x83n | 0x2000n, 8)
  large.cpu.flushTlb()
  assert.equal(large.cpu.run(10).reason, 'shutdown')
})

test('reads set accessed bits at all levels, writes the dirty bit', () => {
  const m = machine('mov al, [0x40000]\nmov [0x41000], al\nhlt')
  m.cpu.run(10)
  assert.equal(m.pageEntry(PAGE) & (A | D), A)
  assert.equal(m.pageEntry(PAGE + 0x1000) & (A | D), A | D)
  assert.equal(m.read(TABLES, 8) & (A | D), A)
  assert.equal(m.read(TABLES + 0x1000, 8) & A, A)
})

test('a write after a read still sets the dirty bit', () => {
  const m = machine('mov al, [0x40000]\nmov al, [0x40000]\nmov [0x40000], al\nhlt')
  m.cpu.run(10)
  assert.equal(m.pageEntry(PAGE) & (A | D), A | D)
})

test('pages of 2 MiB and 1 GiB map what lies in them', () => {
  const m = machine('mov al, [0x340123]\nhlt')
  m.write(0x140123, 0x5an, 1)
  // The second 2 MiB show the first.
  m.write(TABLES + 0x2008, 0x83n, 8)
  m.cpu.run(10)
  assert.equal(m.cpu.registerLow(S.RAX) & 0xff, 0x5a)
  assert.equal(m.read(TABLES + 0x2008, 8), 0xa3n)
  const giant = machine('mov rax, 0x40140123\nmov al, [rax]\nhlt')
  giant.write(0x140123, 0x5an, 1)
  giant.write(TABLES + 0x1008, 0x83n, 8)
  giant.cpu.run(10)
  assert.equal(giant.cpu.registerLow(S.RAX) & 0xff, 0x5a)
})

test('INVLPG of a large page forgets all of it, INVLPG of another page does not', () => {
  const m = machine(`
    mov al, [0x300000]
    mov bl, [0x301000]
    mov qword [0x12008], 0x13007 + 0x1000
    mov al, [0x300000]
    mov bl, [0x301000]
    invlpg [0x2ff000]
    mov cl, [0x300000]
    mov dl, [0x301000]
    hlt`)
  m.write(0x100000, 1n, 1)
  m.write(0x101000, 2n, 1)
  m.write(0x300000, 3n, 1)
  m.write(0x301000, 4n, 1)
  m.write(TABLES + 0x2008, 0x83n, 8)
  m.cpu.run(100)
  const low = (register: number) => m.cpu.registerLow(register) & 0xff
  assert.deepEqual([S.RAX, S.RBX, S.RCX, S.RDX].map(low), [1, 2, 3, 4])
})

test('a translation stays until INVLPG, and goes with a write to CR3', () => {
  for (const flush of [
    'invlpg [0x40000]',
    'mov rax, cr3\nmov cr3, rax',
    'mov rax, cr4\nbtc rax, 7\nmov cr4, rax',
  ]) {
    const m = machine(`
      mov bl, [0x40000]
      mov qword [${TABLES + 0x3000 + 0x40 * 8}], 0x41007
      mov cl, [0x40000]
      ${flush}
      mov dl, [0x40000]
      hlt`)
    m.write(0x40000, 1n, 1)
    m.write(0x41000, 2n, 1)
    m.cpu.run(100)
    assert.equal(m.cpu.registerLow(S.RBX), 1)
    assert.equal(m.cpu.registerLow(S.RDX), 2, flush)
  }
})

test('INVPCID forgets one address, a context or everything, and checks its operand', () => {
  for (const type of [0, 1, 2, 3]) {
    const m = machine(`
      mov bl, [0x40000]
      mov qword [${TABLES + 0x3000 + 0x40 * 8}], 0x41007
      mov eax, ${type}
      invpcid rax, [0x50000]
      mov dl, [0x40000]
      hlt`)
    m.write(0x50008, 0x40000n, 8)
    m.write(0x41000, 2n, 1)
    m.cpu.run(100)
    assert.equal(m.cpu.registerLow(S.RDX), 2)
  }
  const bad = machine('mov eax, 4\ninvpcid rax, [0x50000]')
  assert.equal(bad.runToHandler()?.vector, 13)
})

test('CR4.PCIDE takes an identifier in CR3 and leaves it out of the address', () => {
  const m = new SystemMachine(64, new Set([...ALL_FEATURES, 'pcid']))
  const source = `
    mov rax, cr4
    bts rax, 17
    mov cr4, rax
    mov rax, cr3
    or rax, 5
    bts rax, 63
    mov cr3, rax
    mov rbx, cr3
    hlt`
  m.load(CODE, assemble(source, 64, CODE))
  assert.equal(m.cpu.run(100).reason, 'halt')
  assert.equal(m.cpu.readRegister(S.RBX), BigInt(TABLES + 5))
})

test('an access that crosses into a page that faults has no effect and reports the second page', () => {
  const m = machine('mov rax, -1\nmov [0x40ffc], rax')
  m.page(0x41000, 0n)
  assert.equal(faultOf(m), 2)
  assert.equal(m.cpu.getU64(S.CR2), 0x41000n)
  assert.equal(m.read(0x40ffc, 4), 0n)
})

test('an access across two pages reaches both frames', () => {
  const m = machine('mov rax, 0x1122334455667788\nmov [0x40ffc], rax\nadd qword [0x40ffc], 1\nhlt')
  m.page(0x41000, 0x50007n)
  m.cpu.run(10)
  assert.equal(m.read(0x40ffc, 4), 0x55667789n)
  assert.equal(m.read(0x50000, 4), 0x11223344n)
})

test('addresses that are not canonical are #GP(0), on the stack #SS(0)', () => {
  const m = machine('mov rax, 0x800000000000\nmov al, [rax]')
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 13)
  assert.equal(entry.words(1)[0], 0n)
  const stack = machine('mov rsp, 0x800000001000\npush rax')
  stack.gate(12, { ist: 1 })
  assert.equal(stack.runToHandler()?.vector, 12)
})

/** A machine with 32-bit code; `entries` are written before paging is turned on. */
function legacy(source: string, isPae: boolean, cr4: number): SystemMachine {
  const m = new SystemMachine(32)
  m.load(CODE, assemble(source, 32, CODE))
  m.enter(CODE32, DATA, STACK)
  m.cpu.setU64(S.CR3, BigInt(TABLES))
  m.cpu.set32(S.CR4, m.cpu.cr4 | cr4 | (isPae ? CR4_PAE : 0))
  m.cpu.set32(S.CR0, m.cpu.cr0 | CR0_PG | CR0_WP)
  updateWalker(m.cpu)
  m.cpu.flushTlb()
  return m
}

test('32-bit paging maps pages of 4 KiB and, with PSE, of 4 MiB', () => {
  const m = legacy(
    'mov eax, [0x40000]\nmov ebx, [0x401234]\nmov [0x40000], ebx\nhlt',
    false,
    CR4_PSE,
  )
  m.write(TABLES, BigInt(TABLES + 0x1007), 4)
  for (let i = 0; i < 64; i++) m.write(TABLES + 0x1000 + i * 4, BigInt(i * 4096 + 7), 4)
  m.write(TABLES + 0x1000 + 0x40 * 4, 0x51007n, 4)
  m.write(TABLES + 4, 0x87n, 4)
  m.write(0x51000, 0xabcdn, 4)
  m.write(0x1234, 0x7654n, 4)
  assert.equal(m.cpu.run(10).reason, 'halt')
  assert.equal(m.cpu.readRegister(S.RAX), 0xabcdn)
  assert.equal(m.cpu.readRegister(S.RBX), 0x7654n)
  assert.equal(m.read(TABLES + 0x1000 + 0x40 * 4, 4), 0x51067n)
  assert.equal(m.read(TABLES + 4, 4), 0xa7n)
})

test('a 4 MiB page with bit 21 set is reserved', () => {
  const m = legacy('mov eax, [0x401234]\nhlt', false, CR4_PSE)
  m.write(TABLES, 0x87n, 4)
  m.write(TABLES + 4, 0x200087n, 4)
  assert.equal(m.runToHandler()?.words(1)[0], 9n)
})

test('PAE paging has four roots, 2 MiB pages and NX', () => {
  const m = legacy('mov eax, [0x40000040]\nmov eax, 0x40000100\njmp eax', true, 0)
  m.write(TABLES, BigInt(TABLES + 0x1001), 8)
  m.write(TABLES + 8, BigInt(TABLES + 0x2001), 8)
  m.write(TABLES + 0x1000, 0x83n, 8)
  m.write(TABLES + 0x2000, 0x83n | NX, 8)
  m.cpu.set32(S.EFER, EFER_NXE)
  updateWalker(m.cpu)
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 14)
  assert.deepEqual(entry.words(2), [0x11n, 0x40000100n])
})

test('PAE root entries with reserved bits are #GP when CR3 is loaded', () => {
  const m = legacy(`mov eax, ${TABLES + 0x20}\nmov cr3, eax`, true, 0)
  m.write(TABLES, BigInt(TABLES + 0x1001), 8)
  m.write(TABLES + 0x1000, 0x83n, 8)
  m.write(TABLES + 0x20, BigInt(TABLES + 0x1003), 8)
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 13)
})

test('with CR0.AM and RFLAGS.AC, level 3 has to align its accesses', () => {
  const m = machine('mov eax, [0x40001]\nhlt', true)
  m.cpu.set32(S.CR0, m.cpu.cr0 | (1 << 18))
  m.cpu.rflags = 2 | (1 << 18)
  m.cpu.modeChanged()
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 17)
  assert.deepEqual(entry.words(2), [0n, BigInt(CODE)])
  const aligned = machine('mov eax, [0x40004]\nmov al, [0x40001]\nmov rax, [0x40008]\nud2', true)
  aligned.cpu.set32(S.CR0, aligned.cpu.cr0 | (1 << 18))
  aligned.cpu.rflags = 2 | (1 << 18)
  aligned.cpu.modeChanged()
  assert.equal(aligned.runToHandler()?.vector, 6)
})
