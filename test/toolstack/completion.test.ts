// The generated completion in the real shells, and the generated manual page in the real man.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { completionScript } from '../../src/cli/completion-script.ts'
import { VERBS } from '../../src/cli/verbs.ts'

const folder = mkdtempSync(join(tmpdir(), 'xenolith-completion-'))
after(() => rmSync(folder, { recursive: true, force: true }))
// Stands for the command: it lists two domains.
const command = join(folder, 'xenolith')
writeFileSync(command, '#!/bin/sh\n[ "$*" = "list --names" ] && printf "web\\nshop\\n"\n')
chmodSync(command, 0o755)
writeFileSync(join(folder, 'bash'), completionScript('bash', VERBS))
writeFileSync(join(folder, 'zsh'), completionScript('zsh', VERBS))

/** What bash offers for a command line whose last word is being typed. */
function bash(...words: string[]): string[] {
  const line = ['xenolith', ...words].map((word) => `'${word}'`).join(' ')
  const script = `source ${folder}/bash; COMP_WORDS=(${line}); COMP_CWORD=${words.length}
    _xenolith; printf '%s\\n' "\${COMPREPLY[@]}"`
  const env = { ...process.env, PATH: `${folder}:${process.env['PATH']}` }
  const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', script], {
    encoding: 'utf8',
    env,
    cwd: folder,
  })
  assert.equal(stderr, '')
  return stdout.split('\n').filter(Boolean).sort()
}

test('bash completes verbs, options, choices, domains and files', () => {
  assert.deepEqual(bash('vc'), ['vcpu-list', 'vcpu-pin', 'vcpu-set'])
  assert.equal(bash('').length, VERBS.length)
  assert.deepEqual(bash('destroy', ''), ['shop', 'web'])
  assert.deepEqual(bash('console', 'w'), ['web'])
  assert.deepEqual(bash('rename', '--h'), ['--help', '--host'])
  assert.deepEqual(bash('sched-credit2', '-d', 's'), ['shop'])
  assert.deepEqual(bash('host', '--time', ''), ['real', 'virtual'])
  assert.deepEqual(bash('create', 'z'), ['zsh'])
  assert.deepEqual(bash('create', '-f', 'b'), ['bash'])
  assert.deepEqual(bash('completion', 'z'), ['zsh'])
  assert.deepEqual(bash('help', 'mem-'), ['mem-max', 'mem-set'])
  assert.deepEqual(bash('mem-set', 'web', '--host', ''), [])
})

test('zsh takes the completion, and offers the same words', () => {
  // Without a terminal there is no completion to watch: its builtin says what it was given.
  const script = `compdef() { :; }; source ${folder}/zsh
    compadd() { shift; print -l -- "$@"; }; _describe() { print -l -- \${(P)2%%:*}; }
    words=(${command} destroy ''); CURRENT=3; _xenolith
    print -- ---; words=(${command} host --time ''); CURRENT=4; _xenolith
    print -- ---; words=(${command} ''); CURRENT=2; _xenolith`
  const { stdout, stderr } = spawnSync('zsh', ['-f', '-c', script], { encoding: 'utf8' })
  assert.equal(stderr, '')
  const [domains, times, verbs] = stdout
    .split('---\n')
    .map((part) => part.split('\n').filter(Boolean))
  assert.deepEqual(domains, ['web', 'shop'])
  assert.deepEqual(times, ['real', 'virtual'])
  assert.deepEqual(
    verbs,
    VERBS.map(({ name }) => name),
  )
})

test('man shows the manual page without a warning, with every verb in it', () => {
  const { stdout, stderr, status } = spawnSync('man', ['--warnings', '-l', 'docs/man/xenolith.1'], {
    encoding: 'utf8',
    env: { ...process.env, MANWIDTH: '100', LC_ALL: 'C.UTF-8', MAN_KEEP_FORMATTING: '' },
  })
  assert.equal(status, 0)
  assert.equal(stderr, '')
  const text = stdout.replace(/.\x08/g, '')
  for (const { name, summary } of VERBS) {
    assert.match(text, new RegExp(`^ {3}${name}( |$)`, 'm'), name)
    assert.ok(text.replace(/\s+/g, ' ').includes(summary.slice(1, 20)), summary)
  }
})
