// The I/O ports of a PVH domain: almost none. There is no PIC, PIT, CMOS or PCI; reads give all
// ones. The exception is the ACPI PM1a block that the tables name: event registers at 0xb000, the
// control register at 0xb004, in which a guest may ask for the power to be switched off (S5).

import { invariant } from '../base/errors.ts'

export const PM1A_EVENT = 0xb000
export const PM1A_CONTROL = 0xb004

const SCI_ENABLED = 1
const SLEEP_ENABLE = 1 << 13

/** The plain form of {@link PlatformPorts}. */
export interface PlatformPortsState {
  readonly version: 1
  readonly enable: number
  readonly control: number
}

export class PlatformPorts {
  readonly #powerOff: () => void
  #enable = 0
  #control = 0

  /** `powerOff` is called when the guest enters a sleep state; only S5 is advertised. */
  constructor(powerOff: () => void) {
    this.#powerOff = powerOff
  }

  /** Reads `size` bytes (1, 2 or 4). */
  read(port: number, size: number): number {
    let value = 0
    for (let i = 0; i < size; i++) value += this.#readByte(port + i) * 2 ** (8 * i)
    return value
  }

  /** Writes the low `size` bytes of a value. */
  write(port: number, size: number, value: number): void {
    for (let i = 0; i < size; i++) this.#writeByte(port + i, (value >>> (8 * i)) & 0xff)
  }

  save(): PlatformPortsState {
    return { version: 1, enable: this.#enable, control: this.#control }
  }

  restore(state: PlatformPortsState): void {
    invariant(state.version === 1, `ports of version ${state.version} are not known`)
    this.#enable = state.enable
    this.#control = state.control
  }

  #readByte(port: number): number {
    switch (port) {
      case PM1A_EVENT:
      case PM1A_EVENT + 1:
        return 0
      case PM1A_EVENT + 2:
        return this.#enable & 0xff
      case PM1A_EVENT + 3:
        return this.#enable >> 8
      case PM1A_CONTROL:
        return (this.#control & 0xff) | SCI_ENABLED
      case PM1A_CONTROL + 1:
        return this.#control >> 8
      default:
        return 0xff
    }
  }

  #writeByte(port: number, byte: number): void {
    switch (port) {
      case PM1A_EVENT + 2:
        this.#enable = (this.#enable & 0xff00) | byte
        return
      case PM1A_EVENT + 3:
        this.#enable = (this.#enable & 0xff) | (byte << 8)
        return
      case PM1A_CONTROL:
        this.#control = (this.#control & 0xff00) | byte
        return
      case PM1A_CONTROL + 1:
        this.#control = (this.#control & 0xff) | ((byte << 8) & ~SLEEP_ENABLE)
        if ((byte << 8) & SLEEP_ENABLE) this.#powerOff()
        return
    }
  }
}
