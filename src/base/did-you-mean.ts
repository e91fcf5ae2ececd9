// Finds the name that somebody probably meant. Distance: insertions, deletions, replacements and
// swaps of neighbours (optimal string alignment), at most a third of the word's length.

/** The candidate nearest to `word`, or undefined when none is near. */
export function didYouMean(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1
  for (const candidate of candidates) {
    const near = distance(word.toLowerCase(), candidate.toLowerCase())
    if (near < bestDistance) {
      best = candidate
      bestDistance = near
    }
  }
  return best
}

function distance(a: string, b: string): number {
  // Rows of the usual table; row i holds the distances of a's first i letters to b's prefixes.
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = at(last, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1)
      let least = Math.min(at(last, j) + 1, at(row, j - 1) + 1, replaced)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, at(before, j - 2) + 1)
      }
      row.push(least)
    }
    before = last
    last = row
  }
  return at(last, b.length)
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY
}
