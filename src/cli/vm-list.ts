// vm-list: the guests with their UUIDs.

import { EXIT_OK } from './exit-status.ts'
import { chosenDomains, HOST_OPTION, JSON_OPTION } from './host-option.ts'
import type { Verb } from './verb.ts'

export const vmList: Verb = {
  name: 'vm-list',
  summary: 'list the guests with their UUIDs',
  options: [JSON_OPTION, HOST_OPTION],
  examples: [['xenolith vm-list', 'UUID, number and name of each guest']],
  async run(args, context) {
    const domains = await chosenDomains(args, context)
    const { stdout } = context
    if (args.flag('json')) {
      stdout.write(`${JSON.stringify(domains.map(({ uuid, id, name }) => ({ uuid, id, name })))}\n`)
      return EXIT_OK
    }
    stdout.write(`${'UUID'.padEnd(36)}  ${'ID'.padEnd(5)} name\n`)
    for (const { uuid, id, name } of domains) {
      stdout.write(`${uuid}  ${String(id).padEnd(5)} ${name}\n`)
    }
    return EXIT_OK
  },
}
