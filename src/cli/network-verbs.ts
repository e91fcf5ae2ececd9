// network-list, network-attach and network-detach: a domain's network interfaces.

import { parseVifSpec } from '../toolstack/vif-config.ts'
import { columns, deviceList } from './device-list.ts'
import { domainVerb } from './domain-verb.ts'

export const networkList = deviceList({
  name: 'network-list',
  summary: 'list the network interfaces of a domain',
  examples: [
    ['xenolith network-list web', 'the interfaces of "web"'],
    ['xenolith network-list web --json', 'also addresses, forwarded ports and what has passed'],
  ],
  description: [
    "Number, domain of the backend, Ethernet address, number again, state of the guest's end (4 is " +
      'connected), and its event channel and the grants of its rings, or -1 where it has several.',
  ],
  head: `Idx BE Mac Addr.         handle state evt-ch   tx-/rx-ring-ref ${'BE-path'.padEnd(30)}`,
  devices: (client, domain) => client.call('network-list', { domain }),
  row: ({ devid, mac, frontendState, eventChannel, txRingRef, rxRingRef, backendPath }) => {
    const number = (value: number, width: number) => String(value).padStart(width)
    const rings = `${number(txRingRef, 5)}/${String(rxRingRef).padEnd(11)}`
    const state = `${number(devid, 6)} ${number(frontendState, 5)} ${number(eventChannel, 6)}`
    return `${columns([3, 2], [devid, 0])} ${mac}${state} ${rings} ${backendPath.padEnd(30)}`
  },
})

export const networkAttach = domainVerb({
  name: 'network-attach',
  summary: 'plug a network interface into a domain',
  operands: 'domain-id [network-device ...]',
  mostOperands: Number.POSITIVE_INFINITY,
  examples: [
    ['xenolith network-attach web bridge=xenbr0', 'connect "web" to the switch xenbr0'],
    ['xenolith network-attach web forward=8080:80', 'http://127.0.0.1:8080/ leads to the guest'],
  ],
  description: [
    'The interface is described as by vif in a guest file (xl-network-configuration(5), ' +
      'docs/reference/network-interfaces.md); its parts may be operands of their own. The domain ' +
      'keeps it, with its Ethernet address, when it reboots.',
  ],
  work: async (client, domain, { operands: [, ...parts] }, { stderr }) => {
    const vif = parseVifSpec(parts.join(','), ({ message, hint }) => {
      stderr.write(`warning: ${message}: ${hint ?? ''}\n`)
    })
    return client.call('network-attach', { domain, vif })
  },
})

export const networkDetach = domainVerb({
  name: 'network-detach',
  summary: 'unplug a network interface from a domain',
  operands: 'domain-id devid|mac',
  leastOperands: 2,
  mostOperands: 2,
  examples: [['xenolith network-detach web 0', 'take the first interface from "web"']],
  description: ['The guest has ten seconds to let go of it.'],
  work: async (client, domain, { operands: [, device = ''] }) =>
    client.call('network-detach', { domain, device }),
})
