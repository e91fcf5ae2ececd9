import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compare, randomSlots, SLOT, systematicSlots } from '../../../test/x86/iced.ts'
import { BASE_RIP, Decoded, Segment, Status } from './decoded.ts'
import { Decoder } from './decoder.ts'
import { Registry } from './define.ts'

// A part of the integer instructions: enough for every form of row, from SDM vol. 2, A.3.
const TABLE: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(
    ['ADD', 'OR', 'ADC', 'SBB', 'AND', 'SUB', 'XOR', 'CMP'].map((name, n) => {
      const opcode = (low: number) => (n * 8 + low).toString(16).toUpperCase().padStart(2, '0')
      const lock = name === 'CMP' ? '' : ' lock'
      const rows = [
        `${opcode(0)} /r Eb,Gb${lock}`,
        `${opcode(1)} /r Ev,Gv${lock}`,
        `${opcode(2)} /r Gb,Eb`,
        `${opcode(3)} /r Gv,Ev`,
        `${opcode(4)} AL,Ib`,
        `${opcode(5)} rAX,Iz`,
        `80 /${n} Eb,Ib${lock}`,
        `81 /${n} Ev,Iz${lock}`,
        `82 /${n} Eb,Ib i64${lock}`,
        `83 /${n} Ev,Ib${lock}`,
      ]
      return [name, rows]
    }),
  ),
  MOV: [
    '88 /r Eb,Gb',
    '89 /r Ev,Gv',
    '8A /r Gb,Eb',
    '8B /r Gv,Ev',
    '8C /r Ev,Sw',
    '8E /r Sw,Ew',
    'A0 AL,Ob',
    'A1 rAX,Ov',
    'A2 Ob,AL',
    'A3 Ov,rAX',
    'B0+r Zb,Ib',
    'B8+r Zv,Iv',
    'C6 /0 Eb,Ib',
    'C7 /0 Ev,Iz',
    '0F 20 /r Ry,Cy f64 cpl0',
    '0F 21 /r Ry,Dy f64 cpl0',
    '0F 22 /r Cy,Ry f64 cpl0',
    '0F 23 /r Dy,Ry f64 cpl0',
  ],
  NOP: ['90', '0F 1F /0 Ev'],
  PAUSE: ['F3 90'],
  XCHG: ['90+r Zv,rAX', '86 /r Eb,Gb lock', '87 /r Ev,Gv lock'],
  BSF: ['0F BC /r Gv,Ev'],
  TZCNT: ['F3 0F BC /r Gv,Ev +bmi1'],
  LEA: ['8D /r Gv,M'],
  PUSH: [
    '50+r Zv d64',
    '68 Iz d64',
    '6A Ib d64',
    '06 ES i64',
    '0E CS i64',
    '16 SS i64',
    '1E DS i64',
    '0F A0 FS d64',
    '0F A8 GS d64',
    'FF /6 Ev d64',
  ],
  JMP: ['E9 Jz f64 end', 'EB Jb f64 end', 'EA Ap i64 end', 'FF /4 Ev f64 end', 'FF /5 Mp end'],
  CALL: ['E8 Jz f64 end', '9A Ap i64 end', 'FF /2 Ev f64 end', 'FF /3 Mp end'],
  ENTER: ['C8 Iw,Ib d64'],
  IMUL: ['69 /r Gv,Ev,Iz', '6B /r Gv,Ev,Ib', '0F AF /r Gv,Ev', 'F6 /5 Eb', 'F7 /5 Ev'],
  TEST: [
    '84 /r Eb,Gb',
    '85 /r Ev,Gv',
    'A8 AL,Ib',
    'A9 rAX,Iz',
    'F6 /0 Eb,Ib',
    'F6 /1 Eb,Ib',
    'F7 /0 Ev,Iz',
    'F7 /1 Ev,Iz',
  ],
  NEG: ['F6 /3 Eb lock', 'F7 /3 Ev lock'],
  CRC32: ['F2 0F 38 F0 /r Gd,Eb', 'F2 0F 38 F1 /r Gd,Ev'],
  MOVBE: [
    'NP 0F 38 F0 /r Gv,Mv',
    '66 0F 38 F0 /r Gv,Mv',
    'NP 0F 38 F1 /r Mv,Gv',
    '66 0F 38 F1 /r Mv,Gv',
  ],
  ADCX: ['66 0F 38 F6 /r Gy,Ey'],
  ADOX: ['F3 0F 38 F6 /r Gy,Ey'],
  PALIGNR: ['NP 0F 3A 0F /r Pq,Qq,Ib mmx', '66 0F 3A 0F /r Vx,Wx,Ib sse align'],
  FADD: ['D8 /0 Md x87', 'D8 /0:r ST0,T x87', 'DC /0 Mq x87', 'DC /0:r T,ST0 x87'],
  LES: ['C4 /r Gv,Mp i64'],
  BOUND: ['62 /r Gv,M i64'],
  ARPL: ['63 /r Ew,Gw i64'],
  MOVSXD: ['63 /r Gv,Ed o64'],
  SWAPGS: ['0F 01 /7:0 o64 cpl0'],
}

