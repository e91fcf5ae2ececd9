import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSystemMap } from './system-map.ts'

test('the lines of code are read, whatever is between them', () => {
  const text = [
    '0000000000000000 D __per_cpu_start',
    'ffffffff81000000 T _text',
    'ffffffff81000070 t verify_cpu',
    'ffffffff82000000 R __start_rodata',
    'ffffffff81123450 W arch_weak',
    'ffffffffc0000000 t xlblk_init\t[xen_blkfront]',
    '',
  ].join('\n')
  assert.deepEqual(parseSystemMap(text, 'System.map'), [
    { address: 0xffffffff81000000n, name: '_text' },
    { address: 0xffffffff81000070n, name: 'verify_cpu' },
    { address: 0xffffffff81123450n, name: 'arch_weak' },
    { address: 0xffffffffc0000000n, name: 'xlblk_init' },
  ])
})

test('what is no System.map is refused with its first wrong line', () => {
  // What Debian's kernel packages have in its place.
  const stub =
    'ffffffffffffffff B The real System.map is in the linux-image-<version>-dbg package\n'
  for (const [text, why] of [
    [stub, /Line 1 is not an address, a letter and a name/],
    ['ffffffff81000000 T _text\n\x7fELF', /Line 2 /],
    ['', /It names no code/],
    ['ffffffff82000000 R __start_rodata', /It names no code/],
    ['0000000000000000 T _text\n0000000000000000 t verify_cpu', /All addresses are 0/],
  ] as const) {
    assert.throws(() => parseSystemMap(text, 'System.map'), why)
  }
})
