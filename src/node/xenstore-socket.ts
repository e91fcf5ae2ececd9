// Serves xenstore on a Unix socket, so that Xen's own tools (xenstore-ls and the others, through
// libxenstore) can talk to it: they find it through XENSTORED_PATH.

import { rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { UserError } from '../base/errors.ts'
import type { Xenstored } from '../backends/xenstore/xenstored.ts'

/** A socket that is being served. */
export interface XenstoreSocket {
  readonly path: string
  /** Stops listening and drops the clients. */
  close(): Promise<void>
}

/** A client that does not read what it is told is dropped when so much waits. */
const MOST_WAITING_BYTES = 4 << 20
/** Reading and writing for this user only. */
const SOCKET_MASK = 0o177

/**
 * Listens on a Unix socket at `path`, which must not exist yet, for this user only. Clients act as
 * domain 0. `onRequest` is called after they have sent something: a guest may have to wake for it.
 * @throws UserError if there cannot be such a socket
 */
export async function serveXenstore(
  daemon: Xenstored,
  path: string,
  onRequest: () => void = () => {},
): Promise<XenstoreSocket> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    const client = daemon.connect({
      send: (bytes) => {
        socket.write(bytes)
        if (socket.writableLength > MOST_WAITING_BYTES) socket.destroy()
      },
      close: () => socket.destroy(),
    })
    socket.on('data', (bytes: Uint8Array) => {
      client.receive(bytes)
      onRequest()
    })
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
      rmSync(path, { force: true })
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
    // The socket is made while this call lasts.
    const before = process.umask(SOCKET_MASK)
    try {
      server.listen(path, resolve)
    } finally {
      process.umask(before)
    }
  })
}
