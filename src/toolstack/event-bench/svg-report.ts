// The comparison as a picture: bar charts in two columns, legible on white and without any font or
// style from elsewhere.

import type { EventAbiName } from '../../xen/event-abi.ts'
import { ABI_LABELS, type Chart, chartsOf, figure, shareOf } from './charts.ts'
import type { EventReport } from './measure.ts'

const WIDTH = 1200
const COLUMNS = 2
const GAP = 24
const PANEL = (WIDTH - GAP * (COLUMNS + 1)) / COLUMNS
const LABEL = 250
const ROW = 20
const HEAD = 44
const VALUE = 80
const COLOURS: Readonly<Record<EventAbiName, string>> = {
  '2l': '#b45309',
  '3l': '#1d4ed8',
  fifo: '#047857',
}

/** An SVG document. */
export function svgReport(report: EventReport): string {
  const bottoms = new Array<number>(COLUMNS).fill(GAP + 36)
  const panels = chartsOf(report).map((chart) => {
    // Into the column that ends highest.
    const column = bottoms.indexOf(Math.min(...bottoms))
    const top = bottoms[column] ?? 0
    bottoms[column] = top + HEAD + chart.bars.length * ROW + GAP
    return panel(chart, GAP + column * (PANEL + GAP), top)
  })
  const height = Math.max(...bottoms)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="13">`,
    '<title>Event channels: two-level, three-level and FIFO</title>',
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    `<text x="${GAP}" y="32" font-size="18" font-weight="bold">Event channels: two-level, three-level and FIFO</text>`,
    ...legend(),
    ...panels,
    '</svg>',
    '',
  ].join('\n')
}

function legend(): string[] {
  return (Object.keys(COLOURS) as EventAbiName[]).map((abi, i) => {
    const x = WIDTH - 330 + i * 110
    return `<rect x="${x}" y="20" width="12" height="12" fill="${COLOURS[abi]}"/><text x="${x + 18}" y="31">${ABI_LABELS[abi]}</text>`
  })
}

function panel(chart: Chart, x: number, y: number): string {
  const room = PANEL - LABEL - VALUE
  const scale = chart.isLogarithmic ? ', logarithmic' : ''
  const rows = chart.bars.map(({ label, series, value }, i) => {
    const top = y + HEAD + i * ROW
    const length = (shareOf(chart, value) * room).toFixed(1)
    const end = (x + LABEL + Number(length) + 6).toFixed(1)
    return [
      `<text x="${x + LABEL - 8}" y="${top + 13}" text-anchor="end">${escaped(label)}</text>`,
      `<rect x="${x + LABEL}" y="${top + 2}" width="${length}" height="${ROW - 6}" fill="${COLOURS[series]}"/>`,
      `<text x="${end}" y="${top + 13}">${figure(value)}</text>`,
    ].join('')
  })
  return [
    `<text x="${x}" y="${y + 14}" font-weight="bold">${escaped(chart.title)}</text>`,
    `<text x="${x}" y="${y + 31}" fill="#555555">${escaped(chart.unit + scale)}</text>`,
    ...rows,
  ].join('\n')
}

function escaped(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;')
}
