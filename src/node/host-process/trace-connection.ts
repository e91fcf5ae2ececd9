// Streams what happens to a domain to a client that traces it. A client that does not keep up loses
// records, and is told how many, as with xentrace.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { UserError } from '../../base/errors.ts'
import { TRACE_KINDS, type TraceKind, type TraceRecord } from '../../xen/trace.ts'
import { formatTrace, traceAsJson } from '../trace-lines.ts'
import type { OperationWorld } from './handler.ts'

/** Records are lost while so much waits to be read. */
const MOST_WAITING_BYTES = 4 << 20

/**
 * Begins to write records as lines; gives the function that ends it.
 * @throws UserError if there is no such domain or kind
 */
export function streamTrace(
  { table }: OperationWorld,
  request: IncomingMessage,
  response: ServerResponse,
): () => void {
  const query = new URL(request.url ?? '/', 'http://host').searchParams
  const kinds = (query.get('kinds') ?? '').split(',')
  const unknown = kinds.find((kind) => !Object.hasOwn(TRACE_KINDS, kind))
  if (unknown !== undefined) {
    throw new UserError(
      'The request was not understood.',
      `There is no trace of "${unknown}".`,
      'Use a client of the same version: xenolith version.',
    )
  }
  const isJson = query.has('json')
  const { running } = table.findLiving(query.get('domain') ?? '')
  let lost = 0
  const write = (record: TraceRecord) => {
    if (response.writableLength > MOST_WAITING_BYTES) {
      lost++
      return
    }
    if (lost > 0) response.write(isJson ? `{"lost":${lost}}\n` : `${lost} records lost\n`)
    lost = 0
    response.write(`${isJson ? traceAsJson(record) : formatTrace(record)}\n`)
  }
  return running.trace(kinds as TraceKind[], write, () => response.end())
}
