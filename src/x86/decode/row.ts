// One row of the opcode table: `[prefix] opcode-bytes [/form] [operands] [attributes]`, for
// example `66 0F 3A 0F /r Vx,Wx,Ib sse align +ssse3`. A row says which byte strings it matches
// and what its operands are. The letters are those of Intel SDM vol. 2, appendix A.2; the
// syntax is described in full in README.md beside this file.

import { Bug } from '../../base/errors.ts'
import { featureNamed } from '../cpuid/features.ts'
import type { Meaning } from './define.ts'
import { type OperandForm, type OperandKind, parseOperand } from './operand.ts'

/**
 * The mandatory prefix. `NP`: none of 66, F3, F2 may stand before the opcode; `any`: they are
 * ordinary prefixes (operand size, repetition, ignored).
 */
export type MandatoryPrefix = 'any' | 'NP' | '66' | 'F3' | 'F2'

/** Opcode maps: one byte, 0F, 0F 38, 0F 3A. */
export type OpcodeMap = 0 | 1 | 2 | 3

/** What a row demands of a VEX prefix beside its map and mandatory prefix; -1: either. */
export interface Vex {
  /** VEX.L: 0 for scalars and vectors of 128 bits, 1 for 256. */
  readonly l: -1 | 0 | 1
  readonly w: -1 | 0 | 1
}

const ATTRIBUTES = [
  'lock', // LOCK is allowed with a memory destination
  'd64', // 64-bit mode: operand size 64, or 16 with a 66 prefix
  'f64', // 64-bit mode: operand size 64 whatever the prefixes say
  'i64', // not in 64-bit mode
  'o64', // only in 64-bit mode
  'end', // ends a block
  'cpl0', // #GP(0) unless CPL is 0
  'rep', // REP is meaningful
  'repz', // REPE and REPNE are meaningful
  'mmx', // uses MMX state
  'x87', // uses x87 state
  'sse', // uses XMM state
  'align', // the memory operand must be aligned to 16 bytes
] as const

export type Attribute = (typeof ATTRIBUTES)[number]

/** What a row says about the bytes it matches and their operands; not yet registered. */
export interface RowPattern {
  /** As written. */
  readonly text: string
  readonly prefix: MandatoryPrefix
  /** The instruction has a VEX prefix, which says `prefix` and `map` too. */
  readonly vex: Vex | undefined
  readonly map: OpcodeMap
  /** The opcode's last byte; the lowest of eight if `plusR`. */
  readonly opcode: number
  /** The low three bits of the opcode are a register. */
  readonly plusR: boolean
  readonly hasModrm: boolean
  /** Required ModRM.reg, or -1. */
  readonly reg: number
  /** Required ModRM.mod: memory (0 to 2), register (3) or either. */
  readonly mod: 'any' | 'memory' | 'register'
  /** Required ModRM.rm, or -1. */
  readonly rm: number
  /** ModRM.rm is a register whatever ModRM.mod says (MOV to and from CR and DR). */
  readonly ignoresMod: boolean
  readonly operands: readonly OperandForm[]
  readonly attributes: ReadonlySet<Attribute>
  /** CPUID features the row needs, all of them, by their names in cpuid/feature-table.ts. */
  readonly features: readonly string[]
}

/** A registered row: the pattern, its instruction and its place in the registry. */
export interface Row extends RowPattern {
  /** Dense, in the order of registration. */
  readonly id: number
  /** The instruction's name, e.g. `ADD`. */
  readonly name: string
  readonly meaning: Meaning
}

const MODRM_KINDS = 'BCDEGMNPQRSTUVW'
const REGISTER_ONLY: readonly OperandKind[] = ['N', 'R', 'T', 'U']

/** Parses a row. Throws a Bug that quotes the row and says what is wrong with it. */
export function parseRow(text: string): RowPattern {
  const fail = (why: string): never => {
    throw new Bug(`row '${text}': ${why}`)
  }
  const words = text.split(' ')
  if (words.includes('')) fail('words are separated by single spaces')

  const encoding = takeVex(words, fail)
  const prefix = encoding?.prefix ?? words[0] ?? ''
  const isPrefixed = ['NP', '66', 'F3', 'F2'].includes(prefix)
  if (isPrefixed && !encoding) words.shift()

  const opcode = takeOpcode(words, encoding?.map, fail)
  const form = takeForm(words, fail)
  const operands = takeOperands(words, fail)
  const kinds = operands.map((operand) => operand.kind)

  const attributes = new Set<Attribute>()
  const features: string[] = []
  for (const word of words) {
    if (word.startsWith('+')) {
      const feature = featureNamed(word.slice(1)) ?? fail(`no CPUID feature is named '${word}'`)
      features.push(feature.name)
    } else if (isAttribute(word)) attributes.add(word)
    else fail(`unknown attribute '${word}'`)
  }

  const usesModrm = kinds.filter((kind) => kind !== 'fixed' && MODRM_KINDS.includes(kind))
  if (usesModrm.length > 0 && !form.hasModrm) fail(`${usesModrm[0]} operand without /r or /digit`)
  if (kinds.includes('Z') !== opcode.plusR) fail('Z operand and +r go together')
  if (kinds.includes('B') && !encoding) fail('a B operand is in VEX.vvvv')
  if (form.reg >= 0 && kinds.some((kind) => 'CDGPSV'.includes(kind))) {
    fail('ModRM.reg is both an opcode extension and an operand')
  }
  const wide = operands.find(({ kind, size }) => 'IJ'.includes(kind) && !'bwdzv'.includes(size))
  if (wide) fail(`${wide.text} is no size of an immediate`)
  if (attributes.has('i64') && attributes.has('o64')) fail('i64 and o64 exclude each other')

  const ignoresMod = kinds.includes('R') && (kinds.includes('C') || kinds.includes('D'))
  return {
    text,
    prefix: isPrefixed ? (prefix as MandatoryPrefix) : 'any',
    vex: encoding?.vex,
    ...opcode,
    ...form,
    mod: ignoresMod ? 'any' : modOf(form.mod, kinds, fail),
    ignoresMod,
    operands,
    attributes,
    features,
  }
}

