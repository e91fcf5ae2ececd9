// From bytes to a Decoded: prefixes, opcode, ModRM, SIB, displacement, immediates (Intel SDM
// vol. 2, chapter 2). The tree (tree.ts) finds the row; the row's plan, worked out here once,
// says what follows the opcode. EVEX, XOP and 3DNow! encodings are not decoded.
//
// Indexing past a typed array yields undefined only outside its length; every index here is
// checked against `limit` or comes from a byte, hence the casts.

import { BASE_RIP, type Decoded, Segment, Status } from './decoded.ts'
import type { Registry } from './define.ts'
import type { Row } from './row.ts'
import {
  buildTree,
  NODE_BY_MODRM,
  NODE_BY_PREFIX,
  NODE_MODRM,
  NODE_SHIFT,
  PREFIX_66,
  PREFIX_F2,
  PREFIX_F3,
  PREFIX_NONE,
  type Tree,
  VEX_MAPS,
  yieldsToRexB,
} from './tree.ts'

const MAX_LENGTH = 15

// What a byte is among the prefixes.
const NOT_PREFIX = 0
const SEGMENT_LEGACY = 1 // ES CS SS DS
const SEGMENT_FS_GS = 2
const OPERAND_SIZE = 3
const ADDRESS_SIZE = 4
const LOCK = 5
const REPEAT = 6
const REX = 7 // in 64-bit mode only

const PREFIX_CLASS = new Uint8Array(256)
PREFIX_CLASS.fill(REX, 0x40, 0x50)
for (const byte of [0x26, 0x2e, 0x36, 0x3e]) PREFIX_CLASS[byte] = SEGMENT_LEGACY
PREFIX_CLASS[0x64] = PREFIX_CLASS[0x65] = SEGMENT_FS_GS
PREFIX_CLASS[0x66] = OPERAND_SIZE
PREFIX_CLASS[0x67] = ADDRESS_SIZE
PREFIX_CLASS[0xf0] = LOCK
PREFIX_CLASS[0xf2] = PREFIX_CLASS[0xf3] = REPEAT

/** No byte of a VEX prefix. */
const NO_VEX = -1

const REX_W = 8
const REX_R = 4
const REX_X = 2
const REX_B = 1

// A row's plan: bits 0-3 first immediate, 4-5 second immediate, then flags.
const IMM_NONE = 0
const IMM_B = 1
const IMM_W = 2
const IMM_D = 3
const IMM_Z = 4
const IMM_V = 5
const IMM_FAR = 6
const IMM_MOFFS = 7
const IMM_MASK = 0xf
const IMM2_SHIFT = 4
const IMM2_MASK = 3
const PLAN_D64 = 1 << 6
const PLAN_F64 = 1 << 7
const PLAN_LOCK = 1 << 8
const PLAN_REG8 = 1 << 9 // REX.R does not extend ModRM.reg
const PLAN_RM8 = 1 << 10 // REX.B does not extend ModRM.rm
const PLAN_SEGMENT = 1 << 11 // ModRM.reg is a segment register
const PLAN_SEGMENT_WRITE = 1 << 12 // ... and the destination
const PLAN_CONTROL = 1 << 13
const PLAN_DEBUG = 1 << 14
const PLAN_IGNORES_MOD = 1 << 15
const PLAN_66_IS_MANDATORY = 1 << 16
const PLAN_PLUS_R = 1 << 17
const PLAN_YIELDS_TO_REX_B = 1 << 18
const PLAN_FEATURES = 1 << 19
const PLAN_VEX_L0 = 1 << 20 // VEX.L must be 0
const PLAN_VEX_L1 = 1 << 21
const PLAN_VEX_W0 = 1 << 22
const PLAN_VEX_W1 = 1 << 23
const PLAN_VVVV = 1 << 24 // VEX.vvvv is an operand

const VEX_2 = 0xc5
const VEX_3 = 0xc4

const CONTROL_REGISTERS = (1 << 0) | (1 << 2) | (1 << 3) | (1 << 4) | (1 << 8)

// Base and index of ModRM.rm with 16-bit addresses: BX+SI BX+DI BP+SI BP+DI SI DI BP BX.
const BASE_16 = Int8Array.of(3, 3, 5, 5, 6, 7, 5, 3)
const INDEX_16 = Int8Array.of(6, 7, 6, 7, -1, -1, -1, -1)

/** Decodes with the rows that a registry held when the decoder was made. */
export class Decoder {
  readonly #rows: readonly Row[]
  readonly #plans: Uint32Array
  readonly #tree64: Tree
  readonly #treeLegacy: Tree
  // Rows whose features are present, for the set that was asked about last, and for all others:
  // processors of many domains take turns.
  #enabled: Uint8Array
  #enabledFor: ReadonlySet<string> | undefined
  readonly #enabledForAll = new WeakMap<ReadonlySet<string>, Uint8Array>()