const registry = new Registry()
for (const [name, rows] of Object.entries(TABLE)) registry.define(name, rows, () => {})
const decoder = new Decoder(registry)
const ALL = new Set(['bmi1'])
const NONE = new Set<string>()

interface Result {
  status: Status
  name: string
  d: Decoded
}

function decode(hex: string, codeSize: 16 | 32 | 64 = 64, features = ALL): Result {
  const bytes = Uint8Array.from(hex.split(' '), (byte) => Number.parseInt(byte, 16))
  const d = new Decoded()
  const status = decoder.decode(bytes, 0, bytes.length, codeSize, features, d)
  return { status, name: d.row.name, d }
}

test('a displacement and an immediate are sign-extended to 64 bits', () => {
  const { d } = decode('48 83 43 f8 ff') // add qword [rbx-8], -1
  assert.deepEqual([d.dispLo, d.dispHi, d.immLo, d.immHi], [-8, -1, -1, -1])
  assert.deepEqual([d.operandSize, d.base, d.index, d.length], [64, 3, -1, 5])
})

test('a 64-bit immediate is read whole', () => {
  const { d } = decode('49 b8 f0 de bc 9a 78 56 34 12') // mov r8, 0x123456789abcdef0
  assert.deepEqual([d.immLo >>> 0, d.immHi, d.rm, d.length], [0x9abcdef0, 0x12345678, 8, 10])
})

test('REX counts only right before the opcode', () => {
  assert.equal(decode('48 66 01 d8').d.operandSize, 16)
  assert.equal(decode('66 48 01 d8').d.operandSize, 64)
  assert.equal(decode('48 40 01 d8').d.operandSize, 32)
})

test('segments default by base register and overrides of flat segments are ignored in 64-bit mode', () => {
  assert.equal(decode('8b 45 00').d.segment, Segment.SS)
  assert.equal(decode('8b 04 24').d.segment, Segment.SS)
  assert.equal(decode('41 8b 45 00').d.segment, Segment.DS) // r13, not rbp
  assert.equal(decode('2e 8b 45 00').d.segment, Segment.SS)
  assert.equal(decode('64 2e 8b 00').d.segment, Segment.FS)
  assert.equal(decode('2e 8b 45 00', 32).d.segment, Segment.CS)
  assert.equal(decode('64 2e 8b 00', 32).d.segment, Segment.CS)
})

test('ModRM 05 is RIP-relative in 64-bit mode and absolute elsewhere', () => {
  assert.equal(decode('8b 05 00 00 00 00').d.base, BASE_RIP)
  assert.equal(decode('8b 05 00 00 00 00', 32).d.base, -1)
  assert.equal(decode('8b 04 25 00 00 00 00').d.base, -1)
})

test('16-bit addresses use the eight forms of SDM 2, table 2-1', () => {
  const forms = [
    [3, 6],
    [3, 7],
    [5, 6],
    [5, 7],
    [6, -1],
    [7, -1],
    [5, -1],
    [3, -1],
  ]
  for (const [rm, form] of forms.entries()) {
    const { d } = decode(`8b ${(0x40 + rm).toString(16)} ff`, 16)
    assert.deepEqual([d.base, d.index, d.dispLo], [...form, -1])
  }
  const { d } = decode('8b 06 34 12', 16)
  assert.deepEqual([d.base, d.index, d.dispLo], [-1, -1, 0x1234])
})

test('a 16-bit displacement with its top bit set is negative', () => {
  const { d } = decode('8b 80 00 80', 16)
  assert.deepEqual([d.dispLo, d.dispHi], [-0x8000, -1])
})

test('LOCK is refused unless the row allows it and the destination is memory', () => {
  assert.equal(decode('f0 01 00').status, Status.ok)
  assert.equal(decode('f0 01 c0').status, Status.invalid)
  assert.equal(decode('f0 03 00').status, Status.invalid)
  assert.equal(decode('f0 39 00').status, Status.invalid)
})

test('MOV refuses CS as destination, segment registers 6 and 7, and CR1', () => {
  assert.equal(decode('8e c8').status, Status.invalid)
  assert.equal(decode('8e f0').status, Status.invalid)
  assert.equal(decode('8c c8').status, Status.ok)
  assert.equal(decode('0f 20 c8').status, Status.invalid)
  assert.equal(decode('44 0f 20 c0').d.reg, 8)
  assert.equal(decode('44 0f 21 c0').status, Status.invalid)
})

test('MOV from CR3 reads a register whatever ModRM.mod says', () => {
  const { status, d } = decode('0f 20 1c')
  assert.equal(status, Status.ok)
  assert.deepEqual(
    [d.length, d.isMemory, d.mod, d.reg, d.rm, d.operandSize],
    [3, false, 3, 3, 4, 64],
  )
})

