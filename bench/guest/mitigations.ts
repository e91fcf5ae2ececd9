// Whether the guests' kernels do the same about the flaws of processors: a kernel that clears
// buffers at each entry, or avoids indirect jumps, is slower, and a comparison then unfair.

/**
 * A line for each flaw about which sides differ, as `FLAW: "TEXT" (SIDE, SIDE), "TEXT" (SIDE)`.
 * @param sides what each side's kernel says of each flaw
 */
export function differingMitigations(
  sides: ReadonlyMap<string, ReadonlyMap<string, string>>,
): string[] {
  const flaws = new Set([...sides.values()].flatMap((said) => [...said.keys()]))
  return [...flaws].toSorted().flatMap((flaw) => {
    const groups = Map.groupBy(sides.keys(), (side) => sides.get(side)?.get(flaw) ?? '')
    if (groups.size === 1) return []
    const texts = [...groups].map(([text, group]) => `"${text}" (${group.join(', ')})`)
    return [`${flaw}: ${texts.join(', ')}`]
  })
}
