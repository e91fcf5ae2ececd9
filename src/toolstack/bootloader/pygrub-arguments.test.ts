import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ArgumentError, PYGRUB_ARGUMENTS, readPygrubArguments } from './pygrub-arguments.ts'

test('options may be shortened, and stand apart from their values', () => {
  const { options } = readPygrubArguments(['-q', '--entry', '2', '--ker=/k', '--args=a=b c'])
  assert.deepEqual(options, { entry: '2', kernel: '/k', args: 'a=b c' })
  assert.deepEqual(readPygrubArguments(['--offset=1048576']).options, { offset: 1048576 })
})

test('what is ignored is said with its reason', () => {
  const { remarks } = readPygrubArguments(['-i', '--runas', '1000'])
  assert.deepEqual(
    remarks.map(({ argument }) => argument),
    ['-i', '--runas'],
  )
})

test('what cannot be is an error', () => {
  for (const [words, message] of [
    [['--entyr=1'], /did you mean "--entry"/],
    [['--o=1'], /no argument "--o"/],
    [['--entry'], /--entry needs a value/],
    [['-q=1'], /-q takes no value/],
    [['-l'], /-l is not supported/],
    [['--offset=1M'], /number of bytes/],
    [['xvda'], /no argument "xvda"/],
  ] as const) {
    assert.throws(() => readPygrubArguments(words), message)
    assert.throws(() => readPygrubArguments(words), ArgumentError)
  }
})

test('every long option of pygrub 0.7 is in the table', () => {
  // What `pygrub --help` of xen-utils-4.17 and its call of getopt name.
  const names =
    'quiet interactive list-entries not-really help output output-format output-directory offset ' +
    'runas entry kernel ramdisk args isconfig debug'
  const known = PYGRUB_ARGUMENTS.flatMap(({ names }) => names).filter((name) =>
    name.startsWith('--'),
  )
  assert.deepEqual(
    known.toSorted(),
    names
      .split(' ')
      .map((name) => `--${name}`)
      .toSorted(),
  )
})
