// From bytes of guest code to a block of records. A block goes on until an instruction that ends
// it, the end of its page, or its size limit; then a record that is no instruction continues
// with the next block. An instruction that crosses into the next page is a block of its own,
// because it holds good only as long as both pages lie where they do.

import { Decoded, Status } from '../decode/decoded.ts'
import type { Decoder } from '../decode/decoder.ts'
import type { Row } from '../decode/row.ts'
import {
  FORM_BASE,
  FORM_FLAT,
  FORM_INDEX,
  FORM_REGISTER,
  FORM_SEGMENT_BASE,
  FORM_SEGMENTED,
  FORM_SHORT,
  type Shape,
} from '../emit/operand.ts'
import type { HostMemory } from '../memory/host-memory.ts'
import { codeSizeOf, isFlatMode, stackSizeOf } from '../mode.ts'
import * as S from '../state.ts'
import type { Handlers } from './handlers.ts'
import { GOTO, INVALID, TOO_LONG } from './pseudo-rows.ts'
import { type RecordKind, type RegisterField, recordKind } from './record-kind.ts'
import * as R from './record.ts'

const PAGE = 4096
export const MAX_BLOCK_INSTRUCTIONS = 64
/** The longest block in records. */
export const MAX_BLOCK_RECORDS = MAX_BLOCK_INSTRUCTIONS + 1

const BASE_RIP = 16

/** A block that was built. */
export interface Built {
  /** Its first record. */
  rec: number
  /** Bytes of guest code it covers. */
  bytes: number
  /** It is one instruction that goes on in the next page. */
  isCrossing: boolean
  /** Records it takes. */
  records: number
}

export class BlockBuilder {
  readonly #memory: HostMemory
  readonly #handlers: Handlers
  readonly #decoder: Decoder
  readonly #decoded = new Decoded()
  readonly #scratch = new Uint8Array(32)
  readonly #built: Built = { rec: 0, bytes: 0, isCrossing: false, records: 0 }

  constructor(memory: HostMemory, handlers: Handlers, decoder: Decoder) {
    this.#memory = memory
    this.#handlers = handlers
    this.#decoder = decoder
  }

