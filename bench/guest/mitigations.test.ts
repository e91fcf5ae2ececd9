import assert from 'node:assert/strict'
import { test } from 'node:test'
import { differingMitigations } from './mitigations.ts'

test('only flaws about which kernels differ are named, those too that one does not know', () => {
  const same = [
    ['mds', 'Not affected'],
    ['spectre_v2', 'Retpolines'],
  ] as const
  const sides = new Map([
    ['ours', new Map(same)],
    ['QEMU', new Map<string, string>([...same, ['tsa', 'Vulnerable']])],
    ['bochs', new Map(same)],
  ])
  assert.deepEqual(differingMitigations(sides), ['tsa: "" (ours, bochs), "Vulnerable" (QEMU)'])
})
