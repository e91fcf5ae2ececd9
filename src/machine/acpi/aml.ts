// The little of ACPI's machine language that describes processors. (ACPI 5.0, chapter 20: each
// function gives the bytes of the term of that name.)

const SCOPE_OP = 0x10
const NAME_OP = 0x08
const EXTENDED = 0x5b
const DEVICE_OP = 0x82
const PROCESSOR_OP = 0x83
const STRING_PREFIX = 0x0d
const ROOT = 0x5c

/** `Scope (\NAME) { terms }`; a name has four characters. */
export function scope(name: string, terms: readonly number[]): number[] {
  return [SCOPE_OP, ...packaged([ROOT, ...ascii(name), ...terms])]
}

/** `Name (NAME, value)`. */
export function name(id: string, value: readonly number[]): number[] {
  return [NAME_OP, ...ascii(id), ...value]
}

/** `Device (NAME) { terms }`. */
export function device(id: string, terms: readonly number[]): number[] {
  return [EXTENDED, DEVICE_OP, ...packaged([...ascii(id), ...terms])]
}

/** `Processor (NAME, id, address, length) { terms }`: with the I/O ports of its power states. */
export function processor(
  id: string,
  processorId: number,
  ports: { readonly address: number; readonly length: number },
  terms: readonly number[],
): number[] {
  const head = [...ascii(id), processorId, ...littleEndian(ports.address, 4), ports.length]
  return [EXTENDED, PROCESSOR_OP, ...packaged([...head, ...terms])]
}

export function string(text: string): number[] {
  return [STRING_PREFIX, ...ascii(text), 0]
}

/** An integer below 2^32, in the shortest of its forms. */
export function integer(value: number): number[] {
  if (value < 2) return [value]
  if (value < 0x100) return [0x0a, value]
  return value < 0x10000 ? [0x0b, ...littleEndian(value, 2)] : [0x0c, ...littleEndian(value, 4)]
}

/** PkgLength and the bytes it covers: its own length is part of what it says. (20.2.4) */
function packaged(body: readonly number[]): number[] {
  if (body.length + 1 < 0x40) return [body.length + 1, ...body]
  let extra = 1
  while (body.length + 1 + extra >= 2 ** (4 + 8 * extra)) extra++
  const length = body.length + 1 + extra
  return [(extra << 6) | (length & 15), ...littleEndian(Math.floor(length / 16), extra), ...body]
}

function littleEndian(value: number, bytes: number): number[] {
  return Array.from({ length: bytes }, (_, i) => Math.floor(value / 256 ** i) & 0xff)
}

function ascii(text: string): number[] {
  return Array.from(text, (character) => character.charCodeAt(0))
}
