// The encodings of constants, and of the immediates of instructions (WebAssembly specification 5.4).

import type { ByteWriter } from './bytes.ts'
import type { Instruction } from './opcodes.ts'
import type { Value } from './value.ts'

/** Writes the instruction that gives the constant. */
export function encodeConstant(out: ByteWriter, value: Value): void {
  switch (value.type) {
    case 'i32':
      out.byte(0x41)
      out.signed32(value.constant as number)
      return
    case 'i64':
      out.byte(0x42)
      out.signed64(value.constant as bigint)
      return
    case 'f32':
      out.byte(0x43)
      out.raw32(value.immediate)
      return
    case 'f64':
      out.byte(0x44)
      out.raw32(value.immediate)
      out.raw32(value.immediate2)
      return
    case 'v128':
      out.byte(0xfd)
      out.unsigned(0x0c)
      out.append(value.list as Uint8Array)
      return
  }
}

/** Writes what follows the opcode of the node's instruction. */
export function encodeImmediate(out: ByteWriter, node: Value, what: Instruction): void {
  switch (what.immediate) {
    case 'none':
      return
    case 'index':
      out.unsigned(node.immediate)
      return
    case 'access':
      out.byte(31 - Math.clz32(what.size))
      out.unsigned(node.immediate)
      return
    case 'accessLane':
      out.byte(31 - Math.clz32(what.size))
      out.unsigned(node.immediate)
      out.byte(node.immediate2)
      return
    case 'lane':
      out.byte(node.immediate2)
      return
    case 'zeroZero':
      out.byte(0)
      out.byte(0)
      return
    case 'zero':
      out.byte(0)
      return
    case 'typeAndTable':
      out.unsigned(node.immediate)
      out.byte(0)
      return
    case 'shuffle':
      encodeList(out, node)
      return
    case 'labels':
      out.unsigned((node.list as ArrayLike<number>).length - 1)
      encodeList(out, node)
      return
  }
}

function encodeList(out: ByteWriter, node: Value): void {
  const list = node.list as ArrayLike<number>
  for (let i = 0; i < list.length; i++) out.unsigned(list[i] as number)
}
