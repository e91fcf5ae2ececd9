// Checks what a client sent to an operation: every field is there and of its type. Clients of the
// same version never fail here; others get an error in place of a host that misbehaves.

import { UserError } from '../../base/errors.ts'
import type { OperationName } from './protocol.ts'

/** A type, or the fields of an object; with "?" it may be left out, with "[]" it is a list. */
type FieldType = `${'string' | 'number' | 'boolean' | ObjectName}${'' | '?' | '[]' | '[]?'}`
type Fields = Readonly<Record<string, FieldType>>
type ObjectName = 'guest' | 'disk' | 'vif' | 'forward' | 'rate'

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
  'block-list': DOMAIN,
  'block-attach': { ...DOMAIN, disk: 'disk' },
  'block-detach': { ...DOMAIN, vdev: 'string', isForced: 'boolean' },
  'network-list': DOMAIN,
  'network-attach': { ...DOMAIN, vif: 'vif' },
  'network-detach': { ...DOMAIN, device: 'string' },
}

const OBJECTS: Readonly<Record<ObjectName, Fields>> = {
  guest: {
    name: 'string',
    uuid: 'string?',
    type: 'string',
    kernel: 'string?',
    ramdisk: 'string?',
    bootloader: 'string?',
    bootloaderArgs: 'string[]',
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
    eventChannelAbi: 'string[]?',
    maxEventChannels: 'number?',
    maxGrantFrames: 'number?',
    maxMaptrackFrames: 'number?',
    maxGrantVersion: 'number?',
    disks: 'disk[]',
    vifs: 'vif[]',
  },
  disk: {
    target: 'string?',
    format: 'string?',
    vdev: 'string',
    devid: 'number',
    isReadOnly: 'boolean',
    isCdrom: 'boolean',
    hasDiscard: 'boolean',
    isSnapshot: 'boolean',
  },
  vif: {
    mac: 'string?',
    bridge: 'string?',
    hasGateway: 'boolean?',
    forwards: 'forward[]?',
    ip: 'string?',
    mtu: 'number?',
    rate: 'rate?',
    vifname: 'string?',
    devid: 'number?',
    isTrusted: 'boolean?',
  },
  forward: { protocol: 'string', address: 'string', hostPort: 'number', guestPort: 'number' },
  rate: { bytes: 'number', intervalUs: 'number' },
}

/** @throws UserError */
export function checkParameters(operation: OperationName, sent: object): void {
  checkFields(operation, PARAMETERS[operation], sent)
}

function checkFields(where: string, fields: Fields, sent: object): void {
  const values = sent as Readonly<Record<string, unknown>>
  for (const [name, type] of Object.entries(fields)) {
    const value = values[name]
    if (type.endsWith('?') && value === undefined) continue
    const wanted = type.replace('?', '')
    const one = wanted.replace('[]', '')
    if (wanted === one) checkValue(`${where}.${name}`, one, value)
    else if (!Array.isArray(value)) throw wrong(`${where}.${name}`, 'list')
    else for (const [i, item] of value.entries()) checkValue(`${where}.${name}.${i}`, one, item)
  }
}

function checkValue(where: string, type: string, value: unknown): void {
  if (Object.hasOwn(OBJECTS, type)) {
    if (typeof value !== 'object' || value === null) throw wrong(where, 'object')
    return checkFields(where, OBJECTS[type as ObjectName], value)
  }
  const isUsable = type !== 'number' || Number.isSafeInteger(value)
  if (typeof value !== type || !isUsable) throw wrong(where, type)
}

function wrong(field: string, type: string): UserError {
  return new UserError(
    'The request was not understood.',
    `Its field ${field} is no ${type === 'number' ? 'whole number' : type}.`,
    'Use a client of the same version: xenolith version.',
  )
}
