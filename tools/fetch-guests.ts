// Fetches the guests that tests and demonstrations use into the cache, and prints their paths:
//   node tools/fetch-guests.ts [demo] [cloud] [generic] [installer] [grub-pvh] [grub-pv32] [grub-pv64] [xen-shim]
// Without arguments: all of them. What is in the cache and intact is not fetched again.

import { UserError } from '../src/base/errors.ts'
import { debianFile, debianInstaller, debianKernel, demoGuest } from '../src/node/debian-guests.ts'

const say = (line: string): void => console.error(line)

const image = async (packageName: string, path: string): Promise<object> => ({
  kernel: await debianFile(packageName, path, { say }),
})

const GUESTS: Readonly<Record<string, () => Promise<object>>> = {
  demo: () => demoGuest({ say }),
  cloud: async () => ({ kernel: await debianKernel('cloud', { say }) }),
  generic: async () => ({ kernel: await debianKernel('generic', { say }) }),
  installer: () => debianInstaller({ say }),
  'grub-pvh': () => image('grub-xen-host', 'usr/lib/grub-xen/grub-i386-xen_pvh.bin'),
  'grub-pv32': () => image('grub-xen-host', 'usr/lib/grub-xen/grub-i386-xen.bin'),
  'grub-pv64': () => image('grub-xen-host', 'usr/lib/grub-xen/grub-x86_64-xen.bin'),
  'xen-shim': () => image('xen-utils-4.17', 'usr/lib/xen-4.17/boot/xen-shim'),
}

const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(GUESTS)
try {
  for (const name of wanted) {
    const fetch = GUESTS[name]
    if (!fetch) {
      throw new UserError(
        `Cannot fetch "${name}".`,
        'There is no guest of that name.',
        `Choose among ${Object.keys(GUESTS).join(', ')}.`,
      )
    }
    console.log(JSON.stringify({ name, ...(await fetch()) }))
  }
} catch (cause) {
  if (!(cause instanceof UserError)) throw cause
  console.error(cause.message)
  process.exitCode = 1
}
