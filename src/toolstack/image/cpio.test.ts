import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Bug } from '../../base/errors.ts'
import { writeCpio } from './cpio.ts'

test('writeCpio writes what GNU cpio writes', () => {
  const archive = writeCpio([
    { kind: 'folder', path: 'a' },
    { kind: 'file', path: 'a/b', data: 'hello' },
  ])
  // printf 'a\na/b\n' | cpio -o -H newc --reproducible -R 0:0 (GNU cpio 2.13, times set to 0),
  // without the padding to a whole block.
  const expected =
    '07070100000000000041ED000000000000000000000002000000000000000000000000000000000000000000000000' +
    '0000000200000000a\0' +
    '070701000000010000' +
    '81A4000000000000000000000001000000000000000500000000000000000000000000000000' +
    '0000000400000000a/b\0\0\0hello\0\0\0' +
    '07070100000000000000000000000000000000000000010000000000000000000000000000000000000000000000' +
    '000000000B00000000TRAILER!!!\0\0\0\0'
  assert.equal(new TextDecoder().decode(archive), expected)
})

test('writeCpio refuses absolute paths and paths given twice', () => {
  assert.throws(() => writeCpio([{ kind: 'folder', path: '/a' }]), Bug)
  const link = { kind: 'link', path: 'a', target: 'b' } as const
  assert.throws(() => writeCpio([link, link]), Bug)
})
