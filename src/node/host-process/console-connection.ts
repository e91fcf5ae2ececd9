// One client on a domain's console: what was on the screen last, then all that the guest writes,
// and what the client types. Neither side can make the host keep more than a bound.

import type { Duplex } from 'node:stream'
import type { ManagedDomain } from '../domains/managed-domain.ts'
import { lastScreen } from './last-screen.ts'

/** Output that waits for a client that does not read; what comes then is dropped, and said. */
const MOST_OUTPUT_BYTES = 4 << 20
/** Keys that wait for a guest that does not read; the client then waits, too. */
const MOST_INPUT_BYTES = 64 << 10
const INPUT_RETRY_MS = 50

/** Serves `socket` until either side ends; `rows` is the height of the client's terminal. */
export function serveConsole(managed: ManagedDomain, socket: Duplex, rows: number): void {
  let dropped = 0
  let timer: NodeJS.Timeout | undefined
  const write = (bytes: Uint8Array) => {
    if (socket.writableLength > MOST_OUTPUT_BYTES) {
      dropped += bytes.length
      return
    }
    if (dropped > 0) {
      socket.write(`\r\n[${dropped} bytes of output were not read in time]\r\n`)
      dropped = 0
    }
    socket.write(bytes)
  }
  const { scrollback } = managed.running.guest.console
  const screen = lastScreen(scrollback.head, scrollback.tail, rows)
  if (screen.length > 0) write(screen)
  const detach = managed.attach(write, () => socket.end())
  socket.on('data', (bytes: Uint8Array) => {
    managed.running.console.send(bytes)
    if (managed.running.guest.console.waitingInput < MOST_INPUT_BYTES) return
    socket.pause()
    timer ??= setInterval(() => {
      if (managed.running.guest.console.waitingInput >= MOST_INPUT_BYTES) return
      clearInterval(timer)
      timer = undefined
      socket.resume()
    }, INPUT_RETRY_MS)
  })
  const close = () => {
    detach()
    clearInterval(timer)
  }
  socket.on('end', () => {
    close()
    socket.end()
  })
  socket.on('close', close)
}
