// Where something stands in a guest file: line and column for people, and the line with a caret
// under what is meant.

/** A text and what to call it: a guest file, or what the command line adds to it. */
export interface Source {
  readonly name: string
  readonly text: string
}

/** A stretch of a source, from the offset `start` up to `end`. */
export interface Place {
  readonly source: Source
  readonly start: number
  readonly end: number
}

/** Line and column of a place's start, both counted from 1. */
export function positionOf({ source, start }: Place): { line: number; column: number } {
  const before = source.text.slice(0, start)
  const lineStart = before.lastIndexOf('\n') + 1
  return { line: before.split('\n').length, column: start - lineStart + 1 }
}

/** `NAME:LINE:COLUMN`, as compilers write it. */
export function placeName(place: Place): string {
  const { line, column } = positionOf(place)
  return `${place.source.name}:${line}:${column}`
}

/** The line that a place stands in, and below it carets under the place, with a hint after them. */
export function quotePlace(place: Place, hint?: string): string {
  const { source, start, end } = place
  const { line, column } = positionOf(place)
  const text = source.text.split('\n')[line - 1] ?? ''
  const gutter = `${String(line).padStart(5)} | `
  // A tab stays a tab, so that the caret stands below what it means however wide tabs are.
  const indent = text.slice(0, column - 1).replace(/[^\t]/g, ' ')
  const carets = '^'.repeat(Math.max(1, Math.min(end - start, text.length - column + 1)))
  const under = `${' '.repeat(gutter.length - 2)}| ${indent}${carets}`
  return `${gutter}${text}\n${under}${hint === undefined ? '' : `  ${hint}`}`
}
