// Memory: loads, stores, lanes, atomics (WebAssembly specification 2.4.7; the threads proposal).
// Addresses are of the builder's address type; offsets are unsigned, in bytes.

import { Bug } from '../base/errors.ts'
import { Arithmetic } from './arithmetic.ts'
import {
  type AtomicOp,
  type AtomicStoreOp,
  CONTROL,
  type Instruction,
  instruction,
  type LaneLoadOp,
  type LaneStoreOp,
  type LoadOp,
  type StoreOp,
  type Type,
} from './opcodes.ts'
import { heightAbove } from './pure.ts'
import { EFFECT, LOAD, type Value } from './value.ts'

/** Access to memory. */
export class MemoryAccess extends Arithmetic {
  /** Loads at this point; vanishes if nobody uses the value. `offset` is in bytes, unsigned. */
  load(name: LoadOp, address: Value, offset = 0): Value {
    return this.#access(LOAD, instruction('load', name), offset, address)
  }

  /** Loads at this point, even if nobody uses the value: for the trap. */
  loadTrapping(name: LoadOp, address: Value, offset = 0): Value {
    return this.#access(EFFECT, instruction('load', name), offset, address)
  }

  store(name: StoreOp, address: Value, value: Value, offset = 0): void {
    this.hasEffects = true
    this.#access(EFFECT, instruction('store', name), offset, address, value)
  }

  /** Loads one lane; the others are those of `vector`. */
  loadLane(name: LaneLoadOp, lane: number, address: Value, vector: Value, offset = 0): Value {
    const node = this.#access(LOAD, instruction('laneLoad', name), offset, address, vector)
    return this.#setLane(node, lane)
  }

  storeLane(name: LaneStoreOp, lane: number, address: Value, vector: Value, offset = 0): void {
    this.hasEffects = true
    this.#setLane(
      this.#access(EFFECT, instruction('laneStore', name), offset, address, vector),
      lane,
    )
  }

  /** An atomic load, read-modify-write, wait or notify; the first argument is the address. */
  atomic(name: AtomicOp, offset: number, ...args: [address: Value, ...rest: Value[]]): Value {
    const what = instruction('atomic', name)
    if (args.length !== what.operands.length) {
      throw new Bug(`${name} takes ${what.operands.length} values, not ${args.length}`)
    }
    this.hasEffects = true
    return this.#access(EFFECT, what, offset, ...args)
  }

  atomicStore(name: AtomicStoreOp, address: Value, value: Value, offset = 0): void {
    this.hasEffects = true
    this.#access(EFFECT, instruction('atomicStore', name), offset, address, value)
  }

  fence(): void {
    this.statement(EFFECT, CONTROL.fence)
  }

  /** The size of the memory in pages of 64 KiB. */
  memorySize(): Value {
    return this.node(EFFECT, this.addressType, CONTROL.memorySize)
  }

  /** Grows the memory by `pages`; gives its old size in pages, or -1. */
  memoryGrow(pages: Value): Value {
    this.check(pages, this.addressType, 'memory.grow')
    return this.node(EFFECT, this.addressType, CONTROL.memoryGrow, pages)
  }

  memoryCopy(to: Value, from: Value, bytes: Value): void {
    this.check(to, this.addressType, 'memory.copy')
    this.check(from, this.addressType, 'memory.copy')
    this.check(bytes, this.addressType, 'memory.copy')
    this.hasEffects = true
    this.statement(EFFECT, CONTROL.memoryCopy, to, from).c = bytes
  }

  /** Fills with the low byte of `value`, an i32. */
  memoryFill(to: Value, value: Value, bytes: Value): void {
    this.check(to, this.addressType, 'memory.fill')
    this.check(value, 'i32', 'memory.fill')
    this.check(bytes, this.addressType, 'memory.fill')
    this.hasEffects = true
    this.statement(EFFECT, CONTROL.memoryFill, to, value).c = bytes
  }

  #access(kind: number, what: Instruction, offset: number, a: Value, b?: Value, c?: Value): Value {
    if (!(offset >= 0 && offset <= Number.MAX_SAFE_INTEGER)) {
      throw new Bug(`${what.name} at offset ${offset}`)
    }
    this.check(a, this.addressType, what.name)
    if (b) this.check(b, what.operands[1] as Type, what.name)
    if (c) this.check(c, what.operands[2] as Type, what.name)
    const node = this.node(kind, what.result ?? 'i32', what, a, b)
    node.c = c
    node.hasResult = what.result !== undefined
    node.immediate = offset
    node.height = heightAbove(a)
    return node
  }

  #setLane(node: Value, lane: number): Value {
    const what = node.instruction as Instruction
    if (!(lane >= 0 && lane < 16 / what.size)) throw new Bug(`${what.name} has no lane ${lane}`)
    node.immediate2 = lane
    return node
  }
}
