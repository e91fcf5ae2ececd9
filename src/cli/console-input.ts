// Where the guest's console gets its keys from: the terminal, key by key, or whatever standard
// input is otherwise. The end of the input does not end the run.

import type { DomainConsole } from '../node/host-types.ts'
import { RawTerminal } from '../node/raw-terminal.ts'
import type { Context } from './verb.ts'

/** Ctrl-], which leaves the console. */
const DETACH = 0x1d

/** Connects standard input to a console; returns what disconnects them and mends the terminal. */
export function connectInput(
  { stdin, process }: Pick<Context, 'stdin' | 'process'>,
  console: Pick<DomainConsole, 'send'>,
  onDetach: () => void,
): () => void {
  const isTerminal = stdin.isTTY === true
  const terminal = new RawTerminal(stdin, process)
  const onData = (data: Uint8Array) => {
    const at = isTerminal ? data.indexOf(DETACH) : -1
    const keys = at < 0 ? data : data.subarray(0, at)
    if (keys.length > 0) console.send(keys)
    if (at >= 0) onDetach()
  }
  // A terminal that goes away (EIO) ends by a signal; a broken pipe is the end of the input.
  const onError = () => {}
  if (isTerminal) terminal.enter()
  stdin.on('data', onData)
  stdin.on('error', onError)
  return () => {
    terminal.leave()
    stdin.off('data', onData)
    stdin.pause()
  }
}
