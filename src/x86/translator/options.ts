// How guest code is executed: interpreted or translated, and by which of the translator's means.
// None of it changes what a guest does; it is there so that tests can show that. As text a mode is
// written `off`, `hot`, `always`, with what is left out or drawn behind commas: `always,no-sites`,
// `always,no-links`, `hot,seed=7`.

import { UserError } from '../../base/errors.ts'

/** When code is translated: never, when it is often seen running, or when it is first executed. */
export type Translation = 'off' | 'hot' | 'always'

export interface TranslatorOptions {
  readonly translation: Translation
  /** Places of memory accesses remember the page they found last; else each looks into the TLB. */
  readonly hasSites: boolean
  /**
   * Direct branches keep the record they lead to: those between blocks, and those out of regions;
   * else each goes through the jump cache.
   */
  readonly hasLinks: boolean
  /**
   * From 0 to 2^32 - 1: thresholds, batches, sizes of regions and lengths of slices are drawn from
   * it, the same for the same seed (policy.ts). Not given: they are those that were measured.
   */
  readonly seed?: number | undefined
}

/** What a user may say in place of {@link TranslatorOptions}: when, or what is not as usual. */
export type TranslationMode = Translation | Partial<TranslatorOptions>

const USUAL: TranslatorOptions = { translation: 'hot', hasSites: true, hasLinks: true }
const TRANSLATIONS: readonly string[] = ['off', 'hot', 'always'] satisfies Translation[]
const MOST_SEED = 2 ** 32 - 1

/**
 * The options of a mode, with those that it does not name as usual.
 * @throws UserError for what is no mode
 */
export function translatorOptions(mode: TranslationMode = {}): TranslatorOptions {
  const given = typeof mode === 'string' ? { translation: mode } : mode
  const options = { ...USUAL, ...given }
  const { translation, seed } = options
  if (!TRANSLATIONS.includes(translation)) throw noMode(translation)
  const isSeed = seed === undefined || (Number.isInteger(seed) && seed >= 0 && seed <= MOST_SEED)
  if (!isSeed) throw noMode(`seed=${seed}`)
  return options
}

/**
 * The mode that a text names.
 * @throws UserError for what is no mode
 */
export function translationMode(text: string): TranslatorOptions {
  const [translation, ...changes] = text.split(',')
  const options: { -readonly [K in keyof TranslatorOptions]: TranslatorOptions[K] } = {
    ...USUAL,
    translation: translation as Translation,
  }
  for (const change of changes) {
    const seed = /^seed=(\d+)$/.exec(change)?.[1]
    if (seed !== undefined) options.seed = Number(seed)
    else if (change === 'no-sites') options.hasSites = false
    else if (change === 'no-links') options.hasLinks = false
    else throw noMode(change)
  }
  return translatorOptions(options)
}

function noMode(what: string): UserError {
  return new UserError(
    `"${what}" does not say how guest code is executed.`,
    'It is executed in the mode off, hot or always, and for tests with no-sites, no-links or seed=N.',
    'Give a mode, and what is wanted besides behind commas, such as always,no-sites.',
  )
}
