// Checks a guest that came as data, not as a file: what a client sends to a host process. Our own
// command has read it from a file with the same limits, where a mistake has a line and a column;
// this is for other clients, and names the key. Disks and interfaces are checked where they are opened.

import { UserError } from '../../base/errors.ts'
import { EVENT_ABI_NAMES } from '../../xen/event-abi.ts'
import { ACTIONS, checkName, type GuestFile, LIMITS } from './guest-file.ts'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** @throws UserError for a value that no guest file could have */
export function checkGuest(guest: GuestFile): void {
  const wrongName = checkName(guest.name)
  if (wrongName !== undefined) throw wrong('name', guest.name, wrongName)
  if (guest.type !== 'pvh') throw wrong('type', guest.type, 'it is pvh')
  if (guest.kernel === '') throw wrong('kernel', '', 'it is a path')
  if (guest.uuid !== undefined && !UUID.test(guest.uuid)) {
    throw wrong('uuid', guest.uuid, 'it is 32 hexadecimal digits, with hyphens')
  }
  const numbers: Readonly<Record<keyof typeof LIMITS, number | undefined>> = {
    memory: guest.memoryMiB,
    maxmem: guest.maxMemoryMiB,
    vcpus: guest.vcpus,
    maxvcpus: guest.maxVcpus,
    cpu_weight: guest.weight,
    cap: guest.cap,
    max_event_channels: guest.maxEventChannels,
    max_grant_frames: guest.maxGrantFrames,
    max_maptrack_frames: guest.maxMaptrackFrames,
    max_grant_version: guest.maxGrantVersion,
  }
  for (const [key, value] of Object.entries(numbers)) {
    const [least, most] = LIMITS[key as keyof typeof LIMITS]
    if (value !== undefined && (value < least || value > most)) {
      throw wrong(key, value, `it is ${least} to ${most}`)
    }
  }
  if (guest.maxMemoryMiB < guest.memoryMiB) {
    throw wrong('maxmem', guest.maxMemoryMiB, `memory is ${guest.memoryMiB}`)
  }
  if (guest.maxVcpus < guest.vcpus) {
    throw wrong('maxvcpus', guest.maxVcpus, `vcpus is ${guest.vcpus}`)
  }
  const actions = {
    on_poweroff: guest.onPoweroff,
    on_reboot: guest.onReboot,
    on_watchdog: guest.onWatchdog,
    on_crash: guest.onCrash,
  }
  for (const [key, action] of Object.entries(actions)) {
    if (!ACTIONS.includes(action)) throw wrong(key, action, `it is one of ${ACTIONS.join(', ')}`)
  }
  const abi = guest.eventChannelAbi?.find((name) => !EVENT_ABI_NAMES.includes(name))
  if (abi !== undefined) throw wrong('event_channel_abi', abi, 'there is no such ABI')
}

function wrong(key: string, value: string | number, why: string): UserError {
  return new UserError(
    `${key} cannot be ${typeof value === 'number' ? value : JSON.stringify(value)}.`,
    `${why[0]?.toUpperCase()}${why.slice(1)}.`,
    'Mend the guest file, or what has sent it.',
  )
}
