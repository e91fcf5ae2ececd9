// The figures of a run as lines for people: one each, those of a group indented below its first.

/** A name that ends so is a time, in milliseconds and parts of them. */
const IS_TIME = / ms$/

/** One line a figure, in the order given. */
export function statisticsLines(stats: Readonly<Record<string, number>>): string[] {
  let group = ''
  const rows = Object.entries(stats).map(([name, value]): [string, string] => {
    const isWithin = group !== '' && name.startsWith(`${group} `)
    if (!isWithin) group = name
    const digits = IS_TIME.test(name) ? 1 : 0
    const figure = value.toLocaleString('en', {
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
    })
    return [isWithin ? `  ${name.slice(group.length + 1)}` : name, figure]
  })
  const width = Math.max(0, ...rows.map(([label]) => label.length))
  return rows.map(([label, figure]) => `${label.padEnd(width)}  ${figure.padStart(18)}`)
}
