// The quick ways of events against the general ones: a code segment whose limit is a page short of
// 4 GiB is not what the quick ways know, but 64-bit code heeds no limit. So all else must be alike.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assemble } from '../../../test/x86/assemble.ts'
import { FLAG_AC, FLAG_IF, FLAG_IOPL, FLAG_NT, FLAG_RF } from '../registers.ts'
import * as S from '../state.ts'
import {
  ACCESS_CODE,
  ACCESS_DATA,
  CODE,
  CODE32,
  CODE64,
  DATA,
  descriptor,
  FLAGS_16,
  FLAGS_32,
  FLAGS_64,
  FREE,
  HANDLERS,
  IST1,
  STACK,
  SystemMachine,
  TABLES,
  TASK,
  USER_CODE32,
  USER_CODE64,
  USER_DATA,
  USER_STACK,
} from '../testing/system-machine.ts'

const KERNEL_RPL3 = CODE64 | 3
/** Where all lies that a machine has in its memory. */
const LOW = 0x20000
/** Pages of the stacks, and all page tables. */
const COMPARED = [
  [0xa000, 0x6000],
  [TABLES, 0x5000],
] as const

/** A machine, and what it was when it was made. */
function make(limit: number) {
  const machine = new SystemMachine(64)
  machine.descriptor(CODE64, descriptor(0, limit, ACCESS_CODE, FLAGS_64))
  machine.descriptor(USER_CODE64, descriptor(0, limit, ACCESS_CODE | 0x60, FLAGS_64))
  const { cpu, memory, ram } = machine
  const state = memory.u8.slice(cpu.state, cpu.state + S.STATE_SIZE)
  return { machine, state, low: memory.u8.slice(ram, ram + LOW) }
}

const MADE = [make(0xfffff), make(0xffffe)]

/** The two machines as they were made, with code, and with what `setUp` does. */
function pair(code: Uint8Array, setUp: (m: SystemMachine) => void): readonly SystemMachine[] {
  return MADE.map(({ machine, state, low }) => {
    const { cpu, memory } = machine
    memory.u8.set(state, cpu.state)
    cpu.isHalted = false
    machine.load(0, low)
    machine.load(CODE, code)
    cpu.flushTlb()
    setUp(machine)
    return machine
  })
}

/** What the guest can see of a machine, but the limit of CS. */
function stateOf({ cpu, memory, ram }: SystemMachine): unknown {
  const segments = [S.ES, S.CS, S.SS, S.DS, S.FS, S.GS].map((segment) => ({
    selector: cpu.selector(segment),
    base: cpu.segmentBase(segment),
    limit: segment === S.CS ? 0 : cpu.segmentLimit(segment),
    attributes: cpu.segmentAttributes(segment),
  }))
  return {
    registers: Array.from({ length: 16 }, (_, i) => cpu.readRegister(i).toString(16)),
    rip: cpu.rip.toString(16),
    flags: cpu.rflags,
    cpl: cpu.cpl,
    cr2: cpu.getU64(S.CR2),
    segments,
    // Flat or not depends on the limit.
    key: cpu.getI32(S.JUMP_KEY) & 15,
    tlb: cpu.getI32(S.TLB_BASE) - cpu.tlb.contextBase(0),
    memory: COMPARED.map(([at, size]) => memory.u8.slice(ram + at, ram + at + size)),
  }
}

function compare(machines: readonly SystemMachine[], what: string): void {
  const [quick, general] = machines as [SystemMachine, SystemMachine]
  assert.deepEqual(stateOf(quick), stateOf(general), what)
}

const EVENTS: Readonly<Record<string, string>> = {
  'an exception': 'ud2',
  'an exception with an error code': 'mov eax, [0x200000]',
  'a software interrupt': 'int 6',
  'a trap': 'int3',
  'a software interrupt that is not allowed': 'int 14',
}

for (const [what, source] of Object.entries(EVENTS)) {
  test(`${what} arrives the same the quick way and the general way`, () => {
    const code = assemble(source, 64, CODE)
    for (const isUser of [false, true]) {
      for (const rsp of [0, 3, 0xfd8, 0x20, 0x28, 0x30]) {
        for (const ist of [0, 1, 2, 3]) {
          for (const [type, target] of [
            [14, HANDLERS],
            [15, HANDLERS + 0x90],
            [12, HANDLERS],
          ] as const) {
            const machines = pair(code, (m) => {
              m.page(0x200000, 0n)
              // IST2 is not canonical; the stack of level 0 may cross a page.
              m.write(TASK + 44, 0x800000000000n, 8)
              m.write(TASK + 52, BigInt(IST1 - 0x100), 8)
              m.write(TASK + 4, BigInt(STACK + rsp - 0x20), 8)
              for (const vector of [3, 6, 13, 14]) {
                m.gate(vector, {
                  offset: target + vector * 16,
                  type,
                  ist: vector === 13 ? 0 : ist,
                  dpl: vector === 14 ? 0 : 3,
                })
              }
              m.gate(8)
              m.gate(12)
              if (isUser) m.enter(USER_CODE64, USER_DATA, USER_STACK - rsp)
              else m.cpu.writeRegister(S.RSP, BigInt(STACK - rsp))
              m.cpu.rflags = 0xad7 | FLAG_IF | (isUser ? FLAG_AC : FLAG_NT)
            })
            for (const m of machines) m.cpu.run(2)
            compare(machines, `user ${isUser}, rsp ${rsp}, ist ${ist}, type ${type}`)
          }
        }
      }
    }
  })
}

