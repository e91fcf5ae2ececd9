// Frames on a stream of bytes: each with its length before it, four bytes in network order, as
// QEMU's `-netdev stream` and passt have it.

/** Longer frames are no frames: the other side has lost its place. */
const MOST_BYTES = 65535 + 14

/** A frame as it goes onto the stream. */
export function encodeFrame(frame: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(4 + frame.length)
  new DataView(bytes.buffer).setUint32(0, frame.length)
  bytes.set(frame, 4)
  return bytes
}

/** Takes the stream in pieces as they come and gives the frames. */
export class FrameReader {
  #rest = new Uint8Array()

  /**
   * The frames that are complete with `bytes`.
   * @throws RangeError if the stream cannot be one of frames
   */
  add(bytes: Uint8Array): Uint8Array[] {
    let input = bytes
    if (this.#rest.length > 0) {
      input = new Uint8Array(this.#rest.length + bytes.length)
      input.set(this.#rest)
      input.set(bytes, this.#rest.length)
    }
    const view = new DataView(input.buffer, input.byteOffset, input.length)
    const frames: Uint8Array[] = []
    let at = 0
    while (at + 4 <= input.length) {
      const length = view.getUint32(at)
      if (length > MOST_BYTES) throw new RangeError(`a frame of ${length} bytes`)
      if (at + 4 + length > input.length) break
      frames.push(input.slice(at + 4, at + 4 + length))
      at += 4 + length
    }
    this.#rest = input.slice(at)
    return frames
  }
}