  /**
   * Decodes the block at a host address into records at `rec`. `nextPage` gives the host address
   * of the following linear page when an instruction goes on there, or -1 after a fault; then
   * the result is undefined.
   */
  build(
    rec: number,
    host: number,
    mode: number,
    features: ReadonlySet<string>,
    nextPage: () => number,
  ): Built | undefined {
    const codeSize = codeSizeOf(mode)
    const d = this.#decoded
    const built = this.#built
    const start = host & (PAGE - 1)
    let offset = start
    let at = rec
    let count = 0
    let hasEnded = false
    let covered = 0
    built.rec = rec
    built.isCrossing = false
    while (!hasEnded && count < MAX_BLOCK_INSTRUCTIONS && offset < PAGE) {
      const address = host - start + offset
      let status = this.#decoder.decode(
        this.#memory.u8,
        address,
        PAGE - offset,
        codeSize,
        features,
        d,
      )
      if (status === Status.truncated) {
        if (count > 0) break
        const next = nextPage()
        if (next < 0) return undefined
        const here = PAGE - offset
        this.#scratch.set(this.#memory.u8.subarray(address, address + here), 0)
        this.#scratch.set(this.#memory.u8.subarray(next, next + 15), here)
        status = this.#decoder.decode(this.#scratch, 0, here + 15, codeSize, features, d)
        built.isCrossing = true
      }
      if (status !== Status.ok) {
        this.#putPseudo(at, status === Status.tooLong ? TOO_LONG : INVALID, offset + 1, 1, mode)
        hasEnded = true
        // Any of the bytes after it may make an instruction of it.
        covered = built.isCrossing ? offset + 15 : Math.min(PAGE, offset + 15)
        offset++
      } else {
        offset += d.length
        const kind = recordKind(d.row)
        this.#put(at, offset, mode, kind)
        hasEnded = kind.isEnd
      }
      at += R.RECORD_SIZE
      count++
    }
    for (let i = 0; i < count; i++) {
      this.#memory.u8[rec + i * R.RECORD_SIZE + R.REC_LEFT] = count - i
    }
    if (!hasEnded) {
      this.#putPseudo(at, GOTO, offset, 0, mode)
      this.#memory.view.setBigInt64(at + R.REC_IMMEDIATE, BigInt(offset), true)
      at += R.RECORD_SIZE
    }
    built.bytes = Math.max(offset, covered) - start
    built.records = (at - rec) / R.RECORD_SIZE
    this.#handlers.flush()
    return built
  }

  #putPseudo(at: number, row: Row, end: number, length: number, mode: number): void {
    const { u8, u16, u32 } = this.#memory
    const codeSize = codeSizeOf(mode)
    const shape: Shape = {
      operandSize: codeSize,
      addressSize: codeSize,
      codeSize,
      stackSize: stackSizeOf(mode),
      form: FORM_REGISTER,
      rep: 0,
      near: row === GOTO && end < PAGE && (codeSize === 64 || isFlatMode(mode)),
    }
    u8.fill(0, at, at + R.RECORD_SIZE)
    u32[at >>> 2] = this.#handlers.index(row, shape)
    u16[(at + R.REC_END) >>> 1] = end
    u8[at + R.REC_LENGTH] = length
    u8[at + R.REC_LEFT] = 1
  }

  #put(at: number, end: number, mode: number, kind: RecordKind): void {
    const { u8, u16, u32, i32 } = this.#memory
    const d = this.#decoded
    const { row } = d
    const codeSize = codeSizeOf(mode)
    const isFlat = codeSize === 64 || isFlatMode(mode)
    const { isBranch, isOffset } = kind
    const target = end + d.immLo
    const near = isBranch && isFlat && target >= 0 && target < PAGE && d.operandSize !== 16
    const shape: Shape = {
      operandSize: d.operandSize,
      addressSize: d.addressSize,
      codeSize,
      stackSize: stackSizeOf(mode),
      form: this.#form(isFlat, codeSize, kind),
      rep: kind.isRepeatable ? d.rep : 0,
      near,
    }
    u32[at >>> 2] = this.#handlers.index(row, shape)
    u16[(at + R.REC_END) >>> 1] = end
    u8[at + R.REC_LENGTH] = d.length
    u8[at + R.REC_REG] = this.#slot(d.reg, kind.reg)
    u8[at + R.REC_RM] = this.#slot(d.rm, kind.rm)
    u8[at + R.REC_BASE] =
      d.base === BASE_RIP ? S.RIP_BASE : d.base < 0 ? S.ZERO : S.GPR + d.base * 8
    u8[at + R.REC_INDEX] = d.index < 0 ? S.ZERO : S.GPR + d.index * 8
    u8[at + R.REC_SCALE] = d.scale
    // In 64-bit mode only FS and GS have a base.
    const hasBase = codeSize !== 64 || d.segment >= S.FS
    u8[at + R.REC_SEGMENT_BASE] = hasBase ? S.SEG_BASE + d.segment * 8 : S.ZERO
    u8[at + R.REC_SEGMENT] = d.segment
    u8[at + R.REC_MODRM] = (d.mod << 6) | ((d.reg & 7) << 3) | (d.rm & 7)
    i32[(at + R.REC_IMMEDIATE) >>> 2] = isBranch ? target : isOffset ? d.dispLo : d.immLo
    i32[(at + R.REC_IMMEDIATE + 4) >>> 2] = isBranch
      ? Math.floor(target / 4294967296)
      : isOffset
        ? d.dispHi
        : d.immHi
    i32[(at + R.REC_DISPLACEMENT) >>> 2] = d.base === BASE_RIP ? d.dispLo + end : d.dispLo
    i32[(at + R.REC_LINK) >>> 2] = isBranch ? 0 : d.imm2
    if (row.vex) u8[at + R.REC_VVVV] = kind.isVvvvGeneral ? d.vvvv * 8 : d.vvvv
  }

  #form(isFlat: boolean, codeSize: number, { isImplicit }: RecordKind): number {
    const d = this.#decoded
    if (!d.isMemory && !isImplicit) return FORM_REGISTER
    // Flat segments tell nothing about CS, which cannot be written.
    const isInFlat = isFlat && d.segment < S.FS && d.segment !== S.CS
    if (codeSize !== 64) return isInFlat ? FORM_FLAT : FORM_SEGMENTED
    if (d.addressSize === 32) return FORM_SHORT
    if (d.segment >= S.FS) return FORM_SEGMENT_BASE
    return d.index >= 0 ? FORM_INDEX : FORM_BASE
  }

  /** A register number as records have it: a byte offset for general registers. */
  #slot(number: number, field: RegisterField): number {
    if (field === 'number') return number
    // Without REX, byte registers 4 to 7 are AH, CH, DH, BH.
    const isHighByte = field === 'byte' && this.#decoded.rex === 0 && number >= 4 && number < 8
    return isHighByte ? (number - 4) * 8 + 1 : number * 8
  }
}