test('IRETQ returns the same the quick way and the general way', () => {
  const codes = [CODE64, USER_CODE64, CODE32, USER_CODE32, KERNEL_RPL3, 0, 3, DATA, CODE64 | 4]
  const stacks = [DATA, USER_DATA, 0, 3, CODE64, DATA | 3, USER_DATA & ~3]
  const flags = [2, 0xfd7 | FLAG_IF, FLAG_IOPL | FLAG_RF | FLAG_AC, FLAG_NT | 2]
  const code = assemble('iretq', 64, CODE)
  for (const cs of codes) {
    for (const ss of stacks) {
      for (const rip of [0x9000n, 0x7fffffffffffn, 0x800000000000n, 0xffff800000000000n]) {
        for (const rflags of flags) {
          for (const rsp of [0xa7f8, 0xafe8, 0xa7fb]) {
            const words = [rip, BigInt(cs), BigInt(rflags), 0x123456789abcdefn, BigInt(ss)]
            const machines = pair(code, (m) => {
              for (const [at, word] of words.entries()) m.write(rsp + at * 8, word, 8)
              m.cpu.writeRegister(S.RSP, BigInt(rsp))
            })
            for (const m of machines) m.cpu.run(1)
            compare(machines, `${words.map((word) => word.toString(16)).join(' ')} at ${rsp}`)
          }
        }
      }
    }
  }
})

test('a handler and a return go to no more code segments the quick way than the general way', () => {
  const code = assemble('cmp eax, 0\njne $ + 4\nud2\niretq', 64, CODE)
  for (const access of [0x9b, 0x1b, 0x99, 0x9f, 0xfb, 0xff, 0x93, 0x8b, 0xdb]) {
    for (const size of [FLAGS_64, FLAGS_32, FLAGS_16, FLAGS_64 | FLAGS_32]) {
      for (const isReturn of [false, true]) {
        const selector = FREE | ((access >> 5) & (isReturn ? 3 : 0))
        const machines = pair(code, (m) => {
          const limit = m === MADE[0]?.machine ? 0xfffff : 0xffffe
          m.descriptor(FREE, descriptor(0, limit, access, size))
          m.gate(6, { selector, dpl: 3 })
          const words = [0x9000, selector, 2, USER_STACK, DATA | (selector & 3)]
          if ((selector & 3) === 3) words[4] = USER_DATA
          for (const [at, word] of words.entries()) m.write(STACK - 40 + at * 8, BigInt(word), 8)
          m.cpu.writeRegister(S.RSP, BigInt(STACK - 40))
          m.cpu.writeRegister(S.RAX, isReturn ? 1n : 0n)
        })
        for (const m of machines) m.cpu.run(isReturn ? 3 : 4)
        compare(machines, `access ${access.toString(16)}, flags ${size}, return ${isReturn}`)
      }
    }
  }
})

test('a return to level 3 drops segments of level 0, the quick way and the general way', () => {
  const machines = pair(assemble('iretq', 64, CODE), (m) => {
    const words = [0x9000, USER_CODE64, 2, USER_STACK, USER_DATA]
    for (const [at, word] of words.entries()) m.write(STACK - 40 + at * 8, BigInt(word), 8)
    m.cpu.writeRegister(S.RSP, BigInt(STACK - 40))
  })
  for (const m of machines) m.cpu.run(1)
  compare(machines, 'segments')
  assert.equal(machines[0]?.cpu.selector(S.DS), 0)
})

test('a code segment that was not accessed is marked, on the way in and on the way back', () => {
  const m = new SystemMachine(64)
  const fresh = descriptor(0, 0xfffff, ACCESS_CODE & ~1, FLAGS_64)
  m.descriptor(CODE64, fresh)
  m.load(CODE, assemble('ud2', 64, CODE))
  m.runToHandler()
  assert.equal(m.read(0x1000 + CODE64, 8), fresh | (1n << 40n))
  const back = new SystemMachine(64)
  back.descriptor(CODE64, fresh)
  back.descriptor(DATA, descriptor(0, 0xfffff, ACCESS_DATA, FLAGS_64))
  back.load(CODE, assemble('iretq', 64, CODE))
  const words = [0x9000, CODE64, 2, STACK, DATA]
  for (const [at, word] of words.entries()) back.write(STACK - 40 + at * 8, BigInt(word), 8)
  back.cpu.writeRegister(S.RSP, BigInt(STACK - 40))
  back.cpu.run(1)
  assert.equal(back.cpu.rip, 0x9000n)
  assert.equal(back.read(0x1000 + CODE64, 8), fresh | (1n << 40n))
})

test('a frame that is pushed over decoded code changes it', () => {
  const m = new SystemMachine(64)
  // The frame has RSP of level 3 where this function begins: it says `mov bl, 2; hlt` then.
  const FUNCTION = 0x9110
  m.load(CODE, assemble(`call ${FUNCTION}\niretq`, 64, CODE))
  m.load(FUNCTION, assemble('mov bl, 1\nret', 64, FUNCTION))
  m.load(0xc000, assemble('ud2', 64, 0xc000))
  m.write(TASK + 4, BigInt(FUNCTION + 16), 8)
  m.gate(6, { offset: FUNCTION })
  const words = [0xc000, USER_CODE64, 2, 0xf402b3, USER_DATA]
  for (const [at, word] of words.entries()) m.write(STACK - 40 + at * 8, BigInt(word), 8)
  m.cpu.writeRegister(S.RSP, BigInt(STACK - 40))
  assert.equal(m.cpu.run(100).reason, 'halt')
  assert.equal(m.cpu.registerLow(S.RBX) & 0xff, 2)
})
