// Backslash escapes in text from the command line, where Enter cannot be written otherwise.

import { UsageError } from './arguments.ts'

const NAMED: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  e: '\x1b',
  '0': '\0',
  '\\': '\\',
}

/**
 * Replaces \n, \r, \t, \e, \0, \\ and \xHH.
 * @throws UsageError for any other backslash
 */
export function unescapeText(text: string, option: string): string {
  return text.replace(/\\(x[0-9a-fA-F]{2}|[^]|$)/g, (whole, code: string) => {
    const named = NAMED[code]
    if (named !== undefined) return named
    if (code.length === 3) return String.fromCharCode(Number.parseInt(code.slice(1), 16))
    throw new UsageError(
      `${option} has an unknown escape "${whole}".`,
      'It knows \\n, \\r, \\t, \\e, \\0, \\xHH, and \\\\ for a backslash.',
      `Write it as one of these: ${option} "${text.replaceAll('\\', '\\\\')}" types it as it stands.`,
    )
  })
}
