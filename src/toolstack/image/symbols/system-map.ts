// Reads a System.map, which the build of a Linux kernel leaves: one symbol a line, `address type
// name`, as nm prints it. /proc/kallsyms has the same lines, with the module behind the names of
// modules. Only code is of interest: types t, T, w and W.

import { UserError } from '../../../base/errors.ts'
import type { CodeSymbol } from './symbol-table.ts'

const LINE = /^([0-9a-f]{8,16}) ([a-zA-Z?]) (\S+)(?:\s+\[\S+\])?$/
const CODE = /^[tTwW]$/
const REMEDY = 'Give the System.map of the kernel that boots.'

/** @throws UserError if it is none; `name` is the file as the user knows it */
export function parseSystemMap(text: string, name: string): CodeSymbol[] {
  const reject = (why: string): never => {
    throw new UserError(`Cannot use the symbols of ${name}.`, why, REMEDY)
  }
  const symbols: CodeSymbol[] = []
  for (const [i, line] of text.split('\n').entries()) {
    if (line === '') continue
    const match = LINE.exec(line)
    if (!match) return reject(`Line ${i + 1} is not an address, a letter and a name.`)
    const [, address = '', type = '', symbol = ''] = match
    if (CODE.test(type)) symbols.push({ address: BigInt(`0x${address}`), name: symbol })
  }
  if (symbols.length === 0) reject('It names no code.')
  if (symbols.every(({ address }) => address === 0n)) {
    reject('All addresses are 0, as /proc/kallsyms shows them to who is not root.')
  }
  return symbols
}
