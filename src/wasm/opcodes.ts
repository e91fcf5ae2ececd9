// Every WebAssembly instruction we may emit: name, encoding, types, immediate.
// Names and encodings follow the WebAssembly specification 2.0 (section 5.4, appendix "Index of
// Instructions") and the proposals for threads and tail calls. Left out: references, tables,
// globals, exceptions, relaxed SIMD.

import { Bug } from '../base/errors.ts'
import { ATOMIC, ATOMIC_STORE, LANE_LOAD, LANE_STORE, LOAD, STORE } from './opcodes-memory.ts'
import { SCALAR_PURE } from './opcodes-scalar.ts'
import { LANE, VECTOR_PURE } from './opcodes-vector.ts'

export type Type = 'i32' | 'i64' | 'f32' | 'f64' | 'v128'

type Letter = 'i' | 'l' | 'f' | 'd' | 'v' | 'p'

/** Operands, a colon, the result; one letter a type: i32, l = i64, f32, d = f64, v128, p = address. */
export type Signature =
  | `${Letter}:${Letter | ''}`
  | `${Letter}${Letter}:${Letter | ''}`
  | `${Letter}${Letter}${Letter}:${Letter | ''}`

/** Opcode and types. An opcode with a prefix is prefix << 16 | number. */
export type Row = readonly [code: number, signature: Signature]

/** A row with the bytes that are accessed in memory, or with the number of lanes. */
export type SizedRow = readonly [code: number, signature: Signature, size: number]

/** Instructions without immediates or effects, with one result. */
export type PureOp = keyof typeof SCALAR_PURE | keyof typeof VECTOR_PURE
export type LaneOp = keyof typeof LANE
export type LoadOp = keyof typeof LOAD
export type StoreOp = keyof typeof STORE
export type LaneLoadOp = keyof typeof LANE_LOAD
export type LaneStoreOp = keyof typeof LANE_STORE
/** Atomic instructions with a result. */
export type AtomicOp = keyof typeof ATOMIC
export type AtomicStoreOp = keyof typeof ATOMIC_STORE

export type Group =
  | 'pure'
  | 'lane'
  | 'load'
  | 'store'
  | 'laneLoad'
  | 'laneStore'
  | 'atomic'
  | 'atomicStore'
  | 'control'

/** What follows the opcode; see encode.ts. */
export type Immediate =
  | 'none'
  | 'lane'
  | 'shuffle'
  | 'access'
  | 'accessLane'
  | 'zero'
  | 'zeroZero'
  | 'index'
  | 'typeAndTable'
  | 'labels'

export interface Instruction {
  readonly name: string
  readonly group: Group
  /** The opcode, or prefix << 16 | number. */
  readonly code: number
  /** Undefined stands for the address type of the memory. */
  readonly operands: readonly (Type | undefined)[]
  readonly result: Type | undefined
  readonly immediate: Immediate
  /** Bytes accessed in memory, or number of lanes, else 0. */
  readonly size: number
  /** A load may not be moved over it. */
  readonly changesMemory: boolean
}

/** The encoding of a type: 0x7f for i32 down to 0x7b for v128. */
export function typeCode(type: Type): number {
  switch (type) {
    case 'i32':
      return 0x7f
    case 'i64':
      return 0x7e
    case 'f32':
      return 0x7d
    case 'f64':
      return 0x7c
    case 'v128':
      return 0x7b
  }
}

const LETTERS: Readonly<Record<string, Type>> = {
  i: 'i32',
  l: 'i64',
  f: 'f32',
  d: 'f64',
  v: 'v128',
}

const table = new Map<string, Instruction>()

function add(
  group: Group,
  immediate: Immediate,
  rows: Readonly<Record<string, Row | SizedRow>>,
): void {
  for (const [name, [code, signature, size = 0]] of Object.entries(rows)) {
    const [operands = '', result = ''] = signature.split(':')
    table.set(name, {
      name,
      group,
      code,
      operands: Array.from(operands, (letter) => LETTERS[letter]),
      result: LETTERS[result],
      immediate,
      size,
      changesMemory: group.endsWith('tore') || group.startsWith('atomic'),
    })
  }
}

add('pure', 'none', SCALAR_PURE)
add('pure', 'none', VECTOR_PURE)
add('lane', 'lane', LANE)
add('load', 'access', LOAD)
add('store', 'access', STORE)
add('laneLoad', 'accessLane', LANE_LOAD)
add('laneStore', 'accessLane', LANE_STORE)
add('atomic', 'access', ATOMIC)
add('atomicStore', 'access', ATOMIC_STORE)

/** The instruction of that name, which must be of that group. */
export function instruction(group: Group, name: string): Instruction {
  const found = table.get(name)
  if (found?.group !== group) throw new Bug(`WebAssembly has no ${group} instruction ${name}`)
  return found
}

/** All instructions of the tables, for tests and tools. */
export function instructions(): Iterable<Instruction> {
  return table.values()
}

function control(
  name: string,
  code: number,
  immediate: Immediate,
  changesMemory = false,
): Instruction {
  const types = { operands: [], result: undefined }
  return { name, group: 'control', code, ...types, immediate, size: 0, changesMemory }
}

/** Instructions whose types depend on where they stand: the builder checks them itself. */
export const CONTROL = {
  unreachable: control('unreachable', 0x00, 'none'),
  br: control('br', 0x0c, 'index'),
  brIf: control('br_if', 0x0d, 'index'),
  brTable: control('br_table', 0x0e, 'labels'),
  return: control('return', 0x0f, 'none'),
  call: control('call', 0x10, 'index', true),
  callIndirect: control('call_indirect', 0x11, 'typeAndTable', true),
  returnCall: control('return_call', 0x12, 'index'),
  returnCallIndirect: control('return_call_indirect', 0x13, 'typeAndTable'),
  select: control('select', 0x1b, 'none'),
  memorySize: control('memory.size', 0x3f, 'zero'),
  memoryGrow: control('memory.grow', 0x40, 'zero', true),
  memoryCopy: control('memory.copy', 0xfc_000a, 'zeroZero', true),
  memoryFill: control('memory.fill', 0xfc_000b, 'zero', true),
  shuffle: control('i8x16.shuffle', 0xfd_000d, 'shuffle'),
  fence: control('atomic.fence', 0xfe_0003, 'zero', true),
} as const
