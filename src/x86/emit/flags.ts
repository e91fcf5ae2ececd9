// Arithmetic flags, kept lazily. An instruction stores its result and a word of carries (see
// FLAG_RESULT and FLAG_AUX in state.ts); whoever needs a flag derives it from these two, without
// knowing which instruction came before. (SDM vol. 1, 3.4.3.1; the carries of a sum are the bits
// in which two of its three terms agree.)

import type { Value } from '../../wasm/value.ts'
import { FLAG_AUX, FLAG_RESULT, RFLAGS } from '../state.ts'
import type { Emitter } from './emitter.ts'

/** Values of single flags, each an i32 that is 0 or 1. */
export interface FlagBits {
  readonly cf: Value
  readonly pf: Value
  readonly af: Value
  readonly zf: Value
  readonly sf: Value
  readonly of: Value
}

const CF_AND_CARRY = 0xc0000000 | 0
const CARRIES = 0xc0000008 | 0

export class Flags {
  protected readonly e: Emitter

  constructor(e: Emitter) {
    this.e = e
  }

  /** i64: FLAG_RESULT. */
  protected get result(): Value {
    return this.e.stateLoad('i64.load', FLAG_RESULT)
  }

  /** i32: FLAG_AUX. */
  protected get aux(): Value {
    return this.e.stateLoad('i32.load', FLAG_AUX)
  }

  protected store(result: Value, aux: Value): void {
    this.e.stateStore('i64.store', FLAG_RESULT, result)
    this.storeAux(aux)
  }

  protected storeAux(aux: Value): void {
    this.e.stateStore('i32.store', FLAG_AUX, aux)
  }

