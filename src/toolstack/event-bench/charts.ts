// The comparison as charts: plain data, which text-chart.ts draws for a terminal and svg-chart.ts as
// a picture.

import type { EventAbiName } from '../../xen/event-abi.ts'
import { CAPACITY, type EventReport, type Scan } from './measure.ts'

export interface Bar {
  readonly label: string
  readonly series: EventAbiName
  readonly value: number
}

export interface Chart {
  readonly title: string
  readonly unit: string
  /** Lengths go with the logarithm. */
  readonly isLogarithmic: boolean
  readonly bars: readonly Bar[]
}

export const ABI_LABELS: Readonly<Record<EventAbiName, string>> = {
  '2l': '2-level',
  '3l': '3-level',
  fifo: 'FIFO',
}

/** `12345` as `12,345`; digits behind the point for small numbers that are not whole. */
export function figure(value: number): string {
  const digits = value < 10 ? 2 : value < 100 ? 1 : 0
  const text = value.toFixed(Number.isInteger(value) ? 0 : digits)
  return text.replace(/\B(?=(\d{3})+$)/g, ',')
}

/** The label of an ABI and how its guest scans. */
export function scanned(abi: EventAbiName, scan: Scan): string {
  return scan === 'queue' ? ABI_LABELS[abi] : `${ABI_LABELS[abi]}, ${scan}`
}

export function chartsOf(report: EventReport): Chart[] {
  const { costs, fairness, urgent, bursts } = report
  const abis = Object.keys(CAPACITY) as EventAbiName[]
  const perSize = (value: (row: (typeof costs)[number]) => number): Bar[] =>
    costs.map((row) => ({
      label: `${ABI_LABELS[row.abi]} ${figure(row.channels)}`,
      series: row.abi,
      value: value(row),
    }))
  return [
    {
      title: 'Capacity of a 64-bit guest',
      unit: 'channels',
      isLogarithmic: true,
      bars: abis.map((abi) => ({
        label: ABI_LABELS[abi],
        series: abi,
        value: CAPACITY[abi][64],
      })),
    },
    {
      title: 'Send to upcall handler, by channels bound',
      unit: 'guest instructions, median',
      isLogarithmic: false,
      bars: perSize((row) => row.latencyP50),
    },
    {
      title: 'Memory, by channels bound',
      unit: 'KiB, guest and host',
      isLogarithmic: true,
      bars: perSize((row) => (row.guestBytes + row.hostBytes) / 1024),
    },
    {
      title: `Worst wait while ${fairness[0]?.channels} channels are always busy`,
      unit: 'guest instructions',
      isLogarithmic: true,
      bars: fairness.map(({ abi, scan, worstWait }) => ({
        label: scanned(abi, scan),
        series: abi,
        value: worstWait,
      })),
    },
    {
      title: 'Fairness of the same',
      unit: "Jain's index, 1 is fair",
      isLogarithmic: false,
      bars: fairness.map(({ abi, scan, jain }) => ({
        label: scanned(abi, scan),
        series: abi,
        value: jain,
      })),
    },
    {
      title: 'Wait of an urgent event among busy ones',
      unit: 'guest instructions, median',
      isLogarithmic: true,
      bars: urgent.map(({ abi, scan, priority, busy, waitP50 }) => ({
        label: `${priorityLabel(scanned(abi, scan), priority)}, ${figure(busy)} busy`,
        series: abi,
        value: waitP50,
      })),
    },
    {
      title: 'Everything pending: work an event',
      unit: 'guest instructions',
      isLogarithmic: false,
      bars: bursts.map(({ abi, channels, instructionsPerEvent }) => ({
        label: `${ABI_LABELS[abi]} ${figure(channels)}`,
        series: abi,
        value: instructionsPerEvent,
      })),
    },
  ]
}

/** What a bar is called that has a priority. */
export function priorityLabel(label: string, priority: number | undefined): string {
  return priority === undefined ? label : `${label}, priority ${priority}`
}

/** The length of a bar as a share of the longest, never nothing. */
export function shareOf(chart: Chart, value: number): number {
  const most = Math.max(...chart.bars.map((bar) => bar.value))
  const scale = (x: number) => (chart.isLogarithmic ? Math.log10(Math.max(x, 1) + 1) : x)
  return Math.max(0.005, scale(value) / scale(most))
}
