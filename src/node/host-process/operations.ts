// The operations of a host process, one row each: checks what was sent and does it. What is sent is
// JSON from this user's own tools, but still checked: a mistake in it is an error, not a bug.

import { arch, hostname, type } from 'node:os'
import manifest from '../../../package.json' with { type: 'json' }
import { UserError } from '../../base/errors.ts'
import { cpuSeconds } from '../../toolstack/domain-info.ts'
import {
  askSysrq,
  askToShutDown,
  setCredit,
  setMaxMemory,
  setTarget,
  setVcpus,
  trigger,
} from '../../toolstack/guest-control.ts'
import { checkGuest } from '../../toolstack/guest-file/check-guest.ts'
import { debugKey } from '../domains/debug-keys.ts'
import type { DomainTable } from '../domains/domain-table.ts'
import { DEVICE_OPERATIONS } from './device-operations.ts'
import type { Handler, Handlers, OperationWorld } from './handler.ts'
import { type HostInfo, type OperationName, type Parameters, PROTOCOL_VERSION } from './protocol.ts'

const KIB_PER_PAGE = 4

export const OPERATIONS: Handlers<OperationName> = {
  ...DEVICE_OPERATIONS,
  host: (world) => hostInfo(world),
  stop: ({ table, stop }, { isForced }) => {
    const names = table.all().map(({ name }) => name)
    if (names.length > 0 && !isForced) {
      throw new UserError(
        'The host was not stopped.',
        `It has domains: ${names.slice(0, 8).join(', ')}${names.length > 8 ? ', …' : ''}.`,
        'End them first (xenolith shutdown -a -w), or give --force to destroy them.',
      )
    }
    stop()
    return null
  },
  list: ({ table }) => table.all().map((managed) => table.info(managed)),
  find: ({ table }, { domain }) => table.info(table.find(domain)),
  file: ({ table }, { domain }) => table.find(domain).file,
  create: async ({ table }, { guest, isPaused }, progress) => {
    checkGuest(guest)
    const managed = await table.create(guest, isPaused, (phase, ms, detail) =>
      progress({ phase, ms, detail }),
    )
    return table.info(managed)
  },
  'config-update': ({ table }, { domain, guest }) => {
    checkGuest(guest)
    const managed = table.find(domain)
    // Its name and its UUID are those of the domain, whatever the file says.
    managed.file = { ...guest, name: managed.name, uuid: managed.file.uuid }
    return null
  },
  destroy: ({ table }, { domain }) => {
    const managed = table.find(domain)
    const info = table.info(managed)
    table.destroy(managed)
    return info
  },
  shutdown: ({ table }, { domain, request }) => {
    const managed = table.findLiving(domain)
    askToShutDown(managed.running.guest, request)
    table.host.wake()
    return table.info(managed)
  },
  pause: ({ table }, { domain }) => {
    table.pause(table.findLiving(domain))
    return null
  },
  unpause: ({ table }, { domain }) => {
    table.unpause(table.findLiving(domain))
    return null
  },
  rename: ({ table }, { domain, name }) => {
    table.rename(table.findLiving(domain), name)
    return null
  },
  'mem-set': onGuest((guest, { kib }) => setTarget(guest, kib)),
  'mem-max': onGuest((guest, { kib }) => setMaxMemory(guest, kib)),
  'vcpu-set': onGuest((guest, { count }) => setVcpus(guest, count)),
  credit: ({ table }, { domain, weight, cap }) => {
    const managed = table.findLiving(domain)
    setCredit(managed.running.guest, weight, cap)
    const { credit } = managed.running.guest.domain
    // As with xl it outlives a reboot.
    managed.file = { ...managed.file, weight: credit.weight, cap: credit.cap }
    table.host.wake()
    return null
  },
  sysrq: onGuest((guest, { key }) => askSysrq(guest, key)),
  trigger: onGuest((guest, { what, vcpu }) => trigger(guest, what, vcpu)),
  'debug-keys': ({ table }, { keys }) => {
    for (const key of keys) debugKey(key, table)
    return null
  },
  dmesg: ({ table }, { isCleared }) => {
    const lines = table.log.lines()
    if (isCleared) table.log.clear()
    return lines
  },
  'console-text': ({ table }, { domain }) => {
    const record = table.recordOf(domain)
    const isThere = table.all().some(({ id, name }) => name === domain || String(id) === domain)
    if (record && !isThere) return record
    const { id, name, running } = table.find(domain)
    return { id, name, end: '', text: running.console.text() }
  },
}

type GuestOperation = 'mem-set' | 'mem-max' | 'vcpu-set' | 'sysrq' | 'trigger'
type Guest = ReturnType<DomainTable['find']>['running']['guest']

/** An operation on one guest, which may have to wake for it. */
function onGuest<K extends GuestOperation>(
  work: (guest: Guest, parameters: Parameters<K>) => void,
): Handler<K> {
  return ({ table }, parameters) => {
    work(table.findLiving(parameters.domain).running.guest, parameters)
    table.host.wake()
    return null
  }
}

function hostInfo({ name, time, table, xenstore }: OperationWorld): HostInfo {
  const { frames, clock } = table.host.xen
  const { heapTotal, external } = process.memoryUsage()
  const { user, system } = process.cpuUsage()
  const guests = table.all().reduce((sum, one) => sum + cpuSeconds(table.info(one)), 0)
  return {
    name,
    pid: process.pid,
    version: manifest.version,
    protocol: PROTOCOL_VERSION,
    time,
    xenstore,
    uptime: clock.now() / 1e9,
    totalMemoryKiB: frames.frames * KIB_PER_PAGE,
    freeMemoryKiB: frames.freeFrames * KIB_PER_PAGE,
    // The guests' memory is external to the heap, and all of it is counted there.
    ownMemoryKiB: Math.round((heapTotal + Math.max(0, external - 2 ** 32)) / 1024),
    ownSeconds: Math.max(0, (user + system) / 1e6 - (time === 'real' ? guests : 0)),
    domains: table.all().length,
    machine: hostname(),
    system: `${type()} ${arch()}`,
  }
}
