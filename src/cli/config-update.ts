// config-update: changes the guest file that a domain is started from next time.

import { EXIT_OK } from './exit-status.ts'
import { GUEST_FILE_OPTIONS, guestFileOf } from './guest-file-options.ts'
import { HOST_OPTION, runningHost } from './host-option.ts'
import type { Verb } from './verb.ts'

export const configUpdate: Verb = {
  name: 'config-update',
  summary: 'change what a domain is made from when it is started again',
  operands: 'domain-id [configfile] [key=value ...]',
  leastOperands: 1,
  mostOperands: Number.POSITIVE_INFINITY,
  options: [...GUEST_FILE_OPTIONS, HOST_OPTION],
  examples: [
    ['xenolith config-update web web.cfg', 'use web.cfg as it is now at the next reboot of "web"'],
  ],
  description: ['The domain keeps its name and its UUID, and runs on as it is until it reboots.'],
  async run(args, context) {
    const [domain = '', ...rest] = args.operands
    const client = await runningHost(args, context)
    await client.call('find', { domain })
    const { guest } = guestFileOf(args, rest, context)
    await client.call('config-update', { domain, guest })
    return EXIT_OK
  },
}
