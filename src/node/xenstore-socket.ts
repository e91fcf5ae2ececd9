// Serves xenstore on a Unix socket, so that Xen's own tools (xenstore-ls and the others, through
// libxenstore) can talk to it: they find it through XENSTORED_PATH.

import { createServer, type Server, type Socket } from 'node:net'
import { UserError } from '../base/errors.ts'
import type { Xenstored } from '../backends/xenstore/xenstored.ts'

/** A socket that is being served. */
export interface XenstoreSocket {
  readonly path: string
  /** Stops listening and drops the clients. */
  close(): Promise<void>
}

/** Listens on a Unix socket at `path`, which must not exist yet. Clients act as domain 0. */
export async function serveXenstore(daemon: Xenstored, path: string): Promise<XenstoreSocket> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    const client = daemon.connect({
      send: (bytes) => void socket.write(bytes),
      close: () => socket.destroy(),
    })
    socket.on('data', (bytes: Uint8Array) => client.receive(bytes))
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      sockets.delete(socket)
      client.close()
    })
  })
  await listen(server, path)
  return {
    path,
    close: () => {
      for (const socket of sockets) socket.destroy()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const remedy = 'Give the path of a socket that does not exist, in a folder that does.'
      reject(new UserError(`Cannot serve xenstore at ${path}.`, error.message, remedy))
    })
    server.listen(path, resolve)
  })
}
