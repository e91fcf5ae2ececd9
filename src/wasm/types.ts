// The types of functions in a module, and the declarations of locals in a function
// (WebAssembly specification 5.3.6, 5.5.4, 5.5.13).

import type { ByteWriter } from './bytes.ts'
import { type Type, typeCode } from './opcodes.ts'

interface FunctionType {
  readonly params: readonly Type[]
  readonly results: readonly Type[]
}

/** The types of functions of one module, each once. */
export class TypeTable {
  readonly #types: FunctionType[] = []
  readonly #indices = new Map<number | string, number>()

  /** The index of a type; equal types have one index. */
  indexOf(params: readonly Type[], results: readonly Type[]): number {
    const key = typeKey(params, results)
    const known = this.#indices.get(key)
    if (known !== undefined) return known
    const index = this.#types.push({ params: [...params], results: [...results] }) - 1
    this.#indices.set(key, index)
    return index
  }

  at(index: number): FunctionType {
    return this.#types[index] as FunctionType
  }

  /** The contents of the type section. */
  write(output: ByteWriter): void {
    output.unsigned(this.#types.length)
    for (const { params, results } of this.#types) {
      output.byte(0x60)
      output.unsigned(params.length)
      for (const type of params) output.byte(typeCode(type))
      output.unsigned(results.length)
      for (const type of results) output.byte(typeCode(type))
    }
  }
}

/** Equal for equal types only. Joining strings costs more than the rest of a small function. */
function typeKey(params: readonly Type[], results: readonly Type[]): number | string {
  if (params.length + results.length > 16) return `${params.join()}:${results.join()}`
  let key = 1
  for (const type of params) key = key * 6 + 0x80 - typeCode(type)
  key *= 6
  for (const type of results) key = key * 6 + 0x80 - typeCode(type)
  return key
}

/** The declarations of locals: runs of equal types. */
export function writeLocals(output: ByteWriter, types: readonly Type[]): void {
  let runs = 0
  for (let i = 0; i < types.length; i++) if (types[i] !== types[i - 1]) runs++
  output.unsigned(runs)
  for (let i = 0; i < types.length; ) {
    const first = i
    while (i < types.length && types[i] === types[first]) i++
    output.unsigned(i - first)
    output.byte(typeCode(types[first] as Type))
  }
}
