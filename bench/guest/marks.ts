// The marks that driver.sh and the init print, found in what a console shows. They are lines
// "@WORD ARGUMENTS"; the kernel's own lines may stand around them.

const KINDS = [
  'entry',
  'init',
  'mitigation',
  'begin',
  'end',
  'sum',
  'count',
  'fail',
  'done',
] as const

export type MarkKind = (typeof KINDS)[number]

export interface Mark {
  readonly kind: MarkKind
  readonly words: readonly string[]
}

/** What QEMU's firmware says last; the line does not end before the kernel prints. */
const FIRMWARE_ENDS = 'Booting from ROM'

const MARK = new RegExp(`@(${KINDS.join('|')})\\b([^\\r\\n]*)\\r*\\n|${FIRMWARE_ENDS}`, 'g')

/** Longer than any mark: what is kept of the text before it. */
const KEPT = 200

/** Finds marks in a text that comes in pieces. */
export class MarkReader {
  #text = ''

  /** The marks that this piece completes. */
  add(piece: string): Mark[] {
    this.#text += piece
    const marks: Mark[] = []
    let end = 0
    for (const match of this.#text.matchAll(MARK)) {
      end = match.index + match[0].length
      const kind = (match[1] ?? 'entry') as MarkKind
      marks.push({ kind, words: (match[2] ?? '').split(' ').filter((word) => word !== '') })
    }
    this.#text = this.#text.slice(Math.max(end, this.#text.length - KEPT))
    return marks
  }
}
