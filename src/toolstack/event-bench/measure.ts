// Two-level, three-level and FIFO event channels side by side: the same guest program over each ABI,
// on one host, one after the other. Times of the guest are instructions of virtual time and the same
// in every run; times of the host are nanoseconds of its clock.

import { Bug } from '../../base/errors.ts'
import type { EventAbiName } from '../../xen/event-abi.ts'
import { MOST_EVENT_CHANNELS } from '../guest-limits.ts'
import type { XenHost } from '../xen-host.ts'
import { type EventRun, type EventRunResult, runEventGuest } from './event-guest.ts'
import { sendCost } from './send-cost.ts'
import { jainIndex, percentile } from './statistics.ts'

/** Ports beside port 0, for 64-bit and for 32-bit guests. */
export const CAPACITY: Readonly<
  Record<EventAbiName, { readonly 64: number; readonly 32: number }>
> = {
  '2l': { 64: 4095, 32: 1023 },
  '3l': { 64: MOST_EVENT_CHANNELS, 32: 32_767 },
  fifo: { 64: 131_071, 32: 131_071 },
}

const ABIS: readonly EventAbiName[] = ['2l', '3l', 'fifo']
const SIZES = [1, 64, 1024, 4096, 32_768, 131_071]
const FAIRNESS_CHANNELS = 64
const URGENT_CHANNELS = 10_000
const URGENT_SAMPLES = 12
const PAGE = 4096

/** How a guest scans bitmaps: from where it was, or the lowest bit first. FIFO has no choice. */
export type Scan = 'rotating' | 'lowest first' | 'queue'

export interface CostRow {
  readonly abi: EventAbiName
  readonly channels: number
  /** From before the send's hypercall to the port's handler, in instructions of the guest. */
  readonly latencyP50: number
  readonly latencyP99: number
  /** A whole event, from send to handler and back, in nanoseconds of the host. */
  readonly eventP50Ns: number
  readonly eventP99Ns: number
  /** Events a second of the host, and instructions of the guest an event, all of them. */
  readonly eventsPerSecond: number
  readonly instructions: number
  /** The send alone: from the control domain to a processor that runs. */
  readonly sendP50Ns: number
  readonly sendP99Ns: number
  /** Bytes of the guest that the ABI holds, and of the host's table of ports. */
  readonly guestBytes: number
  readonly hostBytes: number
}

export interface FairnessRow {
  readonly abi: EventAbiName
  readonly scan: Scan
  readonly channels: number
  /** Jain's index over the events that each port got. */
  readonly jain: number
  /** The longest that an event waited, in instructions. */
  readonly worstWait: number
  /** Ports that came to nothing before the load ended. */
  readonly starved: number
}

export interface UrgentRow {
  readonly abi: EventAbiName
  readonly scan: Scan
  /** As set; undefined where the ABI has none. */
  readonly priority: number | undefined
  readonly busy: number
  readonly waitP50: number
  readonly waitMax: number
}

export interface BurstRow {
  readonly abi: EventAbiName
  readonly channels: number
  readonly instructionsPerEvent: number
  /** From the moment in which the guest opened its gate to the handler, in instructions. */
  readonly waitP50: number
  readonly waitP99: number
  readonly waitMax: number
  /** The share of events that were handled after one that was sent later. */
  readonly outOfOrder: number
}

export interface EventReport {
  readonly iterations: number
  readonly costs: readonly CostRow[]
  readonly fairness: readonly FairnessRow[]
  readonly urgent: readonly UrgentRow[]
  readonly bursts: readonly BurstRow[]
}

export interface MeasureOptions {
  /** Events of each run that measures latency. */
  readonly iterations: number
  /** No run has more channels. */
  readonly mostChannels: number
  /** The host's clock. */
  readonly nowNs: () => number
  /** Told what comes next. */
  readonly onProgress: (line: string) => void
}

export async function measureEvents(host: XenHost, options: MeasureOptions): Promise<EventReport> {
  const { iterations, onProgress, mostChannels } = options
  const fit = (abi: EventAbiName, channels: number) =>
    Math.min(channels, CAPACITY[abi][64], mostChannels)
  onProgress('warming up')
  for (const abi of ABIS) {
    await good(host, { abi, scenario: 'latency', channels: 64, iterations })
    await sendCost(host, { abi, channels: 64, batches: iterations / 10, nowNs: options.nowNs })
  }
  const costs: CostRow[] = []
  for (const size of SIZES) {
    for (const abi of ABIS) {
      const channels = fit(abi, size)
      if (costs.some((row) => row.abi === abi && row.channels === channels)) continue
      onProgress(`cost of an event, ${abi}, ${channels} channels`)
      costs.push(await cost(host, abi, channels, options))
    }
  }
  onProgress('fairness')
  const fairness: FairnessRow[] = []
  for (const [abi, scan] of SCANS) {
    fairness.push(await fairnessOf(host, abi, scan, fit(abi, FAIRNESS_CHANNELS), iterations))
  }
  onProgress('an urgent event among busy ones')
  const urgent: UrgentRow[] = []
  for (const [abi, scan] of SCANS) {
    const busy = Math.max(1, fit(abi, URGENT_CHANNELS + 1) - 1)
    urgent.push(await urgentOf(host, abi, scan, busy, 0))
    if (abi === 'fifo') urgent.push(await urgentOf(host, abi, scan, busy, 7))
  }
  const bursts: BurstRow[] = []
  for (const abi of ABIS) {
    for (const channels of new Set([fit(abi, 1024), fit(abi, CAPACITY[abi][64])])) {
      onProgress(`everything pending, ${abi}, ${channels} channels`)
      bursts.push(await burstOf(host, abi, channels))
    }
  }
  return { iterations, costs, fairness, urgent, bursts }
}

