// Verbs that do one thing to one domain: `VERB domain-id`.

import type { HostClient } from '../node/host-process/client.ts'
import type { Arguments } from './arguments.ts'
import { EXIT_OK } from './exit-status.ts'
import { HOST_OPTION, runningHost } from './host-option.ts'
import type { Context, Verb } from './verb.ts'

interface DomainVerb extends Omit<Verb, 'run' | 'options'> {
  readonly options?: Verb['options']
  /** Does it to the domain that the first operand names; prints what it returns. */
  readonly work: (
    client: HostClient,
    domain: string,
    args: Arguments,
    context: Context,
  ) => Promise<unknown>
}

export function domainVerb({ work, options = [], ...rest }: DomainVerb): Verb {
  return {
    operands: 'domain-id',
    leastOperands: 1,
    mostOperands: 1,
    ...rest,
    options: [...options, HOST_OPTION],
    async run(args, context) {
      const client = await runningHost(args, context)
      const text = await work(client, args.operands[0] ?? '', args, context)
      if (typeof text === 'string') context.stdout.write(text)
      return EXIT_OK
    },
  }
}
