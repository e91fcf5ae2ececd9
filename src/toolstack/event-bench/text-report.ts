// The comparison as text: tables and bars, for a terminal or a file.

import {
  ABI_LABELS,
  type Chart,
  chartsOf,
  figure,
  priorityLabel,
  scanned,
  shareOf,
} from './charts.ts'
import { CAPACITY, type EventReport } from './measure.ts'
import type { EventAbiName } from '../../xen/event-abi.ts'

const BAR_COLUMNS = 40

/** All of it, in lines of at most 100 columns. */
export function textReport(report: EventReport): string {
  return `${[...tables(report), ...chartsOf(report).flatMap(textChart)].join('\n').trimEnd()}\n`
}

function tables({ costs, fairness, urgent, bursts, iterations }: EventReport): string[] {
  const abis = Object.keys(CAPACITY) as EventAbiName[]
  const kib = (bytes: number) => figure(Math.ceil(bytes / 1024))
  return [
    'Capacity, in channels',
    ...table(
      ['', '64-bit guest', '32-bit guest', 'priorities'],
      abis.map((abi) => [
        ABI_LABELS[abi],
        figure(CAPACITY[abi][64]),
        figure(CAPACITY[abi][32]),
        abi === 'fifo' ? '16' : 'none',
      ]),
    ),
    `Cost of an event to the guest, over ${figure(iterations)} events to random ports`,
    '  latency: instructions from before the send to the handler; work: instructions of all of it',
    ...table(
      ['', 'channels', 'latency p50', 'p99', 'work', 'guest KiB', 'host KiB'],
      costs.map((row) => [
        ABI_LABELS[row.abi],
        figure(row.channels),
        ...[row.latencyP50, row.latencyP99, row.instructions].map(whole),
        kib(row.guestBytes),
        kib(row.hostBytes),
      ]),
    ),
    'Cost of the same to the host, in nanoseconds',
    '  event: from the send to the handler and back; send: domain 0 to a running processor, by itself',
    ...table(
      ['', 'channels', 'event p50', 'p99', 'events a second', 'send p50', 'p99'],
      costs.map((row) => [
        ABI_LABELS[row.abi],
        figure(row.channels),
        ...[row.eventP50Ns, row.eventP99Ns, row.eventsPerSecond].map(whole),
        ...[row.sendP50Ns, row.sendP99Ns].map(whole),
      ]),
    ),
    'Fairness: every channel is always busy',
    ...table(
      ['', 'channels', "Jain's index", 'worst wait', 'starved'],
      fairness.map((row) => [
        scanned(row.abi, row.scan),
        figure(row.channels),
        row.jain.toFixed(3),
        figure(row.worstWait),
        figure(row.starved),
      ]),
    ),
    'An urgent event among busy ones: its wait, in guest instructions',
    ...table(
      ['', 'busy', 'median', 'longest'],
      urgent.map((row) => [
        priorityLabel(scanned(row.abi, row.scan), row.priority),
        figure(row.busy),
        figure(row.waitP50),
        figure(row.waitMax),
      ]),
    ),
    'Everything pending at once: work and waits in guest instructions',
    ...table(
      ['', 'channels', 'work an event', 'wait p50', 'p99', 'longest', 'out of order'],
      bursts.map((row) => [
        ABI_LABELS[row.abi],
        figure(row.channels),
        whole(row.instructionsPerEvent),
        ...[row.waitP50, row.waitP99, row.waitMax].map(figure),
        `${(row.outOfOrder * 100).toFixed(0)} %`,
      ]),
    ),
  ]
}

function whole(value: number): string {
  return figure(Math.round(value))
}

/** The first column to the left, the others to the right, an empty line behind. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = [head, ...rows]
  const widths = head.map((_, i) => Math.max(...all.map((row) => row[i]?.length ?? 0)))
  const line = (row: readonly string[]) =>
    `  ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  ')}`
  return [...all.map((row) => line(row).trimEnd()), '']
}

function textChart(chart: Chart): string[] {
  const width = Math.max(...chart.bars.map(({ label }) => label.length))
  const scale = chart.isLogarithmic ? ', logarithmic' : ''
  return [
    `${chart.title} (${chart.unit}${scale})`,
    ...chart.bars.map(({ label, value }) => {
      const length = Math.max(1, Math.round(shareOf(chart, value) * BAR_COLUMNS))
      return `  ${label.padEnd(width)}  ${'█'.repeat(length)} ${figure(value)}`
    }),
    '',
  ]
}
