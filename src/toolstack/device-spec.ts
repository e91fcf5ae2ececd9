// Specifications of devices, as guest files and options have them: a text that is split at commas
// into pieces, and what is wrong with one of them, at its place.

import { UserError } from '../base/errors.ts'

/** Something about a stretch of a specification. */
export interface SpecRemark {
  /** Without a full stop. */
  readonly message: string
  /** What to do, or what was probably meant. */
  readonly hint: string | undefined
  readonly start: number
  readonly end: number
}

/** A mistake in a specification, and where in its text it is. */
export class SpecError extends UserError {
  readonly remark: SpecRemark

  constructor({ what, remedy }: SpecKind, spec: string, remark: SpecRemark) {
    const { message, hint, start, end } = remark
    const isAboutAll = start === 0 && end === spec.length
    const place = isAboutAll ? '' : `At character ${start + 1}: `
    const why = hint === undefined ? message : `${message} (${hint})`
    super(`The ${what} "${spec}" cannot be used.`, `${place}${why}.`, remedy)
    this.remark = remark
  }
}

/** What is wrong with a piece; {@link readSpec} says where it is. */
export class Mistake extends Error {
  readonly hint: string | undefined

  /** @param message without a full stop */
  constructor(message: string, hint?: string) {
    super(message)
    this.hint = hint
  }
}

/** What is specified: `disk`, say. */
export interface SpecKind {
  readonly what: string
  /** What to do about a mistake: a sentence. */
  readonly remedy: string
  /** A parameter that takes all that follows, commas included. */
  readonly rest?: string
}

export interface Piece {
  /** White space before it is no part of it. */
  readonly text: string
  readonly start: number
  readonly end: number
}

/**
 * Has `take` look at each piece of a specification, and `finish` make something of them.
 * @throws SpecError where either throws a {@link Mistake}
 */
export function readSpec<T>(
  kind: SpecKind,
  spec: string,
  take: (piece: Piece) => void,
  finish: () => T,
): T {
  const at = <R>({ start, end }: Pick<Piece, 'start' | 'end'>, work: () => R): R => {
    try {
      return work()
    } catch (error) {
      if (!(error instanceof Mistake)) throw error
      const { message, hint } = error
      throw new SpecError(kind, spec, { message, hint, start, end })
    }
  }
  for (const piece of piecesOf(spec, kind.rest)) at(piece, () => take(piece))
  return at({ start: 0, end: spec.length }, finish)
}

function piecesOf(spec: string, rest: string | undefined): Piece[] {
  const pieces: Piece[] = []
  for (let at = 0; at < spec.length; ) {
    const start = at + (/^[ \t]*/.exec(spec.slice(at))?.[0].length ?? 0)
    const comma = spec.indexOf(',', start)
    const takesRest = rest !== undefined && spec.startsWith(`${rest}=`, start)
    const end = takesRest || comma < 0 ? spec.length : comma
    pieces.push({ text: spec.slice(start, end), start, end })
    at = end + 1
  }
  return pieces
}
