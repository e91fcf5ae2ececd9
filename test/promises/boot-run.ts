// One boot in a process of its own, so that its memory is its own: prints, as JSON, how long it took
// and how much memory there was. boot-run.ts off|hot|always

import type { Translation } from '../../src/node/host-types.ts'
import { Session } from '../guest/session.ts'

const MIB = 2 ** 20
export const GUEST_MIB = 256

export interface Boot {
  /** From the creation of the host to the first entry into the guest, images read. */
  readonly firstMs: number
  /** From the same moment to the line that the ramdisk's init prints first. */
  readonly initMs: number
  /** Of the process, when init starts. */
  readonly residentMiB: number
}

async function boot(translation: Translation): Promise<Boot> {
  const began = performance.now()
  const config = { memoryMiB: GUEST_MIB, cmdline: 'console=hvc0' }
  const session = await Session.create(config, { translation })
  const { xen } = session.host
  let first = 0
  const step = xen.step.bind(xen)
  xen.step = () => {
    first ||= performance.now()
    return step()
  }
  session.host.start()
  await session.until(() => /xenolith demo: init/.test(session.shown))
  const initMs = performance.now() - began
  const residentMiB = process.memoryUsage.rss() / MIB
  session.destroy()
  return { firstMs: first - began, initMs, residentMiB }
}

if (import.meta.main) {
  console.log(JSON.stringify(await boot(process.argv[2] as Translation)))
}
