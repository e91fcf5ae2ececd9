// The wire protocol: messages of a header and at most 4096 bytes of payload.
// Follows docs/misc/xenstore.txt and public/io/xs_wire.h, whose names are kept.

import { Layout } from '../../base/layout.ts'

export const XS_CONTROL = 0
export const XS_DIRECTORY = 1
export const XS_READ = 2
export const XS_GET_PERMS = 3
export const XS_WATCH = 4
export const XS_UNWATCH = 5
export const XS_TRANSACTION_START = 6
export const XS_TRANSACTION_END = 7
export const XS_INTRODUCE = 8
export const XS_RELEASE = 9
export const XS_GET_DOMAIN_PATH = 10
export const XS_WRITE = 11
export const XS_MKDIR = 12
export const XS_RM = 13
export const XS_SET_PERMS = 14
export const XS_WATCH_EVENT = 15
export const XS_ERROR = 16
export const XS_IS_DOMAIN_INTRODUCED = 17
export const XS_RESUME = 18
export const XS_SET_TARGET = 19
export const XS_RESET_WATCHES = 21
export const XS_DIRECTORY_PART = 22

export const XENSTORE_PAYLOAD_MAX = 4096
export const XENSTORE_ABS_PATH_MAX = 3072
export const XENSTORE_REL_PATH_MAX = 2048

/** The header of every message. */
export const xsd_sockmsg = new Layout('xsd_sockmsg', {
  type: 'u32',
  req_id: 'u32',
  tx_id: 'u32',
  len: 'u32',
})

/** The errors that have a name on the wire. Operations return one of these in place of a result. */
export type Errno =
  | 'EINVAL'
  | 'EACCES'
  | 'EEXIST'
  | 'EISDIR'
  | 'ENOENT'
  | 'ENOMEM'
  | 'ENOSPC'
  | 'EIO'
  | 'ENOTEMPTY'
  | 'ENOSYS'
  | 'EROFS'
  | 'EBUSY'
  | 'EAGAIN'
  | 'EISCONN'
  | 'E2BIG'
  | 'EPERM'

/** Results are never strings, so a string is an error. */
export function isErrno(result: unknown): result is Errno {
  return typeof result === 'string'
}

/** One message in either direction. */
export interface Message {
  readonly type: number
  readonly requestId: number
  readonly transactionId: number
  readonly payload: Uint8Array
}

/** Header and payload in a row. */
export function encodeMessage(message: Message): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(xsd_sockmsg.size + message.payload.length)
  xsd_sockmsg.write(new DataView(bytes.buffer), 0, {
    type: message.type,
    req_id: message.requestId,
    tx_id: message.transactionId,
    len: message.payload.length,
  })
  bytes.set(message.payload, xsd_sockmsg.size)
  return bytes
}

/**
 * Bytes as text, one character a byte, so that any token or path survives the way back.
 * Values are never treated so: they stay bytes.
 */
export function textOf(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return text
}

/** The inverse of {@link textOf}; characters above 255 lose their upper bits. */
export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (c) => c.charCodeAt(0))
}

/** Strings, each followed by its NUL. */
export function encodeStrings(...strings: readonly string[]): Uint8Array<ArrayBuffer> {
  return bytesOf(strings.map((s) => `${s}\0`).join(''))
}

/** The strings that end with a NUL; bytes behind the last NUL are not among them. */
export function decodeStrings(payload: Uint8Array): string[] {
  return textOf(payload).split('\0').slice(0, -1)
}

/** The payload as a single string with its NUL at the very end, or undefined. */
export function decodeString(payload: Uint8Array): string | undefined {
  const isString = payload.length > 0 && payload.indexOf(0) === payload.length - 1
  return isString ? textOf(payload.subarray(0, -1)) : undefined
}
