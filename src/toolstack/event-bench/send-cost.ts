// What a send costs the host: the control domain sends to ports of a guest whose processor runs, in
// batches that are timed, and between them the guest takes its events by its ABI's protocol.

import { Bug } from '../../base/errors.ts'
import type { EventAbiName } from '../../xen/event-abi.ts'
import type { XenHost } from '../xen-host.ts'
import { type EventRunResult, RunningEventGuest } from './event-guest.ts'
import { percentile } from './statistics.ts'

/** Sends that are timed together: the clock's own cost is spread over them. */
const BATCH = 16
/** Steps in which a guest has to come to what it was sent. */
const PATIENCE = 100_000

export interface SendCost {
  /** Nanoseconds of the host a send, of batches. */
  readonly p50Ns: number
  readonly p99Ns: number
  /** Ports bound, and events that the guest got: as many as were sent. */
  readonly bound: number
  readonly delivered: number
}

export interface SendCostOptions {
  readonly abi: EventAbiName
  /** 0 for all that the ABI has. */
  readonly channels: number
  readonly batches: number
  /** Fire every port once beforehand. */
  readonly firesAll?: boolean
  readonly nowNs: () => number
}

/** Binds the channels, sends, and checks that what was sent has come. */
export async function sendCost(host: XenHost, options: SendCostOptions): Promise<SendCost> {
  const { abi, channels, nowNs } = options
  const running = await RunningEventGuest.create(host, {
    abi,
    scenario: 'receive',
    channels,
    rotates: true,
  })
  const { domain } = running.guest
  const { control } = host.hypervisor
  const ports: number[] = []
  try {
    stepUntil(running, () => running.progress().isMeasuring)
    for (const port of domain.channels.boundPorts()) {
      const bound = control.channels.bindInterdomain(domain.domid, port)
      if (bound < 0) throw new Bug(`the control domain cannot bind to port ${port}: ${bound}`)
      ports.push(bound)
    }
    let sent = 0
    if (options.firesAll) {
      for (const port of ports) control.channels.send(port)
      sent += ports.length
      stepUntil(running, () => running.progress().delivered === sent)
    }
    const costs = new Float64Array(options.batches)
    const batch = new Uint32Array(Math.min(BATCH, ports.length))
    let state = 1
    for (let i = 0; i < costs.length; i++) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      // Different ports, all over the table: a second event for one would find it pending.
      const stride = Math.floor(ports.length / batch.length)
      batch.forEach((_, j) => {
        batch[j] = ports[((state >>> 8) + j * stride) % ports.length] as number
      })
      const start = nowNs()
      for (let j = 0; j < batch.length; j++) control.channels.send(batch[j] as number)
      costs[i] = (nowNs() - start) / batch.length
      sent += batch.length
      stepUntil(running, () => running.progress().delivered === sent)
    }
    return {
      p50Ns: percentile(costs, 0.5),
      p99Ns: percentile(costs, 0.99),
      bound: ports.length,
      delivered: running.progress().delivered,
    }
  } finally {
    for (const port of ports) control.channels.close(port)
    running.destroy()
  }
}

function stepUntil(running: RunningEventGuest, condition: () => boolean): void {
  for (let i = 0; i < PATIENCE; i++) {
    if (condition()) return
    if (running.guest.domain.shutdownReason !== undefined) break
    running.host.step()
  }
  throw new Bug(`an event guest has lost events: ${describe(running.result())}`)
}

function describe({ said, bound, delivered }: EventRunResult): string {
  return `${delivered} delivered to ${bound} ports ${said}`
}
