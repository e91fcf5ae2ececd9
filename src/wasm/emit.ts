// Encoding: one walk forwards over the planned sequence, into the bytes of a function body
// (WebAssembly specification 5.4 and 5.5.13). Values that are kept get locals, which are given to
// others of their type when their last use is over.

import { Bug } from '../base/errors.ts'
import type { ByteWriter } from './bytes.ts'
import { encodeConstant, encodeImmediate } from './encode.ts'
import type { Graph } from './graph.ts'
import { CONTROL, type Instruction, type Type, typeCode } from './opcodes.ts'
import {
  BLOCK,
  CONST,
  EFFECT,
  ELSE,
  END,
  IF,
  LOAD,
  LOOP,
  type Local,
  PLACE,
  PURE,
  READ,
  RESULT,
  SET,
  UNLIKELY,
  type Value,
  YIELD,
} from './value.ts'

const EMPTY = 0x40
const GET = 0x20
const SET_LOCAL = 0x21
const TEE = 0x22
const DROP = 0x1a

/** What the encoder says of a function beside its code. */
export interface Encoded {
  /** The types of its locals, in order. */
  readonly localTypes: readonly Type[]
  /** For each hinted branch: its offset from the start of the code, and 1 if it is likely. */
  readonly hints: readonly (readonly [offset: number, value: number])[]
}

const NO_HINTS: readonly (readonly [number, number])[] = []

/** Encodes functions, one after the other, into one buffer. */
export class Emitter {
  readonly #out: ByteWriter
  /** Locals that are free, by type code. */
  readonly #free: number[][] = []
  #localTypes: Type[] = []
  #localCount = 0
  #hints: (readonly [number, number])[] = []
  #start = 0
  /** The place in the sequence that is being encoded. */
  #position = 0
  #sequence: readonly Value[] = []
  /** Where the last instruction ends, if it was local.set; and what it set. */
  #setEnd = -1
  #setLength = 0
  #setLocal = -1

  constructor(out: ByteWriter) {
    this.#out = out
  }

  /** Appends the code of the function, without the declarations of its locals. */
  emit(graph: Graph): Encoded {
    for (const free of this.#free) if (free) free.length = 0
    this.#localTypes = graph.localTypes
    this.#localCount = graph.func.params.length + graph.localTypes.length
    this.#hints = []
    this.#start = this.#out.length
    this.#setEnd = -1
    this.#sequence = graph.sequence
    for (let i = 0; i < this.#sequence.length; i++) {
      this.#position = i
      this.#statement(this.#sequence[i] as Value)
    }
    this.#out.byte(0x0b)
    return {
      localTypes: this.#localTypes,
      hints: this.#hints.length > 0 ? this.#hints : NO_HINTS,
    }
  }

  #statement(node: Value): void {
    switch (node.kind) {
      case READ:
        if (node.uses === 0 || node.site !== node) return
        this.#local(GET, (node.local as Local).index)
        this.#keep(node)
        return
      case PURE:
      case LOAD:
        if (node.site !== node) return
        this.#instruction(node)
        this.#keep(node)
        return
      case EFFECT:
        this.#instruction(node)
        if (node.results) this.#keepAll(node.results)
        else if (node.hasResult) this.#keep(node)
        return
      case SET:
        this.#operand(node.a as Value)
        this.#local(SET_LOCAL, (node.local as Local).index)
        return
      case YIELD:
        this.#operand(node.a as Value)
        return
      case PLACE:
        for (const added of node.rest as Value[]) this.#statement(added)
        return
      case END:
        this.#out.byte(0x0b)
        if (node.rest) for (const value of node.rest) this.#release(value)
        if (node.hasResult) this.#keep(node)
        return
    }
    this.#open(node)
  }

