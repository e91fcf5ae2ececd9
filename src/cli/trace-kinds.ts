// The kinds of records that --trace of run and the verb trace take.

import { TRACE_KINDS, type TraceKind } from '../xen/trace.ts'
import { UsageError } from './arguments.ts'

export const TRACE_NAMES = Object.keys(TRACE_KINDS) as TraceKind[]

/** The kinds in a list with commas between. @throws UsageError for one that there is not */
export function traceKinds(text: string | undefined): TraceKind[] | undefined {
  const names = text?.split(',').filter(Boolean)
  const unknown = names?.find((name) => !Object.hasOwn(TRACE_KINDS, name))
  if (unknown === undefined) return names as TraceKind[] | undefined
  throw new UsageError(
    `There is no trace of "${unknown}".`,
    `What can be traced: ${TRACE_NAMES.join(', ')}.`,
    'Give one of them, or leave it out.',
  )
}
