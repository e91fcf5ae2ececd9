// Whether the guests' kernels do the same about the flaws of processors: a kernel that clears
// buffers at each entry, or avoids indirect jumps, is slower, and a comparison then unfair.

/**
 * A line for each flaw about which sides differ, as "FLAW: SIDE says TEXT, …".
 * @param sides what each side's kernel says of each flaw
 */
export function differingMitigations(
  sides: ReadonlyMap<string, ReadonlyMap<string, string>>,
): string[] {
  const flaws = new Set([...sides.values()].flatMap((said) => [...said.keys()]))
  return [...flaws].toSorted().flatMap((flaw) => {
    const texts = [...sides].map(([side, said]) => [side, said.get(flaw) ?? 'nothing'] as const)
    if (new Set(texts.map(([, text]) => text)).size === 1) return []
    return [`${flaw}: ${texts.map(([side, text]) => `${side} says “${text}”`).join(', ')}`]
  })
}