  #open(node: Value): void {
    switch (node.kind) {
      case BLOCK:
        this.#out.byte(0x02)
        break
      case LOOP:
        this.#out.byte(0x03)
        break
      case ELSE:
        this.#out.byte(0x05)
        return
      case IF:
        this.#operand(node.a as Value)
        this.#hint(node)
        this.#out.byte(0x04)
        break
    }
    this.#out.byte(node.hasResult ? typeCode(node.type) : EMPTY)
  }

  #instruction(node: Value): void {
    if (node.a) this.#operand(node.a)
    if (node.b) this.#operand(node.b)
    if (node.c) this.#operand(node.c)
    if (node.rest) for (const value of node.rest) this.#operand(value)
    const what = node.instruction as Instruction
    if (what === CONTROL.brIf) this.#hint(node)
    const out = this.#out
    if (what.code < 0x100) out.byte(what.code)
    else {
      out.byte(what.code >>> 16)
      out.unsigned(what.code & 0xffff)
    }
    if (what.immediate !== 'none') encodeImmediate(out, node, what)
  }

  /** Puts the value on the stack. */
  #operand(value: Value): void {
    switch (value.kind) {
      case CONST:
        encodeConstant(this.#out, value)
        return
      case PURE:
      case LOAD:
        if (value.site === value || value.home >= 0) break
        this.#instruction(value)
        if (value.uses > 1) {
          value.uses--
          value.home = this.#freeLocal(value.type)
          this.#local(TEE, value.home)
        }
        return
      case READ:
        if (value.site === value) break
        this.#local(GET, value.home)
        return
      case RESULT:
      case EFFECT:
      case END:
        break
      default:
        throw new Bug(`a node of kind ${value.kind} is no value`)
    }
    this.#kept(value)
  }

  /** Reads a value that was kept; frees its local after the last use. */
  #kept(value: Value): void {
    if (value.home < 0) throw new Bug(`a value of ${value.instruction?.name} was never computed`)
    const isLast = --value.uses === 0
    const isLoopBound = value.lastUse > this.#position
    if (
      isLast &&
      !isLoopBound &&
      this.#setEnd === this.#out.length &&
      this.#setLocal === value.home
    ) {
      // The one use follows at once: the value stays on the stack.
      this.#out.length -= this.#setLength
      this.#setEnd = -1
      this.#release(value)
      return
    }
    this.#local(GET, value.home)
    if (!isLast) return
    if (isLoopBound) ((this.#sequence[value.lastUse] as Value).rest ??= []).push(value)
    else this.#release(value)
  }

  #local(opcode: number, index: number): void {
    const out = this.#out
    if (opcode === GET && this.#setEnd === out.length && this.#setLocal === index) {
      out.bytes[out.length - this.#setLength] = TEE
      this.#setEnd = -1
      return
    }
    const start = out.length
    out.byte(opcode)
    out.unsigned(index)
    if (opcode !== SET_LOCAL) return
    this.#setEnd = out.length
    this.#setLength = out.length - start
    this.#setLocal = index
  }

  /** Keeps what is on the stack in a local, or drops it if it is not used. */
  #keep(value: Value): void {
    if (value.uses === 0) {
      this.#out.byte(DROP)
      return
    }
    value.site = value
    value.home = this.#freeLocal(value.type)
    this.#local(SET_LOCAL, value.home)
  }

  #keepAll(values: readonly Value[]): void {
    for (let i = values.length - 1; i >= 0; i--) this.#keep(values[i] as Value)
  }

  #freeLocal(type: Type): number {
    const free = this.#freeOf(type).pop()
    if (free !== undefined) return free
    this.#localTypes.push(type)
    return this.#localCount++
  }

  #release(value: Value): void {
    this.#freeOf(value.type).push(value.home)
  }

  #freeOf(type: Type): number[] {
    return (this.#free[typeCode(type) - 0x7b] ??= [])
  }

  #hint(node: Value): void {
    if (node.immediate2 === 0) return
    this.#hints.push([this.#out.length - this.#start, node.immediate2 === UNLIKELY ? 0 : 1])
  }
}
