// What the thread of compiler-thread.ts runs.

import { constants, getPriority, setPriority } from 'node:os'
import { parentPort } from 'node:worker_threads'
import '../x86/instructions/all.ts'
import { OrderCompiler } from '../x86/translator/order-compiler.ts'
import type { Order } from '../x86/translator/region-order.ts'
import type { Introduction } from './compiler-thread.ts'

/**
 * So much nicer than the process is the thread: where processors are few, the guest and the engine's
 * own compiler go first (10 % in bench/guest).
 */
const NICENESS = 10

// Elsewhere that would be the whole process.
if (process.platform === 'linux') {
  setPriority(0, Math.min(getPriority(0) + NICENESS, constants.priority.PRIORITY_LOW))
}

parentPort?.on('message', ({ setup, port }: Introduction) => {
  const compiler = new OrderCompiler(setup, () => performance.now())
  port.on('message', (order: Order) => port.postMessage(compiler.make(order)))
})
