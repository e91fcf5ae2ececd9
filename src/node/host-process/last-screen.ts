// What a terminal of some height would still show of a console: the last lines, or what came since
// the screen was last cleared, whichever is less.

const LINE_FEED = 10
/** Lines can be long; so much is enough for any screen. */
const MOST_BYTES = 64 << 10
/** Clears the screen, or goes to its top and clears from there (ECMA-48: ED, CUP), or resets it. */
const CLEARS = /\x1b(?:\[H)?\x1b?\[[23]?J|\x1bc/g

/** The bytes to replay; `head` and `tail` are what a scrollback keeps. */
export function lastScreen(head: Uint8Array, tail: Uint8Array, rows: number): Uint8Array {
  if (rows <= 0) return new Uint8Array()
  const kept = lastBytes(head, tail)
  let start = kept.length
  for (let lines = 0; start > 0; start--) {
    // The line that the cursor stands in counts as one.
    if (kept[start - 1] === LINE_FEED && ++lines >= rows) break
  }
  const screen = kept.subarray(start)
  const text = new TextDecoder('latin1').decode(screen)
  const cleared = [...text.matchAll(CLEARS)].at(-1)?.index ?? 0
  return screen.slice(cleared)
}

function lastBytes(head: Uint8Array, tail: Uint8Array): Uint8Array {
  if (tail.length >= MOST_BYTES || head.length === 0) return tail.subarray(-MOST_BYTES)
  const before = head.subarray(Math.max(0, head.length - (MOST_BYTES - tail.length)))
  const all = new Uint8Array(before.length + tail.length)
  all.set(before)
  all.set(tail, before.length)
  return all
}
