import assert from 'node:assert/strict'
import { test } from 'node:test'
import { didYouMean } from './did-you-mean.ts'

const VERBS = ['create', 'destroy', 'list', 'run', 'unpause']

test('a letter left out, added, replaced or two swapped are forgiven', () => {
  for (const word of ['ceate', 'creaate', 'crezte', 'craete', 'CREATE']) {
    assert.equal(didYouMean(word, VERBS), 'create', word)
  }
})

test('a word that is like none gets no suggestion', () => {
  for (const word of ['', 'x', 'banana', 'tsil']) assert.equal(didYouMean(word, VERBS), undefined)
})

test('the nearest of several is suggested', () => {
  assert.equal(didYouMean('lst', ['last', 'list', 'lst2']), 'last')
  assert.equal(didYouMean('memroy', ['memory', 'memmory']), 'memory')
})