test('REX.R does not reach segment and MMX registers, REX.B not MMX registers', () => {
  assert.equal(decode('44 8e d8').d.reg, 3)
  const { d } = decode('45 0f 3a 0f c1 08')
  assert.deepEqual([d.reg, d.rm], [0, 1])
  const sse = decode('66 45 0f 3a 0f c1 08').d
  assert.deepEqual([sse.reg, sse.rm], [8, 9])
})

test('opcode 90 is NOP, XCHG with REX.B, PAUSE with F3', () => {
  assert.equal(decode('90').name, 'NOP')
  assert.equal(decode('48 90').name, 'NOP')
  assert.equal(decode('49 90').name, 'XCHG')
  assert.equal(decode('f3 90').name, 'PAUSE')
  assert.equal(decode('f2 90').name, 'NOP')
  assert.equal(decode('91').name, 'XCHG')
})

test('a row whose feature is absent leaves its bytes to the next row', () => {
  assert.equal(decode('f3 0f bc c1', 64, ALL).name, 'TZCNT')
  assert.equal(decode('f3 0f bc c1', 64, NONE).name, 'BSF')
})

test('a mandatory 66 is an operand size only for operands that have one', () => {
  assert.equal(decode('66 0f 38 f0 00').d.operandSize, 16)
  assert.equal(decode('66 0f 38 f6 c1').d.operandSize, 32)
})

test('a 66 beside a mandatory F2 is an operand size', () => {
  const crc = decode('66 f2 0f 38 f1 c1')
  assert.deepEqual([crc.name, crc.d.operandSize], ['CRC32', 16])
})

test('the last of F2 and F3 wins', () => {
  assert.equal(decode('f2 f3 0f 38 f6 c1').name, 'ADOX')
  assert.equal(decode('f3 f2 0f 38 f0 c1').name, 'CRC32')
})

test('d64 makes operands 64 or 16 bits, f64 always 64, in 64-bit mode only', () => {
  assert.deepEqual([decode('50').d.operandSize, decode('66 50').d.operandSize], [64, 16])
  assert.deepEqual([decode('50', 32).d.operandSize, decode('66 50', 32).d.operandSize], [32, 16])
  const jump = decode('66 e9 00 00 00 00')
  assert.deepEqual([jump.d.operandSize, jump.d.length], [64, 6])
  assert.equal(decode('66 e9 00 00', 32).d.length, 4)
})

test('a far pointer gives offset and selector', () => {
  const { d } = decode('ea 78 56 34 12 10 00', 32)
  assert.deepEqual([d.immLo, d.imm2, d.length], [0x12345678, 0x10, 7])
})

test('ENTER has two immediates', () => {
  const { d } = decode('c8 00 01 ff')
  assert.deepEqual([d.immLo, d.imm2, d.operandSize], [0x100, 0xff, 64])
})

test('an absolute offset has the address size', () => {
  const { d } = decode('64 a1 08 07 06 05 04 03 02 01')
  assert.deepEqual([d.dispLo, d.dispHi, d.segment], [0x05060708, 0x01020304, Segment.FS])
  assert.equal(decode('67 a1 08 07 06 05').d.length, 6)
  assert.equal(decode('a1 08 07', 16).d.length, 3)
})

test('fifteen bytes are the limit', () => {
  const prefixes = '66 '.repeat(13)
  assert.equal(decode(`${prefixes}01 d8`).d.length, 15)
  assert.equal(decode(`66 ${prefixes}01 d8`).status, Status.tooLong)
  assert.equal(decode('66 '.repeat(15).trim()).status, Status.tooLong)
})

test('every beginning of an instruction is truncated', () => {
  const whole = Uint8Array.of(0x64, 0x66, 0xc7, 0x84, 0x8b, 1, 2, 3, 4, 5, 6)
  for (let available = 0; available < whole.length; available++) {
    const status = decoder.decode(whole, 0, available, 64, ALL, new Decoded())
    assert.equal(status, Status.truncated, `${available} bytes`)
  }
  assert.equal(decoder.decode(whole, 0, whole.length, 64, ALL, new Decoded()), Status.ok)
})

for (const bitness of [16, 32, 64] as const) {
  test(`iced reads the integer table as we do in ${bitness}-bit mode`, () => {
    for (const slots of [randomSlots(bitness, 50_000), systematicSlots(bitness)]) {
      const { agreed, differences, missing } = compare(registry, slots, bitness)
      assert.deepEqual([...differences], [])
      const refused = [...missing].filter(([mnemonic]) => mnemonic in TABLE)
      assert.deepEqual(refused, [])
      assert.ok(agreed > slots.length / SLOT / 20, `only ${agreed} instructions compared`)
    }
  })
}
