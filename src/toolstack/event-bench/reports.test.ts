// The figures by which the ABIs are compared, and how they are shown.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chartsOf, figure, shareOf } from './charts.ts'
import type { EventReport } from './measure.ts'
import { jainIndex, percentile } from './statistics.ts'
import { svgReport } from './svg-report.ts'
import { textReport } from './text-report.ts'

const REPORT: EventReport = {
  iterations: 2000,
  costs: [
    {
      abi: 'fifo',
      channels: 131_071,
      latencyP50: 97,
      latencyP99: 99,
      eventP50Ns: 9000,
      eventP99Ns: 12_345,
      eventsPerSecond: 98_765.4,
      instructions: 182.4,
      sendP50Ns: 150.4,
      sendP99Ns: 700,
      guestBytes: 528_384,
      hostBytes: 4_194_304,
    },
  ],
  fairness: [
    { abi: '2l', scan: 'lowest first', channels: 64, jain: 1 / 64, worstWait: 9e6, starved: 63 },
    { abi: 'fifo', scan: 'queue', channels: 64, jain: 1, worstWait: 7000, starved: 0 },
  ],
  urgent: [
    { abi: 'fifo', scan: 'queue', priority: 0, busy: 10_000, waitP50: 84, waitMax: 90 },
    { abi: '3l', scan: 'rotating', priority: undefined, busy: 10_000, waitP50: 5e5, waitMax: 9e5 },
  ],
  bursts: [
    {
      abi: '2l',
      channels: 4095,
      instructionsPerEvent: 77.6,
      waitP50: 1e5,
      waitP99: 3e5,
      waitMax: 317_660,
      outOfOrder: 0.97,
    },
  ],
}

test("Jain's index is 1 for equal shares, and 1/n when one of n has everything", () => {
  assert.equal(jainIndex([5, 5, 5, 5]), 1)
  assert.equal(jainIndex([0, 0, 8, 0]), 1 / 4)
  // The example of the report it comes from: half of the users have all, the index is one half.
  assert.equal(jainIndex([1, 1, 0, 0]), 1 / 2)
})

test('percentiles are values of the list', () => {
  const values = Array.from({ length: 100 }, (_, i) => 100 - i)
  assert.deepEqual(
    [0, 0.5, 0.99, 1].map((share) => percentile(values, share)),
    [1, 51, 100, 100],
  )
  assert.ok(Number.isNaN(percentile([], 0.5)))
})

test('figures have separators, and digits where they say something', () => {
  assert.deepEqual([0, 7, 1 / 64, 77.64, 999.6, 1234.5, 131_071, 1e6].map(figure), [
    '0',
    '7',
    '0.02',
    '77.6',
    '1,000',
    '1,235',
    '131,071',
    '1,000,000',
  ])
})

test('the text names what was measured and says every figure', () => {
  const text = textReport(REPORT)
  for (const line of text.split('\n')) assert.ok(line.length <= 100, line)
  for (const said of [
    'over 2,000 events',
    /FIFO +131,071 +97 +99 +182 +516 +4,096/,
    /FIFO +131,071 +9,000 +12,345 +98,765 +150 +700/,
    /2-level, lowest first +64 +0\.016 +9,000,000 +63/,
    /FIFO, priority 0 +10,000 +84 +90/,
    /2-level +4,095 +78 +100,000 +300,000 +317,660 +97 %/,
    /3-level +262,143 +32,767 +none/,
  ]) {
    if (typeof said === 'string') assert.ok(text.includes(said), said)
    else assert.match(text, said)
  }
})

test('bars are as long as what they stand for, and never nothing', () => {
  const chart = chartsOf(REPORT).find(({ title }) => title.startsWith('Fairness'))
  assert.ok(chart)
  assert.deepEqual(
    chart.bars.map(({ value }) => shareOf(chart, value)),
    [1 / 64, 1],
  )
  assert.ok(shareOf(chart, 0) > 0)
})

test('the picture is well formed, and everything lies within it', () => {
  const svg = svgReport(REPORT)
  const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg) ?? []
  const open: string[] = []
  for (const [, close, name, empty] of svg.matchAll(/<(\/?)(\w+)[^<>]*?(\/?)>/g)) {
    if (close) assert.equal(open.pop(), name)
    else if (!empty) open.push(name ?? '')
  }
  assert.deepEqual(open, [])
  for (const [, x, y] of svg.matchAll(/<text x="([\d.]+)" y="([\d.]+)"/g)) {
    assert.ok(Number(x) < Number(width) && Number(y) < Number(height), `${x}, ${y}`)
  }
  for (const [, x, y, w, h] of svg.matchAll(
    /<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"/g,
  )) {
    assert.ok(Number(x) + Number(w) <= Number(width) && Number(y) + Number(h) <= Number(height))
  }
})
