// A thread of this process that makes regions for its hosts while their guests run. What it has made
// is taken between two messages of the event loop, as hosts do not return to that while a guest runs.

import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads'
import type {
  CompilerThread,
  Delivery,
  Order,
  ThreadSetup,
} from '../x86/translator/region-order.ts'

/**
 * It makes as much garbage as there is room for; with less, it collects more often. It needs about
 * 15 MiB; V8 lets a heap grow to four times what is needed, and one this small by a third.
 */
const ROOM = { maxYoungGenerationSizeMb: 6, maxOldGenerationSizeMb: 64 }

/** What the thread is told of a host. */
export interface Introduction {
  readonly setup: ThreadSetup
  /** Orders come here, and deliveries go there. */
  readonly port: MessagePort
}

let running: { readonly worker: Worker; hasEnded: boolean } | undefined

/** A host that is no more asks for nothing. */
const forgotten = new FinalizationRegistry<MessagePort>((port) => port.close())

/** Has the thread make regions for another host; starts it for the first one. */
export function startCompiler(setup: ThreadSetup): CompilerThread {
  running ??= startWorker()
  const { port1, port2 } = new MessageChannel()
  const introduction: Introduction = { setup, port: port2 }
  running.worker.postMessage(introduction, [port2])
  port1.unref()
  const thread = new PortThread(port1, running)
  forgotten.register(thread, port1)
  return thread
}

/** Bytes of the thread's heap that are used, what can be collected included; 0 without a thread. */
export async function threadHeapBytes(): Promise<number> {
  const worker = running?.worker
  if (worker === undefined) return 0
  // Its answer comes only to a process that waits for something.
  worker.ref()
  const { used_heap_size } = await worker.getHeapStatistics()
  worker.unref()
  return used_heap_size
}

function startWorker(): NonNullable<typeof running> {
  const worker = new Worker(new URL('./compiler-worker.ts', import.meta.url), {
    name: 'translator',
    resourceLimits: ROOM,
    // Not what the process was started with: a profile of this thread would take the place of its own.
    execArgv: ['--disable-warning=ExperimentalWarning'],
    env: { ...process.env, NODE_OPTIONS: '' },
  })
  const started = { worker, hasEnded: false }
  const end = () => {
    started.hasEnded = true
    if (running === started) running = undefined
  }
  // Whatever ended it: hosts go on alone, and meet it again if it is a bug.
  worker.on('error', end)
  worker.on('exit', end)
  worker.unref()
  return started
}

class PortThread implements CompilerThread {
  readonly #port: MessagePort
  readonly #running: { readonly hasEnded: boolean }

  constructor(port: MessagePort, thread: { readonly hasEnded: boolean }) {
    this.#port = port
    this.#running = thread
  }

  get hasEnded(): boolean {
    return this.#running.hasEnded
  }

  order(order: Order): void {
    this.#port.postMessage(order)
  }

  deliver(): Delivery | undefined {
    return receiveMessageOnPort(this.#port)?.message as Delivery | undefined
  }
}
