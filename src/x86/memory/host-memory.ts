// The host's one memory: everything that WebAssembly code touches lies in it, from the state of
// the virtual processors to the machine frames of the guests. Areas are handed out from the bottom
// up; what remains belongs to the frame table of the machine. Those of a processor that has gone
// are given back and serve the next one.

import { Bug } from '../../base/errors.ts'

const PAGE = 65536

/** An area that was handed out, for maps of the memory in diagnostics. */
export interface Area {
  readonly name: string
  readonly offset: number
  readonly bytes: number
}

export class HostMemory {
  readonly memory: WebAssembly.Memory
  readonly view: DataView
  readonly u8: Uint8Array
  readonly u16: Uint16Array
  readonly u32: Uint32Array
  readonly i32: Int32Array
  readonly u64: BigUint64Array
  readonly areas: Area[] = []
  /** Areas that were given back, by name and size. */
  readonly #released = new Map<string, number[]>()
  /** Bytes of the whole memory. */
  readonly size: number
  // Offset 0 stays unused: it stands for "none" in every pointer that WebAssembly code keeps.
  #next = 4096
  #end: number

  /** A memory of at least `bytes` bytes; untouched parts cost nothing on the hosts we know. */
  constructor(bytes: number) {
    const pages = Math.ceil(bytes / PAGE)
    if (pages > 65536) throw new Bug(`a host memory of ${bytes} bytes needs 64-bit addresses`)
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages })
    const { buffer } = this.memory
    this.size = buffer.byteLength
    this.#end = this.size
    this.view = new DataView(buffer)
    this.u8 = new Uint8Array(buffer)
    this.u16 = new Uint16Array(buffer)
    this.u32 = new Uint32Array(buffer)
    this.i32 = new Int32Array(buffer)
    this.u64 = new BigUint64Array(buffer)
  }

  /**
   * Hands out an area of zeros; the offset is a multiple of `align` (a power of two), the same for
   * all areas of a name.
   */
  allocate(bytes: number, align = 64, name = 'unnamed'): number {
    const released = this.#released.get(`${name} ${bytes}`)?.pop()
    if (released !== undefined) {
      this.u8.fill(0, released, released + bytes)
      return released
    }
    const offset = Math.ceil(this.#next / align) * align
    if (offset + bytes > this.#end) {
      throw new Bug(`${name}: ${bytes} bytes do not fit into the host's memory`)
    }
    this.#next = offset + bytes
    this.areas.push({ name, offset, bytes })
    return offset
  }

  /** Takes an area back that nobody uses any more. */
  release(offset: number): void {
    const area = this.areas.find((one) => one.offset === offset)
    if (!area) throw new Bug(`no area was handed out at offset ${offset}`)
    const key = `${area.name} ${area.bytes}`
    const released = this.#released.get(key) ?? []
    this.#released.set(key, released)
    released.push(offset)
  }

  /** Hands out an area at the end of what is left; `bytes` is a multiple of 4096. */
  allocateAtEnd(bytes: number, name: string): number {
    const offset = this.#end - bytes
    if (offset < this.#next)
      throw new Bug(`${name}: ${bytes} bytes do not fit into the host's memory`)
    this.#end = offset
    this.areas.push({ name, offset, bytes })
    return offset
  }

  /** Bytes that are not handed out yet. */
  get available(): number {
    return this.#end - this.#next
  }
}
