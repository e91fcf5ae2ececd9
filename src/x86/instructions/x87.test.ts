// What x87 instructions do around their arithmetic: waiting for errors, the trace of the last
// instruction, the environment in memory, faults. (Arithmetic: test/silicon and x87-fast.test.ts.)

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assemble } from '../../../test/x86/assemble.ts'
import { GP, MF, NM } from '../emit/emitter.ts'
import { CR0_EM, CR0_MP, CR0_PE, CR0_TS } from '../mmu/walker.ts'
import * as S from '../state.ts'
import { CODE, CODE64, DATA, SystemMachine } from '../testing/system-machine.ts'
import { BareMachine } from '../testing/bare-machine.ts'

const SCRATCH = 0x20000

/** Runs instructions that end with INT3; gives the vector of the handler that was reached. */
function execute(m: SystemMachine, source: string): number | undefined {
  m.load(CODE, assemble(`${source}\nint3`, 64, CODE))
  m.cpu.rip = BigInt(CODE)
  m.cpu.isHalted = false
  return m.runToHandler()?.vector
}

const ENDED = 3
const words = (m: SystemMachine, count: number) =>
  Array.from({ length: count }, (_, i) =>
    m
      .read(SCRATCH + 4 * i, 4)
      .toString(16)
      .padStart(8, '0'),
  )

/** Unmasks division by zero and divides 1 by 0. */
const DIVIDE_BY_ZERO = `
  fninit
  mov word [${SCRATCH + 256}], 0x37b
  fldcw [${SCRATCH + 256}]
  fldz
  fld1
  fdiv st0, st1`

test('an unmasked exception is raised by the next instruction that waits', () => {
  const m = new SystemMachine()
  assert.equal(execute(m, DIVIDE_BY_ZERO), ENDED)
  assert.equal(m.cpu.getI32(S.FSW), 0x8080 | (6 << 11) | 4)
  for (const source of ['fnop', 'fwait', 'fld1', `fldcw [${SCRATCH}]`, `fstp qword [${SCRATCH}]`]) {
    assert.equal(execute(m, source), MF, source)
  }
  assert.equal(m.cpu.getI32(S.FTW), 0xc0)
})

test('instructions that do not wait run with an exception pending', () => {
  const m = new SystemMachine()
  for (const source of [
    'fnstsw ax',
    'fnclex',
    'fninit',
    `fnstenv [${SCRATCH}]`,
    `fnsave [${SCRATCH}]`,
  ]) {
    assert.equal(execute(m, `${DIVIDE_BY_ZERO}\n${source}`), ENDED, source)
  }
})

test('FLDCW that unmasks an exception whose flag is set makes it pending', () => {
  const m = new SystemMachine()
  assert.equal(execute(m, 'fninit\nfldz\nfld1\nfdiv st0, st1\nfnstsw ax'), ENDED)
  assert.equal(m.cpu.registerLow(S.RAX) & 0xffff, 0x3004)
  m.write(SCRATCH, 0x37bn, 2)
  assert.equal(execute(m, `fldcw [${SCRATCH}]\nfnstsw ax`), ENDED)
  assert.equal(m.cpu.registerLow(S.RAX) & 0xffff, 0xb084)
})

test('CR0.TS and CR0.EM stop x87 instructions, FWAIT only MP and TS together', () => {
  const m = new SystemMachine()
  const { cr0 } = m.cpu
  for (const [bits, onNop, onWait] of [
    [CR0_TS, NM, ENDED],
    [CR0_EM, NM, ENDED],
    [CR0_MP, ENDED, ENDED],
    [CR0_MP | CR0_TS, NM, NM],
  ] as const) {
    m.cpu.set32(S.CR0, (cr0 & ~(CR0_TS | CR0_EM | CR0_MP)) | bits)
    assert.equal(execute(m, 'fnop'), onNop)
    assert.equal(execute(m, 'fwait'), onWait)
  }
})

// The words are those that an AMD EPYC processor wrote, but for addresses and selectors.
test('FNSTENV tells of the last instruction other than a control instruction', () => {
  const m = new SystemMachine()
  const rip = (at: number) => (CODE + at).toString(16).padStart(8, '0')
  const head = `fninit\nfldz\nfld1\nmov rbx, ${SCRATCH + 512}\n`
  const start = assemble(head, 64, CODE).length
  const cs = CODE64.toString(16).padStart(4, '0')
  const ds = DATA.toString(16).padStart(4, '0')
  const env = (source: string) => {
    assert.equal(execute(m, `${head}${source}\nfnstenv [${SCRATCH}]`), ENDED)
    return words(m, 7)
  }
  assert.deepEqual(env('fadd st0, st1').slice(0, 6), [
    'ffff037f',
    'ffff3000',
    'ffff4fff',
    rip(start),
    `00c1${cs}`,
    '00000000',
  ])
  const load = [
    'ffff037f',
    'ffff2800',
    'ffff43ff',
    rip(start),
    `0503${cs}`,
    '00020200',
    `ffff${ds}`,
  ]
  assert.deepEqual(env('fld qword [rbx]').slice(4), [`0503${cs}`, '00020200', `ffff${ds}`])
  m.write(SCRATCH + 512, 0x3ff8000000000000n, 8)
  assert.deepEqual(env('fld qword [rbx]'), load.with(4, `0503${cs}`))
  for (const control of ['fnclex', 'fnstsw ax', 'fwait', 'fnstcw [rbx+8]\nfldcw [rbx+8]']) {
    assert.deepEqual(env(`fld qword [rbx]\n${control}`), load, control)
  }
  // An instruction on registers leaves the pointer to the last memory operand.
  assert.deepEqual(env('fld qword [rbx]\nfadd st0, st1').slice(3), [
    rip(start + 2),
    `00c1${cs}`,
    '00020200',
    `ffff${ds}`,
  ])
})

