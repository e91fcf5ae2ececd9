// An exception of the guest's own making, on its way from TypeScript code that runs a part of an
// instruction to the run loop that delivers it. (Emitted code records faults in the state block.)

/** Thrown by TypeScript code only; carries what delivery needs and no stack trace. */
export class GuestFault {
  readonly vector: number
  /** Error code, for vectors that push one. */
  readonly code: number
  /** CR2 for page faults. */
  readonly address: bigint
  /** What the instruction has done so far stands, and RIP is where to go on (task switches). */
  readonly isCommitted: boolean

  constructor(vector: number, code = 0, address = 0n, isCommitted = false) {
    this.vector = vector
    this.code = code
    this.address = address
    this.isCommitted = isCommitted
  }
}
