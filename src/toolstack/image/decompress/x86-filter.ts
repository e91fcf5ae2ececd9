// The x86 filter of .xz files (BCJ): before compression, the 32-bit displacement behind each
// CALL (E8) and JMP (E9) was made absolute, which repeats more often; this undoes it. What counts
// as an instruction is a guess from nearby bytes, and encoder and decoder must guess alike.

/** Undoes the filter in place; `start` is the position of the first byte (the filter's option). */
export function undoX86Filter(bytes: Uint8Array, start = 0): void {
  // Bit d-1: an opcode stands d bytes back that was left alone.
  let recent = 0
  const last = bytes.length - 5
  for (let at = 0; at <= last; at++) {
    const opcode = bytes[at] as number
    if ((opcode & 0xfe) !== 0xe8) {
      recent = (recent << 1) & 7
      continue
    }
    const distance = recent === 4 ? 3 : recent
    const isHidden =
      recent === 3 || recent > 4 || (distance > 0 && isSignByte(bytes[at + 4 - distance] as number))
    if (isHidden || !isSignByte(bytes[at + 4] as number)) {
      recent = ((recent << 1) | 1) & 7
      continue
    }
    const absolute = getU32(bytes, at + 1)
    putU32(bytes, at + 1, relative(absolute, start + at + 5, distance))
    // The four bytes of the displacement are skipped, so no opcode is near any more.
    at += 4
    recent = 0
  }
}

/**
 * The displacement for an absolute target. With an opcode left alone `distance` bytes back, the
 * encoder took care that the byte where that one's sign would stand does not look like a sign.
 */
function relative(absolute: number, nextInstruction: number, distance: number): number {
  let value = absolute
  for (;;) {
    const result = (value - nextInstruction) | 0
    if (distance === 0 || !isSignByte((result >>> (24 - 8 * distance)) & 0xff)) {
      return signExtend25(result)
    }
    value = result ^ ((2 ** (32 - 8 * distance) - 1) | 0)
  }
}

function signExtend25(value: number): number {
  return (value << 7) >> 7
}

/** The top byte of a displacement within ±16 MiB. */
function isSignByte(byte: number): boolean {
  return byte === 0 || byte === 0xff
}

function getU32(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  )
}

function putU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
}