const SCANS: readonly (readonly [EventAbiName, Scan])[] = [
  ['2l', 'lowest first'],
  ['2l', 'rotating'],
  ['3l', 'lowest first'],
  ['3l', 'rotating'],
  ['fifo', 'queue'],
]

/** A run in which the guest found nothing wrong. */
async function good(host: XenHost, run: EventRun): Promise<EventRunResult> {
  const result = await runEventGuest(host, run)
  if (!result.isGood) throw new Bug(`an event guest (${run.abi}) says: ${result.said}`)
  return result
}

/** The median and the 99th percentile of a whole event's time, over the steps of a run. */
export async function eventCost(
  host: XenHost,
  run: EventRun,
  nowNs: () => number,
): Promise<{ result: EventRunResult; p50Ns: number; p99Ns: number; eventsPerSecond: number }> {
  const perEvent: number[] = []
  let events = 0
  let ns = 0
  let before = 0
  let began = nowNs()
  const result = await good(host, {
    ...run,
    onStep: (running) => {
      const end = nowNs()
      const { delivered } = running.progress()
      // The step in which the measuring begins has bound ports as well.
      if (before > 0 && delivered > before) {
        perEvent.push((end - began) / (delivered - before))
        events += delivered - before
        ns += end - began
      }
      before = delivered
      began = nowNs()
    },
  })
  return {
    result,
    p50Ns: percentile(perEvent, 0.5),
    p99Ns: percentile(perEvent, 0.99),
    eventsPerSecond: (events / ns) * 1e9,
  }
}

async function cost(
  host: XenHost,
  abi: EventAbiName,
  channels: number,
  { iterations, nowNs }: MeasureOptions,
): Promise<CostRow> {
  const run: EventRun = { abi, scenario: 'latency', channels, iterations, rotates: true }
  const { result, p50Ns, p99Ns, eventsPerSecond } = await eventCost(host, run, nowNs)
  const send = await sendCost(host, { abi, channels, batches: iterations / 10, nowNs })
  return {
    abi,
    channels: result.bound,
    latencyP50: percentile(result.samples, 0.5),
    latencyP99: percentile(result.samples, 0.99),
    eventP50Ns: p50Ns,
    eventP99Ns: p99Ns,
    eventsPerSecond,
    instructions: result.instructions / iterations,
    sendP50Ns: send.p50Ns,
    sendP99Ns: send.p99Ns,
    guestBytes: result.guestPages * PAGE,
    hostBytes: result.tableBytes,
  }
}

async function fairnessOf(
  host: XenHost,
  abi: EventAbiName,
  scan: Scan,
  channels: number,
  iterations: number,
): Promise<FairnessRow> {
  const rotates = scan === 'rotating'
  const { got, worst } = await good(host, {
    abi,
    scenario: 'storm',
    channels,
    iterations,
    rotates,
  })
  return {
    abi,
    scan,
    channels,
    jain: jainIndex(got),
    worstWait: percentile(worst, 1),
    // The one event that was sent before the load began is handled when it has ended.
    starved: got.filter((events) => events <= 1).length,
  }
}

async function urgentOf(
  host: XenHost,
  abi: EventAbiName,
  scan: Scan,
  busy: number,
  priority: number,
): Promise<UrgentRow> {
  const { samples } = await good(host, {
    abi,
    scenario: 'urgent',
    channels: busy + 1,
    iterations: Math.ceil((busy * 4) / 3) * URGENT_SAMPLES,
    rotates: scan === 'rotating',
    priority,
  })
  return {
    abi,
    scan,
    priority: abi === 'fifo' ? priority : undefined,
    busy,
    waitP50: percentile(samples, 0.5),
    waitMax: percentile(samples, 1),
  }
}

async function burstOf(host: XenHost, abi: EventAbiName, channels: number): Promise<BurstRow> {
  const result = await good(host, { abi, scenario: 'burst', channels, rotates: true })
  return {
    abi,
    channels: result.bound,
    instructionsPerEvent: result.instructions / result.bound,
    waitP50: percentile(result.samples, 0.5),
    waitP99: percentile(result.samples, 0.99),
    waitMax: percentile(result.samples, 1),
    outOfOrder: result.outOfOrder / result.bound,
  }
}
