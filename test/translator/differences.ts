// What a guest could see differ between two machines: registers, flags, memory.

import * as S from '../../src/x86/state.ts'
import type { BareMachine } from '../../src/x86/testing/bare-machine.ts'

/** Parts of the state block that guests see, as words of 64 bits. */
const PARTS: readonly (readonly [name: string, from: number, bytes: number])[] = [
  ...'RAX RCX RDX RBX RSP RBP RSI RDI R8 R9 R10 R11 R12 R13 R14 R15'
    .split(' ')
    .map((name, i) => [name, S.GPR + i * 8, 8] as const),
  ['RIP', S.RIP, 8],
  ['control registers', S.CR0, S.EFER + 8 - S.CR0],
  ['debug registers', S.DR, 64],
  ['CPL', S.CPL, 4],
  ['segment bases', S.SEG_BASE, 64],
  ['segments', S.SEGMENT, 8 * S.SEGMENT_SIZE],
  ...Array.from({ length: 16 }, (_, i) => [`XMM${i}`, S.VECTORS + i * S.VECTOR_SIZE, 16] as const),
  ...Array.from(
    { length: 8 },
    (_, i) => [`x87 register ${i}`, S.X87 + i * S.X87_SIZE, 10] as const,
  ),
  ['x87 control', S.FCW, 4],
  ['x87 status', S.FSW, 4],
  ['x87 tags', S.FTW, 4],
  ['x87 pointers', S.FOP, S.MXCSR - S.FOP],
  ['MXCSR', S.MXCSR, 4],
]

/** What differs between two machines, in words; `bytes`: of memory from address 0 on. */
export function differencesOf(a: BareMachine, b: BareMachine, bytes: number): string[] {
  const found: string[] = []
  const hex = (machine: BareMachine, at: number, bytes: number) =>
    Buffer.from(machine.memory.u8.slice(at, at + bytes))
      .reverse()
      .toString('hex')
  const one = a.memory.u8
  const other = b.memory.u8
  for (const [name, from, bytes] of PARTS) {
    const start = a.cpu.state + from
    const there = b.cpu.state + from
    if (isSame(one, start, other, there, bytes)) continue
    found.push(`${name}: interpreted ${hex(a, start, bytes)}, translated ${hex(b, there, bytes)}`)
  }
  if (a.cpu.rflags !== b.cpu.rflags) {
    found.push(
      `flags: interpreted ${a.cpu.rflags.toString(16)}, translated ${b.cpu.rflags.toString(16)}`,
    )
  }
  const memory = (m: BareMachine) => m.memory.u8.subarray(m.ram, m.ram + bytes)
  if (Buffer.compare(memory(a), memory(b)) !== 0) {
    const there = memory(b)
    const at = memory(a).findIndex((byte, i) => byte !== there[i]) & -8
    found.push(
      `memory at 0x${at.toString(16)}: interpreted ${hex(a, a.ram + at, 8)}, translated ${hex(b, b.ram + at, 8)}`,
    )
  }
  return found
}

function isSame(
  one: Uint8Array,
  from: number,
  other: Uint8Array,
  at: number,
  bytes: number,
): boolean {
  for (let i = 0; i < bytes; i++) if (one[from + i] !== other[at + i]) return false
  return true
}
