// The syntax of xl.cfg(5), SYNTAX, and of libxlu's scanner and grammar where the manual is short.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { GuestFileError } from './diagnostic.ts'
import { parseSettings, type Value } from './parser.ts'

type Plain = string | Plain[]

function plain(value: Value): Plain {
  return value.kind === 'atom' ? value.text : value.items.map(plain)
}

function parse(text: string): Record<string, Plain> {
  const settings = parseSettings([{ name: 'test.cfg', text }])
  return Object.fromEntries(settings.map(({ key, value }) => [key, plain(value)]))
}

const GOOD: readonly (readonly [text: string, settings: Record<string, Plain>])[] = [
  ['', {}],
  ['\n\n  \n;;\n', {}],
  // The two forms that the manual calls equal.
  ['name="h0"\ntype="hvm"', { name: 'h0', type: 'hvm' }],
  ['name="h0"; type="hvm"', { name: 'h0', type: 'hvm' }],
  ["name='h0'", { name: 'h0' }],
  ['name = "it\'s"', { name: "it's" }],
  ['name = \'say "x"\'', { name: 'say "x"' }],
  ['\tmemory\t=\t512\t', { memory: '512' }],
  ['memory=0x200', { memory: '0x200' }],
  ['memory=01000', { memory: '01000' }],
  ['memory=512 # as much as it needs\nvcpus=2', { memory: '512', vcpus: '2' }],
  ['# only a comment', {}],
  ['name="a#b"', { name: 'a#b' }],
  ['a=[]', { a: [] }],
  ['a=["x"]', { a: ['x'] }],
  ['a=["x",]', { a: ['x'] }],
  ['a=["x", 2, [\'y\', []]]', { a: ['x', '2', ['y', []]] }],
  ['disk = [\n  "one", # first\n  "two"\n]\n', { disk: ['one', 'two'] }],
  ['disk = [\n\n "one"\n ,\n "two",\n]', { disk: ['one', 'two'] }],
  ['a="x"\na="y"', { a: 'y' }],
  ['a=["x"]\na+=["y"]', { a: ['x', 'y'] }],
  ['a="x"; a+="y"', { a: 'xy' }],
  ['a+=["y"]', { a: ['y'] }],
  ['a="x"\r\nb="y"\r\n', { a: 'x', b: 'y' }],
  // Escapes that libxlu knows.
  [String.raw`a="\"\'\\\n\t\x41\101"`, { a: '"\'\\\n\tAA' }],
]

const BAD: readonly (readonly [text: string, position: string, message: RegExp])[] = [
  ['name=h0', '1:6', /"h0" has no place here.*a string stands in quotes/s],
  ['name "h0"', '1:6', /The string has no place here.*"=" stands after a key/s],
  ['name="h0" type="hvm"', '1:11', /new line or ";"/],
  ['name="h0', '1:6', /The string does not end/],
  ['a=\n"x"', '1:3', /The line ends too early/],
  ['a=', '1:3', /The file ends too early/],
  ['a=["x"', '1:3', /The list does not end/],
  ['a=["x" "y"]', '1:8', /"," stands between/],
  ['a=[,]', '1:4', /has no place here/],
  ['Name="x"', '1:1', /lower case: name/],
  ['\n  = 3', '2:3', /a setting is KEY = VALUE/],
  ['memory=512M', '1:11', /a number has no unit here/],
  ['a=(1)', '1:3', /"\(1\)" has no place here/],
  [String.raw`a="\q"`, '1:4', /is no escape/],
  ['a="x"; a+=["y"]', '1:11', /A list cannot be added to a single value/],
  [`a=${'['.repeat(20)}${']'.repeat(20)}`, '1:19', /nested too deep/],
]

test('settings are read as the manual says', () => {
  for (const [text, settings] of GOOD) assert.deepEqual(parse(text), settings, text)
})

test('what is no setting is an error with line, column, the line itself and a caret', () => {
  for (const [text, position, message] of BAD) {
    assert.throws(
      () => parse(text),
      (error) => {
        assert.ok(error instanceof GuestFileError, text)
        assert.ok(error.what.startsWith(`test.cfg:${position}: `), `${text}: ${error.what}`)
        assert.match(error.message, message)
        const [line = '', carets = ''] = error.why.split('\n')
        const column = Number(position.split(':')[1])
        assert.equal(carets.indexOf('^'), line.indexOf('| ') + 1 + column, error.why)
        return true
      },
    )
  }
})

test('several sources are one file, and an error names the one that it is in', () => {
  const file = { name: 'web.cfg', text: 'memory=256; a=["x"]' }
  const settings = parseSettings([file, { name: 'command line', text: 'memory=512\na+=["y"]' }])
  const byKey = new Map(settings.map(({ key, value }) => [key, plain(value)]))
  assert.deepEqual(
    [...byKey],
    [
      ['memory', '512'],
      ['a', ['x', 'y']],
    ],
  )
  assert.throws(
    () => parseSettings([file, { name: 'command line', text: 'memory=' }]),
    /^GuestFileError|command line:1:8/,
  )
})

/** A value, and one way to write it. */
const written: fc.Arbitrary<readonly [Plain, string]> = fc.letrec<{
  value: readonly [Plain, string]
}>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc
      .string({
        unit: fc.constantFrom('a', 'Z', ' ', '#', ';', ',', '[', '=', "'", '"', '\\', '\n'),
      })
      .map((text) => [text, quoted(text)] as const),
    fc.nat().map((number) => [String(number), String(number)] as const),
    fc
      .array(tie('value'), { maxLength: 4 })
      .map(
        (items) =>
          [
            items.map(([value]) => value),
            `[ ${items.map(([, text]) => text).join(' ,\n')} ]`,
          ] as const,
      ),
  ),
})).value

function quoted(text: string): string {
  const escaped = text.replace(/[\\'"]/g, (char) => `\\${char}`).replaceAll('\n', '\\n')
  return `"${escaped}"`
}

test('whatever is written by the rules is read as it was meant', () => {
  const keys = fc.stringMatching(/^[a-z][_0-9a-z]{0,8}$/)
  const separators = fc.constantFrom('\n', ';', ' ; ', ' # why\n', '\r\n')
  fc.assert(
    fc.property(fc.array(fc.tuple(keys, written, separators)), (settings) => {
      const text = settings.map(([key, [, value], end]) => `${key} = ${value}${end}`).join('')
      const expected = Object.fromEntries(settings.map(([key, [value]]) => [key, value]))
      assert.deepEqual(parse(text), expected)
    }),
  )
})

test('no text whatever makes the parser fail in another way than with a place in the text', () => {
  const pieces = [
    'a',
    '=',
    '+=',
    '[',
    ']',
    ',',
    ';',
    '\n',
    '"',
    "'",
    '\\',
    '#',
    '9',
    'é',
    '\0',
    ' ',
  ]
  const nearly = fc.string({ unit: fc.constantFrom(...pieces), maxLength: 40 })
  fc.assert(
    fc.property(fc.oneof(nearly, fc.string({ unit: 'binary' })), (text) => {
      try {
        parse(text)
      } catch (error) {
        assert.ok(error instanceof GuestFileError, String(error))
        const { start, end } = error.diagnostic.place
        assert.ok(start >= 0 && start <= end && end <= text.length)
      }
    }),
    { numRuns: 1000 },
  )
})
