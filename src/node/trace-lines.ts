// One line of text for each record of a trace, as `xenolith trace` and `--trace` print it.

import type { TraceRecord } from '../xen/trace.ts'

/** `[seconds] d1v0 KIND text`; an event names no processor. */
export function formatTrace(record: TraceRecord): string {
  const who = `d${record.domid}${'vcpu' in record ? `v${record.vcpu}` : ''}`
  return `[${(record.now / 1e9).toFixed(6)}] ${who} ${textOf(record)}`
}

function textOf(record: TraceRecord): string {
  switch (record.kind) {
    case 'hypercalls': {
      const { name, parameters, args, result } = record
      const given = parameters.map((parameter, i) => `${parameter}=${hex(args[i] ?? 0n)}`)
      // A long one goes on later.
      return `${name}(${given.join(', ')}) = ${result ?? '...'}`
    }
    case 'events':
      return `event port ${record.port} (${record.source})`
    case 'exits': {
      const value = record.value === undefined ? '' : ` = ${hex(record.value)}`
      return `${record.what} ${hex(BigInt(record.at))}${value}`
    }
    case 'sched':
      return record.state
  }
}

function hex(value: bigint): string {
  return `0x${BigInt.asUintN(64, value).toString(16)}`
}

/** A record as JSON: numbers that may be large are hexadecimal text. */
export function traceAsJson(record: TraceRecord): string {
  return JSON.stringify(record, (_key, value: unknown) =>
    typeof value === 'bigint' ? hex(value) : value,
  )
}
