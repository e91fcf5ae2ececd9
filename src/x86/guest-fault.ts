// An exception of the guest's own making, on its way from TypeScript code that runs a part of an
// instruction to the run loop that delivers it. (Emitted code records faults in the state block.)

/** Thrown by host instructions only; carries what delivery needs and no stack trace. */
export class GuestFault {
  readonly vector: number
  /** Error code, for vectors that push one. */
  readonly code: number
  /** CR2 for page faults. */
  readonly address: bigint

  constructor(vector: number, code = 0, address = 0n) {
    this.vector = vector
    this.code = code
    this.address = address
  }
}
