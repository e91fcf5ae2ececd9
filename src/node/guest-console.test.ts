import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConsoleRing } from '../backends/console/ring.ts'
import { TestPage } from '../backends/xenstore/test-clients.ts'
import { GuestConsole } from './guest-console.ts'
import type { DomainEnd } from './host-types.ts'
import { WaitError, waitFor } from './wait.ts'

/** A console whose guest is `act`: called with what was typed, it says what it answers. */
function scene(act: (typed: string) => string = () => '') {
  const ring = new ConsoleRing(new TestPage())
  const say = (text: string) => ring.show(new TextEncoder().encode(text))
  const world = { end: undefined as DomainEnd | undefined, rounds: 0 }
  const write = ring.write.bind(ring)
  const typed: string[] = []
  ring.write = (bytes) => {
    typed.push(new TextDecoder().decode(bytes))
    write(bytes)
  }
  const script: (() => void)[] = []
  const host = {
    isRunning: false,
    startIfReal: () => false,
    step: () => {
      world.rounds++
      script.shift()?.()
      const line = typed.shift()
      if (line !== undefined) say(act(line))
      return { state: 'ran' as const }
    },
  }
  const console = new GuestConsole(ring, {
    name: 'web',
    get end() {
      return world.end
    },
    wake: () => {},
    wait: (find, options, expired) =>
      waitFor(host, find, { timeoutMs: options.timeoutMs ?? 500, signal: options.signal }, expired),
    timeoutMs: (options) => options.timeoutMs ?? 500,
  })
  return { console, say, world, script, host }
}

test('what has come already is found, each match behind the last one', async () => {
  const { console, say } = scene()
  say('\x1b[1mone\x1b[0m two\r\nthree')
  assert.equal((await console.expect('one two\n')).index, 0)
  assert.equal((await console.expect(/t(\w+)/g))[1], 'hree')
  await assert.rejects(console.expect('one', { timeoutMs: 20 }), WaitError)
})

test('the host is moved on until the text comes, and not a round further', async () => {
  const { console, say, world, script } = scene()
  script.push(
    () => say('a'),
    () => say('b'),
    () => say('c'),
  )
  await console.expect('ab')
  assert.equal(world.rounds, 2)
})

test('a text is taken literally, a pattern is not', async () => {
  const { console, say } = scene()
  say('a.b? axb')
  await console.expect('a.b?')
  await console.expect(/a.b/)
})

test('an error names what was waited for, the domain, and the last lines', async () => {
  const { console, say } = scene()
  say('starting\n\nlogin: ')
  await assert.rejects(console.expect('prompt', { timeoutMs: 20 }), (error: WaitError) => {
    assert.equal(error.reason, 'timeout')
    assert.equal(error.what, '"prompt" did not come on the console of "web".')
    const lines = ['It was waited for for 0.02 s. The last lines of the console:', '  | starting']
    assert.equal(error.why, [...lines, '  | login: '].join('\n'))
    return true
  })
})

test('a domain that has ended fails a wait at once, unless the text had come before', async () => {
  const { console, say, world } = scene()
  say('last words')
  world.end = { reason: 'crash', cause: 'a triple fault' }
  await console.expect('last')
  await assert.rejects(console.expect('more', { timeoutMs: 60_000 }), (error: WaitError) => {
    assert.equal(error.reason, 'ended')
    assert.match(error.why, /^The domain has ended: crash, a triple fault\./)
    return true
  })
})

test('a signal ends a wait with its own reason', async () => {
  const { console } = scene()
  const reason = new Error('the test is over')
  const signal = AbortSignal.abort(reason)
  await assert.rejects(console.expect('x', { signal, timeoutMs: 60_000 }), reason)
})

test('a line that is run gives its output and its status, whatever is in it', async () => {
  const shell = (typed: string): string => {
    // As a shell does: the quotes go; the line comes back as an echo first.
    const match = /^echo (x\d+n)''b; eval '([^]*)'; echo \1''e\$\?\r$/.exec(typed)
    const [, mark = '', line = ''] = match ?? []
    const output = line.includes('nothing') ? '' : `${line.replaceAll(String.raw`'\''`, "'")}\n`
    return `${typed}\n${mark}b\r\n${output}${mark}e${line.includes('fail') ? 3 : 0}\r\n# `
  }
  const { console } = scene(shell)
  assert.deepEqual(await console.run("it's $HOME; x''e"), {
    output: "it's $HOME; x''e\n",
    status: 0,
  })
  assert.deepEqual(await console.run('nothing, fail'), { output: '', status: 3 })
})

test('a line that does not end says which one it was', async () => {
  const { console } = scene((typed) => `${typed}\n`)
  await assert.rejects(
    console.run('sleep 1000', { timeoutMs: 30 }),
    /^UserError: the end of "sleep 1000" did not come on the console of "web"\./,
  )
})

test('typed lines end with the Enter key', () => {
  let typed = ''
  const { console, host } = scene((text) => {
    typed += text
    return ''
  })
  console.type('one\ntwo\r\n')
  host.step()
  assert.equal(typed, 'one\rtwo\r')
})
