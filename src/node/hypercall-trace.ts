// One line for each hypercall, as `--trace hypercalls` prints it.

import type { HypercallEvent } from '../xen/hypervisor.ts'

/** `[seconds] d1v0 sched_op poll(cmd=3, arg=0x…) = 0`; the result is `...` if it goes on later. */
export function formatHypercall(event: HypercallEvent): string {
  const seconds = (event.now / 1e9).toFixed(6)
  const args = event.parameters.map((name, i) => `${name}=0x${(event.args[i] ?? 0n).toString(16)}`)
  const result = event.result === undefined ? '...' : String(event.result)
  return `[${seconds}] d${event.domid}v${event.vcpu} ${event.name}(${args.join(', ')}) = ${result}`
}