type Fail = (why: string) => never

function isAttribute(word: string): word is Attribute {
  return (ATTRIBUTES as readonly string[]).includes(word)
}

const VEX_MAPS: Readonly<Record<string, OpcodeMap>> = { '0F': 1, '0F38': 2, '0F3A': 3 }
const VEX_L: Readonly<Record<string, Vex['l']>> = { LZ: 0, L0: 0, 128: 0, L1: 1, 256: 1, LIG: -1 }
const VEX_W: Readonly<Record<string, Vex['w']>> = { W0: 0, W1: 1, WIG: -1 }

/** `VEX.length.prefix.map.W` in the words of SDM vol. 2, 3.1.1.2. */
function takeVex(words: string[], fail: Fail) {
  const word = words[0] as string
  if (!word.startsWith('VEX.')) return undefined
  words.shift()
  const [, length = '', prefix = '', mapName = '', width = ''] = word.split('.')
  const [l, w, map] = [VEX_L[length], VEX_W[width], VEX_MAPS[mapName]]
  if (l === undefined || w === undefined || map === undefined) {
    return fail(`'${word}' is not VEX.length.prefix.map.W`)
  }
  if (!['NP', '66', 'F3', 'F2'].includes(prefix)) return fail(`'${prefix}' is no prefix of VEX`)
  const vex: Vex = { l, w }
  return { prefix, map, vex }
}

function takeOpcode(words: string[], vexMap: OpcodeMap | undefined, fail: Fail) {
  let map: OpcodeMap = vexMap ?? 0
  if (words[0] === '0F' && vexMap === undefined) {
    words.shift()
    const escape: string | undefined = words[0]
    map = escape === '38' ? 2 : escape === '3A' ? 3 : 1
    if (map > 1) words.shift()
  }
  const byte = /^([0-9A-F]{2})(\+r)?$/.exec(words.shift() ?? '')
  if (!byte) return fail('expected an opcode byte of two upper-case hexadecimal digits')
  const opcode = Number.parseInt(byte[1] as string, 16)
  const plusR = byte[2] !== undefined
  if (plusR && opcode % 8 !== 0) fail('an opcode with +r is a multiple of 8')
  if (/^[0-9A-F]{2}$/.test(words[0] ?? '')) fail('too many opcode bytes')
  return { map, opcode, plusR }
}

interface Form {
  readonly hasModrm: boolean
  readonly reg: number
  readonly mod: RowPattern['mod']
  readonly rm: number
}

function takeForm(words: string[], fail: Fail): Form {
  const word = words[0]
  if (!word?.startsWith('/')) return { hasModrm: false, reg: -1, mod: 'any', rm: -1 }
  words.shift()
  const form = /^\/([0-7r])(?::([0-7mr]))?$/.exec(word)
  if (!form) return fail(`'${word}' is none of /r, /0 to /7, /digit:m, /digit:r, /digit:rm`)
  const reg = form[1] === 'r' ? -1 : Number(form[1])
  const level = form[2]
  if (level === undefined) return { hasModrm: true, reg, mod: 'any', rm: -1 }
  if (level === 'm') return { hasModrm: true, reg, mod: 'memory', rm: -1 }
  if (level === 'r') return { hasModrm: true, reg, mod: 'register', rm: -1 }
  return { hasModrm: true, reg, mod: 'register', rm: Number(level) }
}

function takeOperands(words: string[], fail: Fail): readonly OperandForm[] {
  const word = words[0]
  if (word === undefined || word.startsWith('+') || isAttribute(word)) return []
  words.shift()
  try {
    return word.split(',').map(parseOperand)
  } catch (error) {
    return fail(error instanceof Bug ? error.message : String(error))
  }
}

/** What the operands demand of ModRM.mod must not contradict what the form says. */
function modOf(form: RowPattern['mod'], kinds: readonly OperandKind[], fail: Fail) {
  const demands = new Set(form === 'any' ? [] : [form])
  if (kinds.includes('M')) demands.add('memory')
  if (kinds.some((kind) => REGISTER_ONLY.includes(kind))) demands.add('register')
  if (demands.size > 1) fail('ModRM.rm would have to be both memory and register')
  return [...demands][0] ?? 'any'
}
