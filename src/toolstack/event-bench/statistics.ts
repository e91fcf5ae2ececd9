// The figures by which event channels are compared.

/** The value below which `share` (0 to 1) of the values lie; NaN of none. */
export function percentile(values: ArrayLike<number>, share: number): number {
  const sorted = Float64Array.from(values).sort()
  const at = Math.min(sorted.length - 1, Math.floor(sorted.length * share))
  return sorted[at] ?? Number.NaN
}

/**
 * Jain's index of fairness: 1 if all got the same, 1/n if one of n got everything (R. Jain, D. Chiu,
 * W. Hawe, "A Quantitative Measure of Fairness and Discrimination", DEC TR-301, 1984).
 */
export function jainIndex(shares: ArrayLike<number>): number {
  let sum = 0
  let squares = 0
  for (let i = 0; i < shares.length; i++) {
    const share = shares[i] as number
    sum += share
    squares += share * share
  }
  return squares === 0 ? Number.NaN : (sum * sum) / (shares.length * squares)
}
