// Text of a guest's disk as it is shown to the user: a guest must not steer the user's terminal, nor
// fill it.

/** Without control characters, and cut to `most` characters. */
export function shownText(text: string, most: number): string {
  const plain = text.replace(/[\p{Cc}\p{Cf}]+/gu, ' ')
  return plain.length > most ? `${plain.slice(0, most)}…` : plain
}
