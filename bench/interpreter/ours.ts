// Runs an image on our processor and prints, as JSON, the milliseconds and the instructions
// between its marks, its checksum, and how long the machine took to start. A process of its own:
// the compiled handlers of one run would serve the next.

import { readFileSync } from 'node:fs'
import { BareMachine } from '../../src/x86/testing/bare-machine.ts'
import { LOAD_ADDRESS } from './kernels.ts'
import { MarkedOutput, type Measured } from './marked-output.ts'

/** What this prints. */
export interface Ours extends Measured {
  readonly instructions: number
  /** Milliseconds from the creation of the machine to the kernel's start mark. */
  readonly startMs: number
}

const RAM = 32 << 20
const AT_A_TIME = 20_000_000

const [path] = process.argv.slice(2)
if (path === undefined) throw new Error('the path of an image is missing')
const created = performance.now()
const machine = new BareMachine(RAM)
const output = new MarkedOutput()
machine.load(LOAD_ADDRESS, readFileSync(path))
machine.cpu.rip = BigInt(LOAD_ADDRESS)
machine.onPortWrite = (port, value) => {
  if (port === 0xe9) output.put(value, performance.now())
}
let instructions = 0
for (;;) {
  const { executed, reason } = machine.cpu.run(AT_A_TIME)
  instructions += executed
  if (reason === 'halt') break
  if (reason === 'exit') machine.cpu.rest()
  else if (reason !== 'budget')
    throw new Error(`${path} ended with ${reason}: ${machine.cpu.shutdownCause}`)
}
if (!output.isComplete) throw new Error(`${path} did not print its checksum`)
const measured: Ours = {
  ms: output.ms,
  checksum: output.checksum,
  instructions,
  startMs: output.startMs - created,
}
console.log(JSON.stringify(measured))
