// A case as one line of text, and back:
//
//   mode=64 at=20000040 code=4801d8 flags=202 rax=1 rbx=ff m10000ff8=0011223344556677 mxcsr=1f80
//
// What is not named has the value it has in a blank case: registers 0, memory 0, flags 202, data
// segments of the mode's first choice, FPU as FNINIT and FXRSTOR's zeros leave it.

import {
  CODE,
  CODE_AT,
  FPU,
  FS_BASE,
  GPR,
  GS_BASE,
  INSTRUCTION,
  INSTRUCTION_BYTES,
  MEMORY,
  MODE,
  Records,
  RFLAGS,
  SELECTORS,
  START,
  WINDOWS,
} from './layout.ts'
import { MODES, type Mode } from './modes.ts'

const NAMES = 'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'.split(' ')
const SEGMENTS = 'es cs ss ds fs gs'.split(' ')
const INT3 = 0xcc

/** Fields of the FXSAVE image by name: offset, bytes, value in a blank case. */
const FPU_FIELDS: readonly (readonly [name: string, at: number, bytes: number, blank: number])[] = [
  ['fcw', 0, 2, 0x37f],
  ['fsw', 2, 2, 0],
  ['ftw', 4, 1, 0],
  ['mxcsr', 24, 4, 0x1f80],
  ...Array.from({ length: 8 }, (_, i) => [`st${i}`, 32 + i * 16, 10, 0] as const),
  ...Array.from({ length: 16 }, (_, i) => [`xmm${i}`, 160 + i * 16, 16, 0] as const),
]

/** A case that does nothing: INT3 at the usual place. */
export function blankCase(mode: number): Uint8Array {
  const records = Records.ofCount(1)
  const { cs, data, stack, codeBase } = MODES[mode] as Mode
  records.setWord(0, MODE, mode)
  records.setNumber(0, CODE_AT, CODE + 64)
  records.setWord(0, START, CODE + 64 - codeBase)
  records.u8.fill(INT3, INSTRUCTION, INSTRUCTION + INSTRUCTION_BYTES)
  records.setWord(0, RFLAGS, 0x202)
  for (let segment = 0; segment < 6; segment++) {
    const selector = segment === 1 ? cs : segment === 2 ? stack[0] : data[0]
    records.u16[(SELECTORS >>> 1) + segment] = selector as number
  }
  for (const [, at, bytes, blank] of FPU_FIELDS) {
    if (blank !== 0) putHex(records, FPU + at, bytes, blank.toString(16))
  }
  return records.u8
}

/** Little-endian bytes as one hexadecimal number. */
function getHex(records: Records, at: number, bytes: number): string {
  const digits = Buffer.from(records.u8.subarray(at, at + bytes))
    .reverse()
    .toString('hex')
  return digits.replace(/^0+(?=.)/, '')
}

function putHex(records: Records, at: number, bytes: number, digits: string): void {
  const value = Buffer.from(digits.padStart(bytes * 2, '0'), 'hex').reverse()
  if (value.length !== bytes) throw new RangeError(`${digits} has more than ${bytes} bytes`)
  records.u8.set(value, at)
}

/** The numeric fields of a case by name. */
function fieldsOf(): Map<string, readonly [at: number, bytes: number]> {
  const fields = new Map<string, readonly [number, number]>([['flags', [RFLAGS, 8]]])
  for (const [i, name] of NAMES.entries()) fields.set(name, [GPR + i * 8, 8])
  for (const [i, name] of SEGMENTS.entries()) fields.set(name, [SELECTORS + i * 2, 2])
  fields.set('fsbase', [FS_BASE, 8])
  fields.set('gsbase', [GS_BASE, 8])
  for (const [name, at, bytes] of FPU_FIELDS) fields.set(name, [FPU + at, bytes])
  return fields
}

const FIELDS = fieldsOf()

/** Writes the case in a record as text. */
export function caseToText(record: Uint8Array): string {
  const test = new Records(record)
  const mode = test.word(0, MODE)
  const blank = new Records(blankCase(mode))
  const code = Buffer.from(record.subarray(INSTRUCTION, INSTRUCTION + INSTRUCTION_BYTES))
  const words = [
    `mode=${(MODES[mode] as Mode).name}`,
    `at=${test.word(0, CODE_AT).toString(16)}`,
    `code=${code.toString('hex').replace(/(cc)+$/, '')}`,
  ]
  for (const [name, [at, bytes]] of FIELDS) {
    const text = getHex(test, at, bytes)
    if (text !== getHex(blank, at, bytes)) words.push(`${name}=${text}`)
  }
  let at = MEMORY
  for (const window of WINDOWS) {
    for (let i = 0; i < window.bytes; i += 8) {
      const bytes = Buffer.from(record.subarray(at + i, at + i + 8))
      if (bytes.some((byte) => byte !== 0)) {
        words.push(`m${(window.at + i).toString(16)}=${bytes.toString('hex')}`)
      }
    }
    at += window.bytes
  }
  return words.join(' ')
}

/** Reads a case from text. Throws a RangeError about what it does not understand. */
export function caseFromText(text: string): Uint8Array {
  const words = text
    .trim()
    .split(/\s+/)
    .map((word) => word.split('=') as [string, string])
  const modeName = words.find(([name]) => name === 'mode')?.[1] ?? '64'
  const mode = MODES.findIndex(({ name }) => name === modeName)
  if (mode < 0) throw new RangeError(`no mode is named ${modeName}`)
  const record = blankCase(mode)
  const test = new Records(record)
  for (const [name, value] of words) {
    const field = FIELDS.get(name)
    if (field) putHex(test, field[0], field[1], value)
    else if (name === 'code') record.set(Buffer.from(value, 'hex'), INSTRUCTION)
    else if (name === 'at') {
      const at = Number.parseInt(value, 16)
      test.setNumber(0, CODE_AT, at)
      test.setWord(0, START, at - (MODES[mode] as Mode).codeBase)
    } else if (/^m[0-9a-f]+$/.test(name))
      putMemory(record, Number.parseInt(name.slice(1), 16), value)
    else if (name !== 'mode') throw new RangeError(`a case has no ${name}`)
  }
  return record
}

function putMemory(record: Uint8Array, linear: number, value: string): void {
  let at = MEMORY
  for (const window of WINDOWS) {
    const offset = linear - window.at
    if (offset >= 0 && offset < window.bytes)
      return record.set(Buffer.from(value, 'hex'), at + offset)
    at += window.bytes
  }
  throw new RangeError(`m${linear.toString(16)} lies in no window`)
}