  constructor(registry: Registry) {
    this.#rows = [...registry.rows]
    this.#plans = Uint32Array.from(this.#rows, (row) => planOf(row, this.#rows))
    this.#tree64 = buildTree(this.#rows, true)
    this.#treeLegacy = buildTree(this.#rows, false)
    this.#enabled = new Uint8Array(this.#rows.length)
  }

  /**
   * Decodes the instruction at `bytes[at]`, of which `available` bytes may be read, into `out`.
   * `codeSize` is the default operand size of the code segment, 64 in 64-bit mode. `features`
   * must not change while it is in use: the decoder remembers what it allows.
   */
  decode(
    bytes: Uint8Array,
    at: number,
    available: number,
    codeSize: 16 | 32 | 64,
    features: ReadonlySet<string>,
    out: Decoded,
  ): Status {
    if (this.#enabledFor !== features) this.#enable(features)
    const is64 = codeSize === 64
    const limit = at + (available < MAX_LENGTH ? available : MAX_LENGTH)
    const short = available < MAX_LENGTH ? Status.truncated : Status.tooLong
    let p = at

    // Prefixes, in any order and number. REX counts only right before the opcode.
    let rep: 0 | 0xf2 | 0xf3 = 0
    let has66 = false
    let has67 = false
    let lock = false
    let override = -1
    let rex = 0
    let byte = 0
    for (;;) {
      if (p >= limit) return short
      byte = bytes[p++] as number
      const kind = PREFIX_CLASS[byte] as number
      if (kind === NOT_PREFIX) break
      if (kind === REX) {
        if (!is64) break
        rex = byte
        continue
      }
      rex = 0
      if (kind === OPERAND_SIZE) has66 = true
      else if (kind === REPEAT) rep = byte as 0xf2 | 0xf3
      else if (kind === SEGMENT_FS_GS) override = byte - 0x60
      else if (kind === LOCK) lock = true
      else if (kind === ADDRESS_SIZE) has67 = true
      else if (!is64) override = (byte >> 3) & 3
    }

    let key = byte
    let vex = NO_VEX
    let vvvv = 0
    let prefix =
      rep === 0xf3 ? PREFIX_F3 : rep === 0xf2 ? PREFIX_F2 : has66 ? PREFIX_66 : PREFIX_NONE
    if (byte === VEX_2 || byte === VEX_3) {
      // Outside 64-bit mode these are LES and LDS, unless ModRM would name a register.
      if (p >= limit) return short
      if (is64 || (bytes[p] as number) >= 0xc0) {
        const length = byte === VEX_2 ? 1 : 2
        if (p + length >= limit) return short
        // The two-byte form is the other one with X, B and W clear and map 0F.
        const first = byte === VEX_2 ? ((bytes[p] as number) & 0x80) | 0x61 : (bytes[p] as number)
        const last = (bytes[p + length - 1] as number) & (byte === VEX_2 ? 0x7f : 0xff)
        p += length
        if (rex !== 0 || has66 || rep !== 0 || lock) return Status.invalid
        const map = first & 31
        if (map === 0 || map > 3) return Status.invalid
        vex = last
        vvvv = (~last >> 3) & 15
        if (is64) rex = 0x40 | ((~first >> 5) & 7) | ((last >> 4) & REX_W)
        prefix = last & 3
        key = ((VEX_MAPS + map) << 8) | (bytes[p++] as number)
      }
    } else if (byte === 0x0f) {
      if (p >= limit) return short
      byte = bytes[p++] as number
      key = 0x100 | byte
      if (byte === 0x38 || byte === 0x3a) {
        key = byte === 0x38 ? 0x200 : 0x300
        if (p >= limit) return short
        byte = bytes[p++] as number
        key |= byte
      }
    }

    const tree = is64 ? this.#tree64 : this.#treeLegacy
    const node = tree.nodes[key] as number
    if (node < 0) return Status.invalid
    let modrm = 0
    if (node & NODE_MODRM) {
      if (p >= limit) return short
      modrm = bytes[p++] as number
    }
    let leaf = node >> NODE_SHIFT
    if (node & NODE_BY_MODRM) {
      leaf += modrm
      if (node & NODE_BY_PREFIX) leaf += prefix << 8
    } else if (node & NODE_BY_PREFIX) leaf += prefix
    let id = tree.leaves[leaf] as number
    if (id < -1) id = this.#choose(tree.lists[-2 - id] as readonly number[], rex, vex)
    if (id < 0) return Status.invalid
    const plan = this.#plans[id] as number
    if (plan & PLAN_FEATURES && this.#enabled[id] === 0) return Status.invalid
    if (vex !== NO_VEX && (!admits(plan, vex) || (vvvv !== 0 && !(plan & PLAN_VVVV)))) {
      return Status.invalid
    }

    let operandSize: 16 | 32 | 64
    if (is64) {
      if (rex & REX_W || plan & PLAN_F64) operandSize = 64
      else if (has66 && !(plan & PLAN_66_IS_MANDATORY)) operandSize = 16
      else operandSize = plan & PLAN_D64 ? 64 : 32
    } else {
      const flips = has66 && !(plan & PLAN_66_IS_MANDATORY)
      operandSize = (codeSize === 16) === flips ? 32 : 16
    }
    const addressSize = is64 ? (has67 ? 32 : 64) : (codeSize === 16) === has67 ? 32 : 16

    let isMemory = false
    let segment: number = Segment.DS
    let mod = 0
    let reg = 0
    let rm = 0
    let base = -1
    let index = -1
    let scale = 0
    let dispLo = 0
    let dispHi = 0
    if (node & NODE_MODRM) {
      mod = modrm >> 6
      reg = (modrm >> 3) & 7
      rm = modrm & 7
      if (rex & REX_R && !(plan & PLAN_REG8)) reg += 8
      if (plan & (PLAN_SEGMENT | PLAN_CONTROL | PLAN_DEBUG)) {
        if (plan & PLAN_SEGMENT) {
          if (reg > 5 || (reg === Segment.CS && plan & PLAN_SEGMENT_WRITE)) return Status.invalid
        } else if (plan & PLAN_CONTROL) {
          if (!((CONTROL_REGISTERS >> reg) & 1)) return Status.invalid
        } else if (reg > 7) return Status.invalid
        if (plan & PLAN_IGNORES_MOD) mod = 3
      }
      if (mod === 3) {
        if (rex & REX_B && !(plan & PLAN_RM8)) rm += 8
      } else {
        isMemory = true
        let dispSize = mod === 2 ? 4 : mod
        if (addressSize === 16) {
          if (mod === 2 || (mod === 0 && rm === 6)) dispSize = 2
          if (mod !== 0 || rm !== 6) {
            base = BASE_16[rm] as number
            index = INDEX_16[rm] as number
          }
        } else if (rm === 4) {
          if (p >= limit) return short
          const sib = bytes[p++] as number
          scale = sib >> 6
          index = ((sib >> 3) & 7) | (rex & REX_X ? 8 : 0)
          if (index === 4) index = -1
          base = sib & 7
          if (base === 5 && mod === 0) {
            base = -1
            dispSize = 4
          } else if (rex & REX_B) base += 8
        } else if (rm === 5 && mod === 0) {
          base = is64 ? BASE_RIP : -1
          dispSize = 4
        } else base = rex & REX_B ? rm + 8 : rm
        if (base === 4 || base === 5) segment = Segment.SS
        if (rex & REX_B) rm += 8
        if (dispSize > 0) {
          if (p + dispSize > limit) return short
          dispLo =
            dispSize === 1
              ? ((bytes[p] as number) << 24) >> 24
              : dispSize === 2
                ? (((bytes[p + 1] as number) << 24) >> 16) | (bytes[p] as number)
                : read32(bytes, p)
          dispHi = dispLo >> 31
          p += dispSize
        }
      }
    } else if (plan & PLAN_PLUS_R) rm = (byte & 7) | (rex & REX_B ? 8 : 0)

    let immLo = 0
    let immHi = 0
    let imm2 = 0
    const imm = plan & IMM_MASK
    if (imm !== IMM_NONE) {
      const size = immediateSize(imm, operandSize, addressSize)
      if (p + size > limit) return short
      let lo = 0
      let hi = 0
      if (size === 1) lo = ((bytes[p] as number) << 24) >> 24
      else if (size === 2) lo = (((bytes[p + 1] as number) << 24) >> 16) | (bytes[p] as number)
      else lo = read32(bytes, p)
      hi = size === 8 ? read32(bytes, p + 4) : lo >> 31
      p += size
      if (imm === IMM_MOFFS) {
        dispLo = lo
        dispHi = hi
      } else {
        immLo = lo
        immHi = hi
      }
      const size2 = (plan >> IMM2_SHIFT) & IMM2_MASK
      if (size2 !== 0) {
        if (p + size2 > limit) return short
        imm2 = bytes[p] as number
        if (size2 === 2) imm2 |= (bytes[p + 1] as number) << 8
        p += size2
      }
    }

    // Bytes that cannot be fetched come before a LOCK that cannot be.
    if (lock && !(plan & PLAN_LOCK && isMemory)) return Status.invalid

    out.row = this.#rows[id] as Row
    out.length = p - at
    out.operandSize = operandSize
    out.addressSize = addressSize
    out.lock = lock
    out.rep = rep
    out.rex = rex
    out.segment = override >= 0 ? override : segment
    out.hasModrm = (node & NODE_MODRM) !== 0
    out.isMemory = isMemory
    out.mod = mod
    out.reg = reg
    out.rm = rm
    out.vvvv = is64 ? vvvv : vvvv & 7
    out.base = base
    out.index = index
    out.scale = scale
    out.dispLo = dispLo
    out.dispHi = dispHi
    out.immLo = immLo
    out.immHi = immHi
    out.imm2 = imm2
    return Status.ok
  }

  /** The first candidate that the processor has, or -1. */
  #choose(candidates: readonly number[], rex: number, vex: number): number {
    for (const id of candidates) {
      if (this.#enabled[id] === 0) continue
      if (vex !== NO_VEX && !admits(this.#plans[id] as number, vex)) continue
      if (rex & REX_B && (this.#plans[id] as number) & PLAN_YIELDS_TO_REX_B) continue
      return id
    }
    return -1
  }

  #enable(features: ReadonlySet<string>): void {
    this.#enabledFor = features
    const known = this.#enabledForAll.get(features)
    this.#enabled = known ?? new Uint8Array(this.#rows.length)
    if (known) return
    for (const row of this.#rows) {
      this.#enabled[row.id] = row.features.every((name) => features.has(name)) ? 1 : 0
    }
    this.#enabledForAll.set(features, this.#enabled)
  }
}

/** Does a row take the last byte of a VEX prefix, as far as L and W go. */
function admits(plan: number, vex: number): boolean {
  const refused = (vex & 4 ? PLAN_VEX_L0 : PLAN_VEX_L1) | (vex & 0x80 ? PLAN_VEX_W0 : PLAN_VEX_W1)
  return (plan & refused) === 0
}

function read32(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  )
}

/** Bytes of the first immediate. */
function immediateSize(imm: number, operandSize: number, addressSize: number): number {
  switch (imm) {
    case IMM_B:
      return 1
    case IMM_W:
      return 2
    case IMM_D:
      return 4
    case IMM_V:
      return operandSize >> 3
    case IMM_MOFFS:
      return addressSize >> 3
    default: // IMM_Z, IMM_FAR
      return operandSize === 16 ? 2 : 4
  }
}

function planOf(row: Row, rows: readonly Row[]): number {
  let plan = 0
  const kinds = row.operands.map((operand) => operand.kind)
  const flag = (condition: boolean, bit: number) => {
    if (condition) plan |= bit
  }
  for (const { kind, size } of row.operands) {
    if (kind === 'A') plan |= IMM_FAR | (2 << IMM2_SHIFT)
    else if (kind === 'O') plan |= IMM_MOFFS
    else if (kind === 'I' || kind === 'J') {
      if ((plan & IMM_MASK) === 0)
        plan |= { b: IMM_B, w: IMM_W, d: IMM_D, v: IMM_V }[size as 'b'] ?? IMM_Z
      else plan |= (size === 'w' ? 2 : 1) << IMM2_SHIFT
    }
  }
  flag(row.attributes.has('d64'), PLAN_D64)
  flag(row.attributes.has('f64'), PLAN_F64)
  flag(row.attributes.has('lock'), PLAN_LOCK)
  flag(kinds.includes('P') || kinds.includes('S'), PLAN_REG8)
  flag(kinds.includes('Q') || kinds.includes('N') || kinds.includes('T'), PLAN_RM8)
  flag(kinds.includes('S'), PLAN_SEGMENT)
  flag(kinds[0] === 'S', PLAN_SEGMENT_WRITE)
  flag(kinds.includes('C'), PLAN_CONTROL)
  flag(kinds.includes('D'), PLAN_DEBUG)
  flag(row.ignoresMod, PLAN_IGNORES_MOD)
  const hasOperandSize = row.operands.some(({ size }) => size === 'v' || size === 'z')
  flag(row.prefix === '66' && !hasOperandSize, PLAN_66_IS_MANDATORY)
  flag(row.plusR, PLAN_PLUS_R)
  flag(yieldsToRexB(row, rows), PLAN_YIELDS_TO_REX_B)
  flag(row.features.length > 0, PLAN_FEATURES)
  flag(row.vex?.l === 0, PLAN_VEX_L0)
  flag(row.vex?.l === 1, PLAN_VEX_L1)
  flag(row.vex?.w === 0, PLAN_VEX_W0)
  flag(row.vex?.w === 1, PLAN_VEX_W1)
  flag(kinds.includes('B'), PLAN_VVVV)
  return plan
}
