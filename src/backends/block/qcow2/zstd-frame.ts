// Where a zstd frame ends (RFC 8878, 3.1.1). Compressed clusters do not say how long they are, and
// what follows one may be the next one, which decompressors would go on with.

/** Bytes of the frame that `input` starts with; undefined if it is none, or is cut short. */
export function zstdFrameBytes(input: Uint8Array): number | undefined {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength)
  if (input.length < 6 || view.getUint32(0, true) !== 0xfd2fb528) return undefined
  const descriptor = view.getUint8(4)
  const isSingleSegment = (descriptor & 0x20) !== 0
  const hasChecksum = (descriptor & 4) !== 0
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0
  const sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0
  let at = 5 + (isSingleSegment ? 0 : 1) + dictionaryBytes + sizeBytes
  for (let isLast = false; !isLast; ) {
    if (at + 3 > input.length) return undefined
    const header = view.getUint16(at, true) | (view.getUint8(at + 2) << 16)
    isLast = (header & 1) !== 0
    const isRun = ((header >> 1) & 3) === 1
    at += 3 + (isRun ? 1 : header >> 3)
  }
  const end = at + (hasChecksum ? 4 : 0)
  return end <= input.length ? end : undefined
}
