// A host process: a host, its table of domains, and the server on its socket, until it is stopped.

import { rmSync } from 'node:fs'
import type { Socket } from 'node:net'
import { DomainTable } from '../domains/domain-table.ts'
import { Host } from '../host.ts'
import { serveXenstore, type XenstoreSocket } from '../xenstore-socket.ts'
import type { HostOptions } from '../host-types.ts'
import { claimSocket } from './claim.ts'
import { placesOf } from './places.ts'
import { makeServer } from './server.ts'

export interface ServeOptions extends HostOptions {
  readonly name: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** Ends by itself when it had no domain for so long; never if not given. */
  readonly lingerMs?: number | undefined
}

/** A host process that is being served. */
export interface ServedHost {
  readonly socket: string
  /** The socket of xenstore. */
  readonly xenstore: string
  readonly table: DomainTable
  /** Resolves when it was stopped; rejects when the host has failed. */
  readonly stopped: Promise<void>
  /** Destroys the domains, closes the connections and removes the socket. */
  stop(): Promise<void>
}

const LINGER_CHECKS = 4
const CLOSING_MS = 50

/** @throws HostRunsError if one of that name runs already; UserError */
export async function serveHost(options: ServeOptions): Promise<ServedHost> {
  const { name, time, lingerMs } = options
  const places = placesOf(name, options.env)
  const host = await Host.create(options)
  const { promise: stopped, resolve, reject } = Promise.withResolvers<void>()
  // Nobody may wait for it; a failure is then seen by those who ask later.
  stopped.catch(() => {})
  const table = new DomainTable(host, { hasRandomUuids: time === 'real', onFailure: reject })
  let isStopping = false
  let store: XenstoreSocket | undefined = undefined
  const stop = async (): Promise<void> => {
    if (isStopping) return stopped
    isStopping = true
    clearInterval(timer)
    table.close()
    host.stop()
    // Together with the socket: whoever finds that gone finds all of it gone.
    const storeClosed = store?.close()
    rmSync(places.socket, { force: true })
    const closed = new Promise<void>((done) => server.close(() => done()))
    // The last words get their time; a client that keeps its end open does not keep the host.
    setTimeout(() => {
      for (const socket of sockets) socket.destroy()
    }, CLOSING_MS).unref()
    server.closeIdleConnections()
    await Promise.all([closed, storeClosed])
    resolve()
  }
  // After the answer has gone out.
  const stopSoon = () => setTimeout(() => void stop(), 20)
  const world = { name, time, table, xenstore: places.xenstore, stop: stopSoon }
  const server = makeServer(world, reject)
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await claimSocket(server, places, name)
  // The name is ours: what lies there was left by one that was killed.
  rmSync(places.xenstore, { force: true })
  store = await serveXenstore(host.xen.xenstored, places.xenstore, () => host.wake())
  host.start()
  table.log.add(`host "${name}" started, ${time} time`)
  let idleSince = performance.now()
  const lookAround = () => {
    const now = performance.now()
    if (table.all().length > 0) idleSince = now
    else if (now - idleSince > (lingerMs ?? 0)) void stop()
  }
  const timer =
    lingerMs === undefined ? undefined : setInterval(lookAround, lingerMs / LINGER_CHECKS)
  timer?.unref()
  return { socket: places.socket, xenstore: places.xenstore, table, stopped, stop }
}
