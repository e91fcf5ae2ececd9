// block-list, block-attach and block-detach: a domain's disks.

import { parseDiskSpec } from '../toolstack/disk-spec.ts'
import { columns, deviceList } from './device-list.ts'
import { domainVerb } from './domain-verb.ts'
import { withPath } from './guest-file-options.ts'

const WIDTHS = [5, 3, 6, 5, 6, 8, 30]

export const blockList = deviceList({
  name: 'block-list',
  summary: 'list the disks of a domain',
  examples: [
    ['xenolith block-list web', 'the disks of "web"'],
    ['xenolith block-list web --json', 'also images, sizes and what was read and written'],
  ],
  description: [
    'Number of the virtual device, domain of the backend, number of the domain, state of the ' +
      "guest's end (4 is connected), and its event channel and the grant of its ring, or -1 where " +
      'it has several.',
  ],
  head: columns(WIDTHS, ['Vdev', 'BE', 'handle', 'state', 'evt-ch', 'ring-ref', 'BE-path']),
  devices: (client, domain) => client.call('block-list', { domain }),
  row: ({ devid, frontendState, eventChannel, ringRef, backendPath }, domid) =>
    columns(WIDTHS, [devid, 0, domid, frontendState, eventChannel, ringRef, backendPath]),
})

export const blockAttach = domainVerb({
  name: 'block-attach',
  summary: 'plug a disk into a domain',
  operands: 'domain-id disc-spec-component ...',
  leastOperands: 2,
  mostOperands: Number.POSITIVE_INFINITY,
  examples: [
    ['xenolith block-attach web data.qcow2,qcow2,xvdb', 'the image becomes /dev/xvdb of "web"'],
    ['xenolith block-attach web vdev=xvdb format=raw target=data.img', 'the same by names'],
  ],
  description: [
    'The specification is that of disk in a guest file (xl-disk-configuration(5)); its parts may ' +
      'be operands of their own. A relative path is meant from the folder that the command runs ' +
      'in. The domain keeps the disk when it reboots.',
  ],
  work: async (client, domain, { operands: [, ...parts] }) =>
    client.call('block-attach', { domain, disk: withPath(parseDiskSpec(parts.join(','))) }),
})

export const blockDetach = domainVerb({
  name: 'block-detach',
  summary: 'unplug a disk from a domain',
  operands: 'domain-id devid',
  leastOperands: 2,
  mostOperands: 2,
  options: [{ name: 'force', summary: 'take it away, whatever the guest does with it' }],
  examples: [['xenolith block-detach web xvdb', 'take the disk xvdb from "web"']],
  description: [
    'The device is its name or its number. The guest has ten seconds to give it back; it does not ' +
      'while it uses it.',
  ],
  work: async (client, domain, args) =>
    client.call('block-detach', {
      domain,
      vdev: args.operands[1] ?? '',
      isForced: args.flag('force'),
    }),
})
