import assert from 'node:assert/strict'
import { test } from 'node:test'
import { call, SOME_FILE } from './testing/call.ts'
import { VERBS } from './verbs.ts'

test('without a verb the help goes to stderr with status 2', async () => {
  const { status, out, err } = await call([])
  assert.equal(status, 2)
  assert.equal(out, '')
  assert.match(err, /^xenolith VERB/)
})

test('help, --help and -h show the same on stdout with status 0', async () => {
  const [help, long, short] = await Promise.all([call(['help']), call(['--help']), call(['-h'])])
  assert.equal(help.status, 0)
  assert.match(help.out, /Examples:\n[^]*Verbs:\n {2}run +boot a guest/)
  assert.equal(long.out, help.out)
  assert.equal(short.out, help.out)
})

test('the help of a verb leads with examples and ends with the exit statuses', async () => {
  const { out } = await call(['help', 'run'])
  const parts = ['Examples:', 'Options:', '--kernel FILE', 'Exit status:', '\n  13  ']
  const places = parts.map((part) => out.indexOf(part))
  assert.ok(!places.includes(-1), out)
  assert.deepEqual(
    places,
    places.toSorted((a, b) => a - b),
  )
  assert.equal((await call(['run', '--help'])).out, out)
})

test('no line of the help is wider than 80 columns', async () => {
  for (const argv of [['help'], ...VERBS.map(({ name }) => ['help', name])]) {
    const { out } = await call(argv)
    for (const line of out.split('\n')) {
      const isExample = /^ {2}(source <\()?xenolith /.test(line)
      assert.ok(line.length <= (isExample ? 100 : 80), line)
    }
  }
})

test('a mistyped verb gets the one that was meant, in three lines, with status 2', async () => {
  const { status, err } = await call(['rnu'])
  assert.equal(status, 2)
  assert.equal(err, 'Unknown verb "rnu".\nDid you mean "run"?\n"xenolith help" lists the verbs.\n')
})

test('wrong usage is said in three lines with status 2', async () => {
  const run = ['run', '--kernel', SOME_FILE]
  const wrong: [string[], RegExp][] = [
    [['zzzzzz'], /No verb has a name like that/],
    [['save', 'web', 'file'], /no "save" here[^]*cannot be saved yet/],
    [['-N', 'create'], /no -N before the verb[^]*create has it as -n/],
    [['list', '--context'], /no --context here[^]*no security labels/],
    [['destroy'], /"destroy" needs more: domain-id\.\nNothing was given/],
    [['rename', 'web'], /"rename" needs more: domain-id new-name\.\nGiven: web/],
    [['shutdown'], /needs a domain or -a/],
    [['create'], /Nothing says what domain is meant/],
    [['create', 'a.cfg', 'b.cfg'], /"b\.cfg" is too much/],
    [['completion', 'fish'], /no completion for "fish"/],
    [['help', 'dmeo'], /Did you mean "demo"/],
    [['run'], /There is nothing to boot./],
    [['run', '--kernle', 'x'], /Unknown option "--kernle".\nDid you mean "--kernel"/],
    [['run', '-x'], /Unknown option "-x"/],
    [['run', '--kernel'], /--kernel needs a value.\nNothing follows it/],
    [['run', '--kernel', '--ramdisk', 'x'], /--kernel needs a value.\n"--ramdisk" follows it/],
    [[...run, 'more'], /"more" is too much/],
    [['version', 'more'], /"more" is too much/],
    [[...run, '--memory', 'lots'], /--memory cannot be "lots".\nIt is a whole number from 1 on/],
    [[...run, '--memory', '1.5'], /whole number/],
    [[...run, '--vcpus', '129'], /from 1 to 128/],
    [[...run, '--timeout', '-1'], /--timeout cannot be "-1"/],
    [[...run, '--time', 'vitrual'], /virtual, real; did you mean "virtual"\?/],
    [[...run, '--json=yes'], /--json takes no value/],
    [[...run, '--expect', '('], /--expect "\(" is no regular expression/],
    [[...run, '--send', 'a\\q'], /unknown escape "\\q"/],
  ]
  for (const [argv, message] of wrong) {
    const { status, err, host } = await call(argv)
    assert.equal(status, 2, argv.join(' '))
    assert.match(err, message)
    assert.equal(err.trimEnd().split('\n').length, 3, err)
    assert.equal(host.guest, undefined)
  }
})

test('a missing image is said in three lines with status 1, before anything is built', async () => {
  for (const path of ['/no/such/file', '/']) {
    const { status, err, host } = await call(['run', '--kernel', path])
    assert.equal(status, 1)
    assert.ok(err.startsWith(`Cannot read the kernel ${path}.\n`))
    assert.equal(err.trimEnd().split('\n').length, 3)
    assert.equal(host.options, undefined)
  }
})

test('version tells what is running in one line', async () => {
  const { out } = await call(['version'])
  assert.match(out, /^xenolith \d+\.\d+\.\d+, Node \d+\S* \(V8 \S+\), \w+ \w+\n$/)
  assert.equal((await call(['--version'])).out, out)
})
