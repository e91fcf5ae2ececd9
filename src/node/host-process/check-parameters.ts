// Checks what a client sent to an operation: every field is there and of its type. Clients of the
// same version never fail here; others get an error in place of a host that misbehaves.

import { UserError } from '../../base/errors.ts'
import type { OperationName } from './protocol.ts'

/** A type; with "?" it may be left out. */
type FieldType = 'string' | 'number' | 'boolean' | 'array' | 'guest' | 'string?' | 'number?'
type Fields = Readonly<Record<string, FieldType>>

const DOMAIN: Fields = { domain: 'string' }

const PARAMETERS: Readonly<Record<OperationName, Fields>> = {
  host: {},
  stop: { isForced: 'boolean' },
  list: {},
  find: DOMAIN,
  file: DOMAIN,
  create: { guest: 'guest', isPaused: 'boolean' },
  'config-update': { ...DOMAIN, guest: 'guest' },
  destroy: DOMAIN,
  shutdown: { ...DOMAIN, request: 'string' },
  pause: DOMAIN,
  unpause: DOMAIN,
  rename: { ...DOMAIN, name: 'string' },
  'mem-set': { ...DOMAIN, kib: 'number' },
  'mem-max': { ...DOMAIN, kib: 'number' },
  'vcpu-set': { ...DOMAIN, count: 'number' },
  credit: { ...DOMAIN, weight: 'number?', cap: 'number?' },
  sysrq: { ...DOMAIN, key: 'string' },
  trigger: { ...DOMAIN, what: 'string', vcpu: 'number' },
  'debug-keys': { keys: 'string' },
  dmesg: { isCleared: 'boolean' },
  'console-text': DOMAIN,
}

const GUEST: Fields = {
  name: 'string',
  uuid: 'string?',
  type: 'string',
  kernel: 'string',
  ramdisk: 'string?',
  commandLine: 'string',
  memoryMiB: 'number',
  maxMemoryMiB: 'number',
  vcpus: 'number',
  maxVcpus: 'number',
  weight: 'number',
  cap: 'number',
  onPoweroff: 'string',
  onReboot: 'string',
  onWatchdog: 'string',
  onCrash: 'string',
  maxEventChannels: 'number?',
  maxGrantFrames: 'number?',
  maxMaptrackFrames: 'number?',
  maxGrantVersion: 'number?',
  disks: 'array',
  vifs: 'array',
}

/** @throws UserError */
export function checkParameters(operation: OperationName, sent: object): void {
  checkFields(operation, PARAMETERS[operation], sent)
}

function checkFields(where: string, fields: Fields, sent: object): void {
  const values = sent as Readonly<Record<string, unknown>>
  for (const [name, type] of Object.entries(fields)) {
    const value = values[name]
    if (type === 'guest') {
      if (typeof value !== 'object' || value === null) throw wrong(`${where}.${name}`, 'object')
      checkFields(`${where}.${name}`, GUEST, value)
      continue
    }
    const isOptional = type.endsWith('?')
    if (isOptional && (value === undefined || value === null)) continue
    const wanted = type.replace('?', '')
    const isRight = wanted === 'array' ? Array.isArray(value) : typeof value === wanted
    const isUsable = wanted !== 'number' || Number.isSafeInteger(value)
    if (!isRight || !isUsable) throw wrong(`${where}.${name}`, wanted)
  }
}

function wrong(field: string, type: string): UserError {
  return new UserError(
    'The request was not understood.',
    `Its field ${field} is no ${type === 'number' ? 'whole number' : type}.`,
    'Use a client of the same version: xenolith version.',
  )
}
