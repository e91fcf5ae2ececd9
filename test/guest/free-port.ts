// A port of this machine that nothing listens at, for what a test forwards or serves.

import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'

/** The number of a TCP port of an address that is free now. */
export async function freePort(address = '127.0.0.1'): Promise<number> {
  const listener = createServer().listen(0, address)
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  listener.close()
  await once(listener, 'close')
  return port
}
