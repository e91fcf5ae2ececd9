// Accesses that lie near each other do what they do one by one: across pages, where code lies, and when
// their register changes.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assemble } from '../../../test/x86/assemble.ts'
import { RAX, RBX, RDX, RSP } from '../state.ts'
import { currentMode } from '../system/current-mode.ts'
import { BareMachine } from '../testing/bare-machine.ts'
import type { TranslationMode } from './options.ts'
import { AccessRuns } from './access-runs.ts'
import { Planner } from './region-plan.ts'

const CODE = 0x1000
const LIMITS = { nodes: 32, instructions: 200, callee: 16 }
const DATA = 0x8000

/** How many accesses of a program's first block belong to runs. */
function membersOf(source: string): number {
  const machine = new BareMachine(1 << 16, 64, undefined, 'off')
  const { cpu, engine, memory, ram } = machine
  machine.load(CODE, assemble(source, 64, CODE))
  cpu.writeRegister(RSP, BigInt(DATA))
  cpu.writeRegister(RBX, BigInt(DATA))
  cpu.rip = BigInt(CODE)
  cpu.run(1000)
  const find = (offset: number) => engine.code.known(ram + CODE + offset, currentMode(cpu))
  const planner = new Planner(memory, (index) => engine.handlers.at(index))
  const plan = planner.plan(find(0), { find, targetsOf: () => [] }, LIMITS)
  assert.ok(plan)
  const { instructions } = plan.entry
  const runs = new AccessRuns(instructions, memory)
  return instructions.filter((instruction) => runs.memberOf(instruction)).length
}

for (const [what, expected, source] of [
  ['pushes', 3, 'push rax\npush 5\nmov eax, ebx\npush rcx\nhlt'],
  ['one push is none', 0, 'push rax\nhlt'],
  ['pops of other registers', 2, 'pop rax\npop rcx\nhlt'],
  ['a pop of the stack pointer ends one', 0, 'pop rax\npop rsp\npop rcx\nhlt'],
  [
    'the frame below a stack pointer that moves',
    4,
    'push rbp\npush rbx\nsub rsp, 32\nmov [rsp], rax\nmov eax, [rsp+8]\nhlt',
  ],
  ['fields', 3, 'mov rax, [rbx]\nadd rax, [rbx+8]\nmov [rbx+16], rax\nhlt'],
  ['two fields are too few', 0, 'mov rax, [rbx]\nmov [rbx+16], rax\nhlt'],
  [
    'fields too far from each other',
    0,
    'mov rax, [rbx]\nmov rcx, [rbx+60]\nmov [rbx+1600], rax\nhlt',
  ],
  [
    'fields of what changes',
    0,
    'mov rax, [rbx]\nmov rcx, [rbx+8]\nlea rbx, [rbx+8]\nmov [rbx], rax\nhlt',
  ],
  [
    'nothing is known of what others change',
    0,
    'mov rax, [rbx]\nmov rcx, [rbx+8]\nmul rcx\nmov [rbx], rax\nhlt',
  ],
] as const) {
  test(`runs: ${what}`, () => assert.equal(membersOf(source), expected))
}

/** Goes over two pages byte by byte, with a run at each address: in a function, as loops have sites. */
const WALK = `
start:
  mov ebx, ${DATA + 0xf80}
again:
  call body
  inc ebx
  cmp ebx, ${DATA + 0x1080}
  jne again
  out 0x80, al
  jmp start
body:
  mov rbp, rsp
  lea rsp, [rbx+64]
  push rbx
  push 7
  push rdx
  mov rax, [rbx]
  add rax, [rbx+8]
  mov [rbx+16], rax
  add dword [rbx+40], 9
  mov rbx, rbx
  lea rdx, [rax+rdx*2]
  pop rcx
  add rdx, rcx
  pop rcx
  pop rax
  mov rsp, rbp
  times 110 nop
  ret`

/** Does something that has to use runs. */
function usingRuns<T>(act: () => T): T {
  const { memberOf } = AccessRuns.prototype
  let members = 0
  AccessRuns.prototype.memberOf = function (instruction) {
    const member = memberOf.call(this, instruction)
    if (member) members++
    return member
  }
  try {
    const result = act()
    assert.ok(members > 2, `${members} accesses in runs`)
    return result
  } finally {
    AccessRuns.prototype.memberOf = memberOf
  }
}

/** What walks leave, after some of them; behind the page of data lies a device's, not memory. */
function walk(mode: TranslationMode): { rdx: bigint; data: Uint8Array; registers: Uint8Array } {
  const machine = new BareMachine(1 << 16, 64, undefined, mode)
  const { cpu, memory, ram } = machine
  const registers = Uint8Array.from({ length: 0x1000 }, (_, i) => i * 91)
  const places = (offset: number, size: number) =>
    Array.from({ length: size }, (_, i) => offset + i)
  machine.device = {
    gfn: (DATA >> 12) + 1,
    read: (offset, size) =>
      places(offset, size).reduceRight((sum, at) => (sum << 8n) | BigInt(registers[at] ?? 0), 0n),
    write: (offset, size, value) => {
      for (const [i, at] of places(offset, size).entries()) {
        registers[at] = Number((value >> BigInt(8 * i)) & 0xffn)
      }
    },
  }
  machine.load(CODE, assemble(WALK, 64, CODE))
  machine.load(
    DATA,
    Uint8Array.from({ length: 0x2000 }, (_, i) => (i * 37) ^ (i >> 8)),
  )
  cpu.writeRegister(RSP, 0x4000n)
  cpu.rip = BigInt(CODE)
  while (machine.ports.length < 100) cpu.run(10_000)
  const data = memory.u8.slice(ram + DATA, ram + DATA + 0x2000)
  return { rdx: cpu.readRegister(RDX), data, registers }
}

test('runs across pages do what their accesses do interpreted', () => {
  const expected = walk('off')
  assert.deepEqual(
    usingRuns(() => walk('always')),
    expected,
  )
})

/** Pushes to where its own code lies: what is added to EAX is one more each time. */
const OWN_CODE = `
start:
  xor eax, eax
  mov ecx, 50
again:
  call change
  jmp patched
change:
  mov rbp, rsp
  lea rsp, [rel behind]
  mov rdx, [rsp-8]
  mov rsi, [rsp-16]
  mov rdi, 0x100000000
  add rdx, rdi
  push rdx
  push rsi
  mov rsp, rbp
  times 110 nop
  ret
  align 16
  times 12 nop
patched:
  times 12 nop
  add eax, strict dword 0
behind:
  dec ecx
  jnz again
  out 0x80, al
  hlt`

test('a run that writes code is noticed', () => {
  const result = (mode: TranslationMode) => {
    const machine = new BareMachine(1 << 16, 64, undefined, mode)
    machine.load(CODE, assemble(OWN_CODE, 64, CODE))
    machine.cpu.writeRegister(RSP, 0x4000n)
    machine.cpu.rip = BigInt(CODE)
    machine.cpu.run(10_000)
    assert.equal(machine.ports.length, 1)
    return machine.cpu.readRegister(RAX)
  }
  // 1 + 2 + ... + 50
  assert.equal(result('off'), 1275n)
  assert.equal(
    usingRuns(() => result('always')),
    1275n,
  )
})
