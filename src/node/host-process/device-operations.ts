// The operations of a host process that concern disks and network interfaces, one row each.

import { attachDisk, attachVif, detachDisk, detachVif } from '../domains/devices.ts'
import type { Handlers } from './handler.ts'

export const DEVICE_OPERATIONS: Handlers<
  | 'block-list'
  | 'block-attach'
  | 'block-detach'
  | 'network-list'
  | 'network-attach'
  | 'network-detach'
> = {
  'block-list': ({ table }, { domain }) => table.findLiving(domain).running.disks.list(),
  'block-attach': ({ table }, { domain, disk }) => {
    attachDisk(table.findLiving(domain), disk)
    return null
  },
  'block-detach': async ({ table }, { domain, vdev, isForced }) => {
    await detachDisk(table.findLiving(domain), vdev, isForced)
    return null
  },
  'network-list': ({ table }, { domain }) => table.findLiving(domain).running.networks.list(),
  'network-attach': async ({ table }, { domain, vif }) => {
    await attachVif(table.findLiving(domain), vif)
    return null
  },
  'network-detach': async ({ table }, { domain, device }) => {
    await detachVif(table.findLiving(domain), device)
    return null
  },
}
