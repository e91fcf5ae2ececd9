// ModuleBuilder: a WebAssembly module of functions over an imported memory and table
// (WebAssembly specification 5.5; the proposals for threads, 64-bit memories and branch hints).
// Left out: globals, data segments, memories and tables of its own.

import { Bug } from '../base/errors.ts'
import { ByteWriter } from './bytes.ts'
import { type Encoded, Emitter } from './emit.ts'
import { FunctionBuilder } from './function.ts'
import type { FuncRef } from './graph.ts'
import type { Type } from './opcodes.ts'
import { plan } from './plan.ts'
import { TypeTable, writeLocals } from './types.ts'

export interface ModuleOptions {
  /** The memory has addresses of 64 bits. */
  readonly memory64?: boolean
  /** The memory is shared between threads; it must then have a maximum. */
  readonly sharedMemory?: boolean
}

/** A built function: where its code lies in the buffer of code. */
interface Body extends Encoded {
  readonly from: number
  readonly to: number
}

const SECTION_CUSTOM = 0
const SECTION_TYPE = 1
const SECTION_IMPORT = 2
const SECTION_FUNCTION = 3
const SECTION_EXPORT = 7
const SECTION_ELEMENT = 9
const SECTION_CODE = 10

/** Buffers of finished modules, for the next ones: allocating them would cost more than encoding. */
const idle: ByteWriter[] = []
const output = new ByteWriter(1 << 16)

/** Builds one module. Imports come first, then functions, then `finish`. */
export class ModuleBuilder {
  readonly #options: ModuleOptions
  readonly #addressType: Type
  readonly #types = new TypeTable()
  readonly #imports = new ByteWriter(64)
  #importCount = 0
  #importedFunctions = 0
  readonly #functions: FuncRef[] = []
  /** By the number of the function among those that are not imported. */
  readonly #bodies: (Body | undefined)[] = []
  readonly #exports: { readonly name: string; readonly func: FuncRef }[] = []
  readonly #elements: { readonly offset: number; readonly funcs: readonly FuncRef[] }[] = []
  readonly #code = idle.pop() ?? new ByteWriter(1 << 16)
  readonly #emitter = new Emitter(this.#code)
  readonly #typeIndex = (params: readonly Type[], results: readonly Type[]) =>
    this.type(params, results)
  #isFinished = false

  constructor(options: ModuleOptions = {}) {
    this.#options = options
    this.#addressType = options.memory64 ? 'i64' : 'i32'
    this.#code.length = 0
  }

  /** The type of addresses in this module's memory. */
  get addressType(): Type {
    return this.#addressType
  }

  importFunction(module: string, name: string, params: Type[], results: Type[]): FuncRef {
    if (this.#functions.length > this.#importedFunctions) {
      throw new Bug(`import of ${module}.${name} after a function was declared`)
    }
    this.#import(module, name, 0x00)
    const func = this.#func(params, results, `${module}.${name}`)
    this.#imports.unsigned(func.typeIndex)
    this.#importedFunctions++
    return func
  }

  /** Sizes are in pages of 64 KiB. */
  importMemory(module: string, name: string, limits: { min: number; max?: number }): void {
    const { min, max } = limits
    const { sharedMemory, memory64 } = this.#options
    if (sharedMemory && max === undefined) throw new Bug('a shared memory needs a maximum')
    this.#import(module, name, 0x02)
    const flags = (max === undefined ? 0 : 1) | (sharedMemory ? 2 : 0) | (memory64 ? 4 : 0)
    this.#imports.byte(flags)
    this.#imports.unsigned(min)
    if (max !== undefined) this.#imports.unsigned(max)
  }

  /** A table of functions of at least `min` entries. */
  importTable(module: string, name: string, limits: { min: number }): void {
    this.#import(module, name, 0x01)
    this.#imports.byte(0x70)
    this.#imports.byte(0)
    this.#imports.unsigned(limits.min)
  }

  /** The index of a function type; equal types have one index. */
  type(params: readonly Type[], results: readonly Type[]): number {
    return this.#types.indexOf(params, results)
  }

  /** A function whose body follows: others can call it before. */
  declare(params: Type[], results: Type[], name?: string): FuncRef {
    return this.#func(params, results, name)
  }

