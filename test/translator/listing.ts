// A program as text: where it starts from, its events, and its instructions with their addresses.

import { Decoder, Formatter, FormatterSyntax } from 'iced-x86'
import * as L from './layout.ts'
import { layOut, type Program } from './program.ts'

const NAMES = 'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'.split(' ')
const JMP = 0xe9

const hex = (value: number | bigint) => value.toString(16)

function disassemble(bits: 32 | 64, bytes: Uint8Array, address: number): string {
  const decoder = new Decoder(bits, bytes, 0)
  const formatter = new Formatter(FormatterSyntax.Nasm)
  decoder.ip = BigInt(address)
  const lines: string[] = []
  while (decoder.canDecode) lines.push(formatter.format(decoder.decode()))
  return lines.join(' ; ')
}

/** Lines of text. */
export function listing(program: Program): string[] {
  const { addresses, bytes, end } = layOut(program)
  const { bits, isUser, mode, slices, options, events } = program
  const registers = program.registers.map((value, i) => `${NAMES[i]}=${hex(value)}`)
  const lines = [
    `${bits} bits, level ${isUser ? 3 : 0}, ${mode}, slices of ${slices.join(' ')}, ` +
      `options ${options}, flags ${hex(program.flags)}, mxcsr ${hex(program.mxcsr)}, ` +
      `fs ${hex(program.bases[0])}, gs ${hex(program.bases[1])}, dr ${program.breakpoints.map(hex).join(' ')}`,
    registers.slice(0, bits === 64 ? 16 : 8).join(' '),
    ...events.map(({ slice, kind, vector, items }) => {
      const places = (items ?? []).map((item) => hex(addresses[item] as number))
      return `before slice ${slice}: ${kind} ${vector ?? ''} ${[...new Set(places)].join(' ')}`
    }),
  ]
  for (const [i, item] of program.items.entries()) {
    if (item.isRemoved) continue
    const at = addresses[i] as number
    if (item.onPage !== undefined) lines.push(`          (a jump ${hex(JMP)} to the next line)`)
    const code = bytes.subarray(at - L.CODE, at - L.CODE + item.bytes.length)
    const text = item.isData ? 'data' : disassemble(bits, code, at)
    lines.push(`${hex(at)}  ${Buffer.from(code).toString('hex').padEnd(24)}  ${text}`)
  }
  return [...lines, `${hex(end)}  end`]
}
