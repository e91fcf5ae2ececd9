// The host of the library. Left out so far: running guests.

import { UserError } from '../base/errors.ts'
import type { Host as HostInterface, HostOptions } from './host-types.ts'

export const Host = {
  /** @throws UserError: this version cannot run guests yet */
  async create(_options: HostOptions): Promise<HostInterface> {
    throw new UserError(
      'This version cannot run guests.',
      'Its host is not finished.',
      'Use a later version.',
    )
  },
}
