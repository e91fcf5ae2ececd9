// The strings of disk = […] and vif = […] split into their parameters: separated by commas, each a
// flag, KEY=VALUE or, for disks, a value whose meaning is its position.

import { UserError } from '../../base/errors.ts'

/** A mistake in a spec, and where in its text it is. */
export class SpecError extends UserError {
  readonly start: number
  readonly end: number

  constructor(what: string, why: string, start: number, end: number) {
    super(what, why, 'Mend the string.')
    this.start = start
    this.end = end
  }
}

export interface Parameter {
  /** The text before "=", or all of it. */
  readonly key: string
  /** The text behind "=", if there is one. */
  readonly value: string | undefined
  readonly start: number
  readonly end: number
}

/**
 * The parameters of a spec. White space before a parameter is no part of it. One named `rest` takes
 * all that follows, commas included.
 */
export function parametersOf(spec: string, rest?: string): Parameter[] {
  const parameters: Parameter[] = []
  for (let at = 0; at <= spec.length; ) {
    const start = at + (/^\s*/.exec(spec.slice(at))?.[0].length ?? 0)
    const comma = spec.indexOf(',', start)
    const takesRest = rest !== undefined && spec.startsWith(`${rest}=`, start)
    const end = takesRest || comma < 0 ? spec.length : comma
    const text = spec.slice(start, end)
    const equals = text.indexOf('=')
    const key = equals < 0 ? text : text.slice(0, equals)
    const value = equals < 0 ? undefined : text.slice(equals + 1)
    parameters.push({ key: key.trim(), value, start, end })
    at = end + 1
  }
  return parameters
}
