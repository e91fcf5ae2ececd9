// What the virtual processors of a host share: the memory, the handlers, the decoded code, and
// the functions that emitted code calls. Emitted code runs on behalf of one processor at a time.

import { Bug } from '../base/errors.ts'
import type { Cpu } from './cpu.ts'
import { Decoder } from './decode/decoder.ts'
import { instructions } from './decode/define.ts'
import './instructions/all.ts'
import { BlockBuilder } from './interpreter/block-builder.ts'
import { CodeCache } from './interpreter/code-cache.ts'
import { Handlers } from './interpreter/handlers.ts'
import type { HostMemory } from './memory/host-memory.ts'
import { StoreRights } from './mmu/store-rights.ts'
import {
  type TranslationMode,
  type TranslatorOptions,
  translatorOptions,
} from './translator/options.ts'
import { type Policy, policyOf } from './translator/policy.ts'
import type { CompilerThread, ThreadSetup } from './translator/region-order.ts'
import { SlowCompiler } from './translator/slow-compiler.ts'
import { Translator } from './translator/translator.ts'

export interface EngineOptions {
  /** Count why regions are left; that costs a little. */
  readonly countsExits?: boolean | undefined
  /** A clock in milliseconds, to measure what making regions takes; nothing depends on it. */
  readonly nowMs?: (() => number) | undefined
  /** Processors that there may be at once; room for their code is kept. One if not given. */
  readonly mostCpus?: number | undefined
  /** Has a thread make regions meanwhile; called if there will be some. */
  readonly startCompiler?: ((setup: ThreadSetup) => CompilerThread) | undefined
  /** Instead of what the policy of the mode says. */
  readonly policy?: Partial<Policy> | undefined
}

let decoder: Decoder | undefined

/** The decoder of all instructions; building its tree takes longer than all else here. */
function sharedDecoder(): Decoder {
  decoder ??= new Decoder(instructions)
  return decoder
}

export class Engine {
  readonly memory: HostMemory
  readonly options: TranslatorOptions
  readonly policy: Policy
  readonly handlers: Handlers
  readonly code: CodeCache
  readonly translator: Translator
  readonly storeRights: StoreRights
  readonly #cpus: Cpu[] = []
  #current: Cpu | undefined
  #epoch = 0

  /** @throws UserError for a mode that is none */
  constructor(memory: HostMemory, mode?: TranslationMode, options: EngineOptions = {}) {
    this.memory = memory
    this.options = translatorOptions(mode)
    this.policy = { ...policyOf(this.options.seed), ...options.policy }
    const current = (): Cpu => {
      if (!this.#current) throw new Bug('emitted code runs without a processor')
      return this.#current
    }
    this.handlers = new Handlers(memory, {
      slowRead: (_cpu, rec, lo, hi, size) => current().slowRead(rec, lo, hi, size),
      slowWrite: (_cpu, rec, lo, hi, size) => current().slowWrite(rec, lo, hi, size),
      slowModify: (_cpu, rec, lo, hi, size) => current().slowModify(rec, lo, hi, size),
      commitModify: () => current().commitModify(),
      checkSegment: (_cpu, rec, offset, size, what) =>
        current().checkSegment(rec, offset, size, what >> 1, (what & 1) !== 0),
      resolve: (_cpu, rec) => current().resolve(rec),
      lookup: (_cpu, rec) => current().lookup(rec),
      raise: (_cpu, rec, vector, code) => current().raised(rec, vector, code),
      host: (_cpu, rec, id) => current().runHost(rec, this.handlers.hostInstruction(id)),
    })
    this.translator = new Translator(
      memory,
      this.handlers,
      () => this.code,
      this.options,
      this.policy,
      options,
    )
    this.storeRights = new StoreRights(memory.size)
    const builder = new BlockBuilder(memory, this.handlers, sharedDecoder())
    this.code = new CodeCache(
      memory,
      builder,
      this.#arenaBytes(1),
      (host) => this.storeRights.protect(host),
      () => {
        for (const cpu of this.#cpus) cpu.forgetJumps()
        this.translator.forgetAll()
      },
      () => {
        for (const cpu of this.#cpus) cpu.blocksDropped()
      },
      (rec) => this.translator.recordDropped(rec),
      this.#arenaBytes(options.mostCpus ?? 1),
    )
    const startCompiler = this.#startCompiler(options)
    const setup = { options: this.options, recordsEnd: this.code.recordsEnd }
    if (startCompiler) this.translator.orderFrom(startCompiler(setup))
  }

  #startCompiler({ countsExits, startCompiler }: EngineOptions): EngineOptions['startCompiler'] {
    // What is translated at once is waited for, and counters lie in this thread's memory.
    if (this.options.translation !== 'hot' || countsExits === true) return undefined
    const { latency } = this.policy
    return latency > 0 ? (setup) => new SlowCompiler(setup, latency) : startCompiler
  }

  /** A number that no processor has had for a time: see CODE_EPOCH. */
  nextEpoch(): number {
    this.#epoch = (this.#epoch + 1) | 0
    // After four thousand million the first ones come again: no region may remember them.
    if (this.#epoch === 0) this.translator.forgetPages()
    return this.#epoch
  }

  /** Cpu's constructor calls this. */
  register(cpu: Cpu): void {
    this.#cpus.push(cpu)
    this.code.allow(this.#arenaBytes(this.#cpus.length))
  }

  /** Forgets a processor that will not run again. */
  unregister(cpu: Cpu): void {
    this.#cpus.splice(this.#cpus.indexOf(cpu), 1)
    this.code.allow(this.#arenaBytes(this.#cpus.length))
  }

  /** What so many processors have for decoded code. */
  #arenaBytes(cpus: number): number {
    const { arenaBytes, arenaGrowth } = this.policy
    const further = Math.max(0, cpus - 1)
    return arenaBytes + Math.min(further * arenaGrowth.perCpu, arenaGrowth.most)
  }

  /** Runs emitted code from a record until it comes back. */
  enter(cpu: Cpu, rec: number): void {
    const outer = this.#current
    this.#current = cpu
    try {
      this.handlers.enter(rec, cpu.state)
    } finally {
      this.#current = outer
    }
  }

  /** The hypervisor or a backend has changed guest memory. */
  written(host: number, size: number): void {
    this.code.written(host, size)
  }
}
