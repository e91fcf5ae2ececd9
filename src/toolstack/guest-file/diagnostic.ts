// What is wrong with a guest file: an error that ends the reading, or a warning that does not.

import { UserError } from '../../base/errors.ts'
import { type Place, placeName, quotePlace } from './source.ts'

/** Something said about a place of a guest file. */
export interface Diagnostic {
  readonly place: Place
  /** Without a full stop. */
  readonly message: string
  /** What to do, or what was probably meant; stands behind the caret. */
  readonly hint?: string | undefined
}

/** An error in a guest file, with the line it is in and a caret under the cause. */
export class GuestFileError extends UserError {
  readonly diagnostic: Diagnostic

  constructor(diagnostic: Diagnostic) {
    const { place, message, hint } = diagnostic
    super(`${placeName(place)}: ${message}`, quotePlace(place, hint), 'No domain was created.')
    this.diagnostic = diagnostic
  }
}

/** A warning as text: place and message, the line, the caret. */
export function warningText({ place, message, hint }: Diagnostic): string {
  return `${placeName(place)}: warning: ${message}\n${quotePlace(place, hint)}`
}
