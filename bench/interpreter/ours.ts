// Runs an image on our processor and prints, as JSON, the milliseconds between its marks, the
// instructions, its checksum, and how long the machine took to start. A process of its own: what
// V8 has compiled in one run would serve the next.

import { readFileSync } from 'node:fs'
import { ALL_FEATURES, BareMachine } from '../../src/x86/testing/bare-machine.ts'
import { LOAD_ADDRESS } from './kernels.ts'
import { MarkedOutput, type Measured } from './marked-output.ts'

/** What this prints. */
export interface Ours extends Measured {
  readonly instructions: number
  /** Processor time of the thread between the marks: what others on the machine do is left out. */
  readonly cpuMs: number
  /** Milliseconds from the creation of the machine to the kernel's start mark. */
  readonly startMs: number
}

const RAM = 32 << 20
/** About what a turn of a virtual processor is under the hypervisor. */
const AT_A_TIME = 100_000

const [path] = process.argv.slice(2)
if (path === undefined) throw new Error('the path of an image is missing')
const created = performance.now()
const machine = new BareMachine(RAM, 64, ALL_FEATURES, 'off')
const output = new MarkedOutput()
machine.load(LOAD_ADDRESS, readFileSync(path))
machine.cpu.rip = BigInt(LOAD_ADDRESS)
const cpuTime = () => {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
const cpuOutput = new MarkedOutput()
machine.onPortWrite = (port, value) => {
  if (port !== 0xe9) return
  output.put(value, performance.now())
  cpuOutput.put(value, cpuTime())
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
  cpuMs: cpuOutput.ms,
  checksum: output.checksum,
  instructions,
  startMs: output.startMs - created,
}
console.log(JSON.stringify(measured))
