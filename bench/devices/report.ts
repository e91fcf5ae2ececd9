// A line for each workload: what ours does a second and what QEMU does, by the clock and for each
// second of processor time, as medians of several rounds; and the medians of the rounds' ratios.

import { median } from '../statistics.ts'

/** One round of a workload on a side: units a second, by the clock and by processor time. */
export interface Rate {
  readonly clock: number
  readonly cpu: number
}

const WIDTH = 46

export const HEADER =
  'medians, by the clock (by processor time)'.padEnd(WIDTH) +
  ['ours', 'QEMU TCG', 'ours / QEMU'].map((title) => title.padStart(16)).join('')

/** `qemu` is empty if it was not measured. */
export function line(what: string, ours: readonly Rate[], qemu: readonly Rate[]): string {
  const pair = (of: (key: keyof Rate) => number, digits: number) =>
    `${of('clock').toFixed(digits)} (${of('cpu').toFixed(digits)})`.padStart(16)
  const rate = (rates: readonly Rate[]) => pair((key) => median(rates.map((one) => one[key])), 0)
  const ratio = pair(
    (key) => median(qemu.map((other, i) => (ours[i]?.[key] ?? Number.NaN) / other[key])),
    2,
  )
  const figures = qemu.length > 0 ? rate(ours) + rate(qemu) + ratio : rate(ours)
  return what.padEnd(WIDTH) + figures
}