  /** The carry vector of an operation of `bits` bits, moved to where FLAG_AUX has it. */
  #placed(bits: number, carries: Value): Value {
    const { f } = this.e
    if (bits === 32) return f.and(carries, f.i32(CARRIES))
    const af = f.and(bits === 64 ? f.wrap(carries) : carries, f.i32(8))
    const top = bits === 64 ? f.wrap(f.shrU(carries, f.i64(32))) : f.shl(carries, f.i32(32 - bits))
    return f.or(f.and(top, f.i32(CF_AND_CARRY)), af)
  }

  /** The carries of r = a + b (+ carry in). */
  #carriesOfAdd(a: Value, b: Value, r: Value): Value {
    const { f } = this.e
    return f.or(f.and(a, b), f.and(f.or(a, b), f.not(r)))
  }

  /** The borrows of r = a - b (- borrow in). */
  #borrowsOfSub(a: Value, b: Value, r: Value): Value {
    const { f } = this.e
    const na = f.not(a)
    return f.or(f.and(na, b), f.and(f.or(na, b), r))
  }

  /** FLAG_AUX after r = a + b (+ carry in). */
  protected auxOfAdd(bits: number, a: Value, b: Value, r: Value): Value {
    return this.#placed(bits, this.#carriesOfAdd(a, b, r))
  }

  /** FLAG_AUX after r = a - b (- borrow in). */
  protected auxOfSub(bits: number, a: Value, b: Value, r: Value): Value {
    return this.#placed(bits, this.#borrowsOfSub(a, b, r))
  }

  /**
   * All six flags of r = a + b, or of a + b + carry if `hasCarryIn`. Operands as read, r may
   * overflow.
   */
  add(bits: number, a: Value, b: Value, r: Value, _hasCarryIn = false): void {
    this.store(this.e.signExtend(r, bits), this.auxOfAdd(bits, a, b, r))
  }

  /** All six flags of r = a - b, or of a - b - borrow if `hasBorrowIn`. */
  sub(bits: number, a: Value, b: Value, r: Value, _hasBorrowIn = false): void {
    this.store(this.e.signExtend(r, bits), this.auxOfSub(bits, a, b, r))
  }

  /** Flags of AND, OR, XOR, TEST: CF, OF and AF cleared. */
  logic(bits: number, r: Value): void {
    this.store(this.e.signExtend(r, bits), this.e.f.i32(0))
  }

  /** As add, but CF stays (INC). */
  increment(bits: number, a: Value, r: Value): void {
    const one = this.e.constant(bits, 1)
    const fresh = this.auxOfAdd(bits, a, one, r)
    this.store(this.e.signExtend(r, bits), this.keepingCarry(fresh, this.aux))
  }

  /** As sub, but CF stays (DEC). */
  decrement(bits: number, a: Value, r: Value): void {
    const one = this.e.constant(bits, 1)
    const fresh = this.auxOfSub(bits, a, one, r)
    this.store(this.e.signExtend(r, bits), this.keepingCarry(fresh, this.aux))
  }

  /** FLAG_AUX with the carry of bit 31 of `before` and all else by `fresh`. */
  protected keepingCarry(fresh: Value, before: Value): Value {
    const { f } = this.e
    const old = f.and(before, f.i32(0x80000000 | 0))
    // OF is the difference of bits 31 and 30: with CF replaced, bit 30 has to follow.
    const differ = f.and(f.xor(fresh, f.shl(fresh, f.i32(1))), f.i32(0x80000000 | 0))
    const carryIn = f.shrU(f.xor(old, differ), f.i32(1))
    return f.or(f.or(old, carryIn), f.and(fresh, f.i32(8)))
  }

  /** SF, ZF, PF by the result; CF and OF as given (0 or 1); AF cleared. (Shifts, multiplications.) */
  resultWith(bits: number, r: Value, cf: Value, of: Value): void {
    this.store(this.e.signExtend(r, bits), this.#carry(cf, of))
  }

  #carry(cf: Value, of: Value): Value {
    const { f } = this.e
    return f.or(f.shl(cf, f.i32(31)), f.shl(f.xor(cf, of), f.i32(30)))
  }

  /** Replaces CF and OF and keeps the others (rotations). */
  setCarryOverflow(cf: Value, of: Value): void {
    const { f } = this.e
    const rest = f.and(this.aux, f.i32(~CF_AND_CARRY))
    this.storeAux(f.or(rest, this.#carry(cf, of)))
  }

  /** Replaces CF and keeps the others (BT, CLC, STC, CMC). */
  setCarry(cf: Value): void {
    this.setCarryOverflow(cf, this.overflow())
  }

  /** Sets all six flags to given values. */
  assign({ cf, pf, af, zf, sf, of }: FlagBits): void {
    const { f } = this.e
    // Result 0 gives ZF = PF = 1, result 1 gives ZF = PF = 0, both SF = 0; the rest is corrected.
    const corrections = f.or(
      f.shl(sf, f.i32(16)),
      f.or(f.shl(f.xor(pf, zf), f.i32(8)), f.shl(af, f.i32(3))),
    )
    this.store(f.extendU(f.xor(zf, f.i32(1))), f.or(this.#carry(cf, of), corrections))
  }

  /** Replaces ZF and keeps the others. */
  setZero(zf: Value): void {
    this.assign({ ...this.bits(), zf })
  }

  bits(): FlagBits {
    return {
      cf: this.carry(),
      pf: this.parity(),
      af: this.adjust(),
      zf: this.zero(),
      sf: this.sign(),
      of: this.overflow(),
    }
  }

  carry(): Value {
    return this.e.f.shrU(this.aux, this.e.f.i32(31))
  }

  overflow(): Value {
    const { f } = this.e
    const aux = this.aux
    return f.shrU(f.xor(aux, f.shl(aux, f.i32(1))), f.i32(31))
  }

  zero(): Value {
    return this.e.f.eqz(this.result)
  }

  sign(): Value {
    const { f } = this.e
    const flip = f.and(f.shrU(this.aux, f.i32(16)), f.i32(1))
    return f.xor(f.ltS(this.result, f.i64(0)), flip)
  }

  parity(): Value {
    const { f } = this.e
    const low = f.xor(f.wrap(this.result), f.shrU(this.aux, f.i32(8)))
    return f.and(f.not(f.popcnt(f.and(low, f.i32(0xff)))), f.i32(1))
  }

  adjust(): Value {
    const { f } = this.e
    return f.and(f.shrU(this.aux, f.i32(3)), f.i32(1))
  }

  /** The condition `cc` (low four bits of Jcc, SETcc, CMOVcc) as an i32 of 0 or 1. */
  condition(cc: number): Value {
    const { f } = this.e
    const claim = this.pair(cc >> 1)
    return cc & 1 ? f.eqz(claim) : claim
  }

  /** i32: the condition of an even code, without its lowest bit. */
  protected pair(pair: number): Value {
    const { f } = this.e
    switch (pair) {
      case 0:
        return this.overflow()
      case 1:
        return this.carry()
      case 2:
        return this.zero()
      case 3:
        return f.or(this.carry(), this.zero())
      case 4:
        return this.sign()
      case 5:
        return this.parity()
      case 6:
        return f.xor(this.sign(), this.overflow())
      default:
        return f.or(f.xor(this.sign(), this.overflow()), this.zero())
    }
  }

  /** RFLAGS bits 31:0 as PUSHF and interrupts store them, without regard to RF and VM. */
  image(): Value {
    const { f } = this.e
    const { cf, pf, af, zf, sf, of } = this.bits()
    const at = (bit: Value, position: number) => f.shl(bit, f.i32(position))
    const low = f.or(f.or(cf, at(pf, 2)), f.or(at(af, 4), at(zf, 6)))
    const high = f.or(at(sf, 7), at(of, 11))
    return f.or(f.or(low, high), this.e.stateLoad('i32.load', RFLAGS))
  }

  /** Sets the six arithmetic flags from an RFLAGS image (i32). */
  assignImage(image: Value): void {
    const { f } = this.e
    const bit = (n: number) => f.and(f.shrU(image, f.i32(n)), f.i32(1))
    this.assign({ cf: bit(0), pf: bit(2), af: bit(4), zf: bit(6), sf: bit(7), of: bit(11) })
  }

  /** Sets CF PF AF ZF SF from AH's layout and keeps OF (SAHF). */
  assignLowImage(image: Value): void {
    const { f } = this.e
    const bit = (n: number) => f.and(f.shrU(image, f.i32(n)), f.i32(1))
    const of = this.overflow()
    this.assign({ cf: bit(0), pf: bit(2), af: bit(4), zf: bit(6), sf: bit(7), of })
  }
}
