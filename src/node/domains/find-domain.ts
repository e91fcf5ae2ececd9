// Finds a domain by what a user calls it: its number or its name.

import { didYouMean } from '../../base/did-you-mean.ts'
import { UserError } from '../../base/errors.ts'

interface Named {
  readonly id: number
  readonly name: string
}

/**
 * The domain of that number or name. A number is a number, even if a domain is called so.
 * @throws UserError with the name that was probably meant
 */
export function findDomain<T extends Named>(domains: Iterable<T>, called: string): T {
  const all = [...domains]
  const isNumber = /^\d+$/.test(called)
  const found = all.find(({ id, name }) => (isNumber ? id === Number(called) : name === called))
  if (found) return found
  if (called === '0' || called === 'Domain-0') {
    throw new UserError(
      'Domain-0 is the host itself.',
      'Nothing of the kind can be done with it.',
      'Name a guest; "xenolith list" shows them.',
    )
  }
  const names = all.map(({ name }) => name)
  const near = didYouMean(called, names)
  const why =
    names.length === 0
      ? 'No guest runs on this host.'
      : near
        ? `Did you mean "${near}"?`
        : `The guests are ${names.slice(0, 8).join(', ')}${names.length > 8 ? ', …' : ''}.`
  throw new UserError(`There is no domain "${called}".`, why, '"xenolith list" shows all of them.')
}
