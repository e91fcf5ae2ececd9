// The processor time of another process, from Linux's /proc (proc(5)).

import { readFileSync } from 'node:fs'

/** USER_HZ is 100 on x86-64. */
const MS_PER_TICK = 10

/**
 * User and system time of a process and its children, those that have ended and those that its
 * first thread has started, in milliseconds; NaN if it is not known.
 */
export function processorTime(pid: number | undefined): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // After the name, which may hold anything: fields 3 and up; 14 to 17 are the times.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').match(/\d+/g) ?? []
    const ofChildren = children.map((child) => processorTime(Number(child)))
    // One that ends just now has none.
    return ofChildren.reduce((sum, ms) => sum + (ms || 0), ticks * MS_PER_TICK)
  } catch {
    return Number.NaN
  }
}