test('FNSTENV masks all exceptions, and the one that was pending is so no longer', () => {
  const m = new SystemMachine()
  assert.equal(execute(m, `${DIVIDE_BY_ZERO}\nfnstenv [${SCRATCH}]\nfld1`), ENDED)
  assert.equal(m.cpu.getI32(S.FCW), 0x37f)
  assert.equal(m.read(SCRATCH + 4, 2), 0xb084n)
})

test('a store that faults changes neither the stack nor the status', () => {
  const m = new SystemMachine()
  for (const store of ['fstp qword', 'fstp dword', 'fstp tword', 'fistp word', 'fbstp']) {
    execute(m, 'fninit\nfldpi\nmov rbx, 0x8000000000000000')
    assert.equal(execute(m, `${store} [rbx]`), GP, store)
    assert.equal(m.cpu.getI32(S.FTW), 0x80, store)
    assert.equal(m.cpu.getI32(S.FSW), 7 << 11, store)
  }
})

test('FSTP of 80 bits over the end of a page writes all or nothing', () => {
  const m = new SystemMachine()
  const at = SCRATCH + 4096 - 4
  m.write(at, 0n, 8)
  m.page(SCRATCH + 4096, 0n)
  assert.equal(execute(m, `fninit\nfldpi\nfstp tword [${at}]`), 14)
  assert.equal(m.read(at, 4), 0n)
  m.page(SCRATCH + 4096, BigInt(SCRATCH + 4096 + 7))
  m.cpu.flushTlb()
  assert.equal(execute(m, `fninit\nfldpi\nfstp tword [${at}]\nfld tword [${at}]`), ENDED)
  assert.equal(m.read(at, 8), 0xc90fdaa22168c235n)
  assert.equal(m.read(at + 8, 2), 0x4000n)
  assert.equal(m.cpu.getU64(S.X87 + 7 * S.X87_SIZE), 0xc90fdaa22168c235n)
})

test('FNSAVE and FRSTOR bring back every register, its tag and the pointers', () => {
  const m = new SystemMachine()
  const state = () =>
    Array.from({ length: (S.MXCSR - S.X87) / 4 }, (_, i) => m.cpu.getU32(S.X87 + 4 * i))
  execute(m, `fninit\nfld1\nfldpi\nfldz\nffree st1\nfld qword [${SCRATCH + 512}]\nfdecstp`)
  const before = state()
  assert.equal(execute(m, `fnsave [${SCRATCH}]`), ENDED)
  assert.equal(m.cpu.getI32(S.FTW), 0)
  assert.equal(m.cpu.getI32(S.FCW), 0x37f)
  assert.equal(execute(m, `frstor [${SCRATCH}]`), ENDED)
  assert.deepEqual(state(), before)
})

/** A machine in real mode that runs 16-bit code at 1234:0000. */
function realMachine(source: string): BareMachine {
  const m = new BareMachine(1 << 20, 16)
  m.cpu.set32(S.CR0, m.cpu.cr0 & ~CR0_PE)
  m.cpu.set32(S.SEGMENT + S.CS * S.SEGMENT_SIZE + S.SEG_SELECTOR, 0x1234)
  m.cpu.setSegmentBase(S.CS, 0x12340n)
  m.cpu.set32(S.SEGMENT + S.DS * S.SEGMENT_SIZE + S.SEG_SELECTOR, 0)
  m.cpu.modeChanged()
  m.load(0x12340, assemble(`${source}\nhlt`, 16, 0))
  m.cpu.rip = 0n
  assert.equal(m.cpu.run(1000).reason, 'halt')
  return m
}

const bytes = (m: BareMachine, at: number, count: number) =>
  Buffer.from(m.memory.u8.subarray(m.ram + at, m.ram + at + count)).toString('hex')

// SDM vol. 1, figures 8-10 and 8-12: linear addresses in two parts.
test('in real mode FNSTENV writes linear addresses, in 16 and 32 bits', () => {
  const m = realMachine('fninit\nfld dword [0x5678]\nfnstenv [0x800]\no32 fnstenv [0x900]')
  // FLD lies at 12342 and is D9 06; its operand at 05678.
  assert.equal(bytes(m, 0x800, 14), '7f03 0038 ff7f 4223 0611 7856 0000'.replaceAll(' ', ''))
  assert.equal(
    bytes(m, 0x900, 28),
    '7f03ffff 0038ffff ff7fffff 4223ffff 06110000 7856ffff 00000000'.replaceAll(' ', ''),
  )
})

test('in real mode FLDENV takes back what FNSTENV wrote', () => {
  const m = realMachine(`
    fninit
    fld dword [0x5678]
    o32 fnstenv [0x900]
    fninit
    o32 fldenv [0x900]
    fnstenv [0x800]`)
  assert.equal(bytes(m, 0x800, 14), '7f030038ff7f4223061178560000')
})

test('rounding of the constants follows RC', () => {
  const m = new SystemMachine()
  // SDM vol. 2A, FLD1/FLDL2T/…: the 66-bit constant is rounded as RC says.
  for (const [control, value] of [
    [0x37f, 0xc90fdaa22168c235n],
    [0x77f, 0xc90fdaa22168c234n],
    [0xb7f, 0xc90fdaa22168c235n],
    [0xf7f, 0xc90fdaa22168c234n],
  ] as const) {
    m.write(SCRATCH, BigInt(control), 2)
    execute(m, `fninit\nfldcw [${SCRATCH}]\nfldpi`)
    assert.equal(m.cpu.getU64(S.X87 + 7 * S.X87_SIZE), value)
  }
})