  /**
   * Builds the body of a declared function. If `build` gives false, what it has written is thrown
   * away, and it is called again.
   */
  body(func: FuncRef, build: (f: FunctionBuilder) => boolean | void): void {
    const number = func.index - this.#importedFunctions
    if (this.#functions[func.index] !== func || number < 0) {
      throw new Bug(`function ${func.name ?? func.index} is not declared in this module`)
    }
    if (this.#bodies[number])
      throw new Bug(`function ${func.name ?? func.index} has a body already`)
    let f = new FunctionBuilder(func, this.#addressType, this.#typeIndex)
    while (build(f) === false) f = new FunctionBuilder(func, this.#addressType, this.#typeIndex)
    if (f.finish() && func.results.length > 0) {
      throw new Bug(`${f.describe()} can reach its end without returning its results`)
    }
    plan(f.sequence)
    if (this.#isFinished) throw new Bug('the module is finished')
    const from = this.#code.length
    const encoded = this.#emitter.emit(f)
    this.#bodies[number] = { ...encoded, from, to: this.#code.length }
  }

  exportFunction(func: FuncRef, name: string): void {
    this.#exports.push({ name, func })
  }

  /** At instantiation, puts the functions into table 0 from the entry `offset` on. */
  element(offset: number, funcs: readonly FuncRef[]): void {
    this.#elements.push({ offset, funcs })
  }

  /** The module. The builder cannot be used any more. */
  finish(): Uint8Array<ArrayBuffer> {
    if (this.#isFinished) throw new Bug('the module is finished')
    for (let i = this.#importedFunctions; i < this.#functions.length; i++) {
      if (this.#bodies[i - this.#importedFunctions]) continue
      throw new Bug(`function ${this.#functions[i]?.name ?? i} has no body`)
    }
    this.#isFinished = true
    output.length = 0
    output.raw32(0x6d73_6100)
    output.raw32(1)
    this.#writeTypes()
    this.#writeImports()
    this.#writeFunctions()
    this.#writeExports()
    this.#writeElements()
    this.#writeHints()
    this.#writeCode()
    this.#writeNames()
    idle.push(this.#code)
    return output.bytes.slice(0, output.length)
  }

  #import(module: string, name: string, kind: number): void {
    this.#importCount++
    this.#imports.name(module)
    this.#imports.name(name)
    this.#imports.byte(kind)
  }

  #func(params: readonly Type[], results: readonly Type[], name: string | undefined): FuncRef {
    const index = this.#functions.length
    const typeIndex = this.#types.indexOf(params, results)
    // The type's own arrays: the caller may change those it gave.
    const type = this.#types.at(typeIndex)
    const func = { index, typeIndex, params: type.params, results: type.results, name }
    this.#functions.push(func)
    return func
  }

  #writeTypes(): void {
    const section = this.#open(SECTION_TYPE)
    this.#types.write(output)
    output.close(section)
  }

  #writeImports(): void {
    if (this.#importCount === 0) return
    const section = this.#open(SECTION_IMPORT)
    output.unsigned(this.#importCount)
    output.append(this.#imports.bytes, 0, this.#imports.length)
    output.close(section)
  }

  #writeFunctions(): void {
    const section = this.#open(SECTION_FUNCTION)
    output.unsigned(this.#functions.length - this.#importedFunctions)
    for (let i = this.#importedFunctions; i < this.#functions.length; i++) {
      output.unsigned((this.#functions[i] as FuncRef).typeIndex)
    }
    output.close(section)
  }

  #writeExports(): void {
    if (this.#exports.length === 0) return
    const section = this.#open(SECTION_EXPORT)
    output.unsigned(this.#exports.length)
    for (const { name, func } of this.#exports) {
      output.name(name)
      output.byte(0x00)
      output.unsigned(func.index)
    }
    output.close(section)
  }

  #writeElements(): void {
    if (this.#elements.length === 0) return
    const section = this.#open(SECTION_ELEMENT)
    output.unsigned(this.#elements.length)
    for (const { offset, funcs } of this.#elements) {
      output.byte(0x00)
      output.byte(0x41)
      output.signed32(offset)
      output.byte(0x0b)
      output.unsigned(funcs.length)
      for (const func of funcs) output.unsigned(func.index)
    }
    output.close(section)
  }

  /** The hints of branches; engines that do not know the section skip it. */
  #writeHints(): void {
    const count = this.#bodies.reduce((sum, body) => sum + (body?.hints.length ? 1 : 0), 0)
    if (count === 0) return
    const section = this.#open(SECTION_CUSTOM)
    output.name('metadata.code.branch_hint')
    output.unsigned(count)
    for (const [i, body] of this.#bodies.entries()) {
      if (!body?.hints.length) continue
      output.unsigned(this.#importedFunctions + i)
      output.unsigned(body.hints.length)
      // Offsets count from the start of the declarations of locals.
      const start = output.length
      writeLocals(output, body.localTypes)
      const declarations = output.length - start
      output.length = start
      for (const [offset, value] of body.hints) {
        output.unsigned(declarations + offset)
        output.byte(1)
        output.byte(value)
      }
    }
    output.close(section)
  }

  #writeCode(): void {
    const section = this.#open(SECTION_CODE)
    output.unsigned(this.#bodies.length)
    for (const body of this.#bodies as Body[]) {
      const start = output.open()
      writeLocals(output, body.localTypes)
      output.append(this.#code.bytes, body.from, body.to)
      output.close(start)
    }
    output.close(section)
  }

  #writeNames(): void {
    const named = this.#functions.filter((func) => func.name !== undefined)
    if (named.length === 0) return
    const section = this.#open(SECTION_CUSTOM)
    output.name('name')
    output.byte(1)
    const functions = output.open()
    output.unsigned(named.length)
    for (const func of named) {
      output.unsigned(func.index)
      output.name(func.name as string)
    }
    output.close(functions)
    output.close(section)
  }

  #open(id: number): number {
    output.byte(id)
    return output.open()
  }
}
