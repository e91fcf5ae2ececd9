// Records what the processor underneath does, for hosts that are no x86-64 or lack a compiler:
//
//   tools/node test/silicon/record.ts [--cases N] [--seed N]
//
// writes vectors.br beside this file; silicon.test.ts replays it.

import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { NativeProcessor } from './native.ts'
import { encodeVectors, recordVectors, VECTORS_FILE } from './vectors.ts'

const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '20000' },
    seed: { type: 'string', default: '7' },
  },
})

const native = new NativeProcessor()
try {
  const vectors = recordVectors(native, Number(values.cases), Number(values.seed))
  const bytes = encodeVectors(vectors)
  writeFileSync(VECTORS_FILE, bytes)
  console.log(`${VECTORS_FILE}: ${vectors.cases.count} cases, ${bytes.length} bytes`)
} finally {
  native.dispose()
}
