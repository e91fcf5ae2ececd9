// What an operation of a host process is made of: the world it works on, and its function.

import type { DomainTable } from '../domains/domain-table.ts'
import type { TimeMode } from '../host-types.ts'
import type { Answer, OperationName, Parameters, Progress } from './protocol.ts'

/** What the operations work on. */
export interface OperationWorld {
  readonly name: string
  readonly time: TimeMode
  readonly table: DomainTable
  /** The socket of xenstore. */
  readonly xenstore: string
  /** Ends the host process, after the answer. */
  stop(): void
}

export type Handler<K extends OperationName> = (
  world: OperationWorld,
  parameters: Parameters<K>,
  progress: (progress: Progress) => void,
) => Answer<K> | Promise<Answer<K>>

export type Handlers<K extends OperationName> = { readonly [N in K]: Handler<N> }
