import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { dsdtBody } from './dsdt.ts'
import { pvhAcpiTables } from './pvh-tables.ts'
import { table } from './table.ts'

const hasIasl = spawnSync('iasl', ['-v']).status === 0
const needsIasl = hasIasl ? {} : { skip: 'iasl is not installed' }

/** The pieces as a guest finds them: follows the addresses from the RSDP. */
function walk(vcpus: number): Map<string, DataView> {
  const { pieces, rsdp } = pvhAcpiTables({ vcpus })
  const at = (address: number | bigint): DataView => {
    const piece = pieces.find((p) => p.address === Number(address))
    assert.ok(piece, `nothing at ${address.toString(16)}`)
    return new DataView(piece.bytes.buffer, piece.bytes.byteOffset, piece.bytes.length)
  }
  const found = new Map<string, DataView>([['RSD PTR ', at(rsdp)]])
  const xsdt = at(at(rsdp).getBigUint64(24, true))
  found.set(signature(xsdt), xsdt)
  for (let i = 36; i < xsdt.byteLength; i += 8) {
    const entry = at(xsdt.getBigUint64(i, true))
    found.set(signature(entry), entry)
  }
  const fadt = found.get('FACP') as DataView
  for (const [short, long] of [
    [36, 132],
    [40, 140],
  ] as const) {
    assert.equal(BigInt(fadt.getUint32(short, true)), fadt.getBigUint64(long, true))
    found.set(signature(at(fadt.getUint32(short, true))), at(fadt.getUint32(short, true)))
  }
  return found
}

function signature(view: DataView): string {
  return Array.from({ length: 4 }, (_, i) => String.fromCharCode(view.getUint8(i))).join('')
}

function sum(view: DataView, length = view.byteLength): number {
  let total = 0
  for (let i = 0; i < length; i++) total += view.getUint8(i)
  return total & 0xff
}

test('every table is found from the RSDP, has its length and sums to zero', () => {
  const tables = walk(2)
  assert.deepEqual([...tables.keys()], ['RSD PTR ', 'XSDT', 'FACP', 'APIC', 'FACS', 'DSDT'])
  for (const [name, view] of tables) {
    if (name === 'RSD PTR ') continue
    assert.equal(view.getUint32(4, true), view.byteLength, name)
    if (name !== 'FACS') assert.equal(sum(view), 0, name)
  }
  const rsdp = tables.get('RSD PTR ') as DataView
  assert.deepEqual([rsdp.getUint8(15), sum(rsdp, 20), sum(rsdp)], [2, 0, 0])
})

test('addresses and sizes are those observed on Xen 4.17', () => {
  const { rsdp, region, pieces } = pvhAcpiTables({ vcpus: 1 })
  assert.equal(rsdp, 0xfc008000)
  assert.deepEqual(region, { address: 0xfc000000, bytes: 0x8040 })
  for (const { address, bytes } of pieces) {
    assert.ok(address >= region.address && address + bytes.length <= region.address + region.bytes)
  }
  const tables = walk(1)
  const fadt = tables.get('FACP') as DataView
  assert.equal(fadt.byteLength, 0x10c)
  assert.equal(fadt.getUint8(8), 5)
  assert.equal((tables.get('APIC') as DataView).byteLength, 0x34)
})

test('the FACS lies on a multiple of 64, as ACPI asks', () => {
  const facs = pvhAcpiTables({ vcpus: 1 }).pieces.find(
    (p) => p.bytes[0] === 0x46 && p.bytes[3] === 0x53,
  )
  assert.equal(facs?.address, 0xfc001000)
})

test("the MADT gives twice the vCPU's number as APIC ID, from 255 on in x2APIC entries", () => {
  const madt = walk(130).get('APIC') as DataView
  const entry = (at: number) =>
    Array.from({ length: madt.getUint8(at + 1) }, (_, i) => madt.getUint8(at + i))
  assert.equal(madt.getUint32(36, true), 0xfee00000)
  assert.deepEqual(entry(44 + 8 * 3), [0, 8, 3, 6, 1, 0, 0, 0])
  assert.deepEqual(entry(44 + 8 * 127), [0, 8, 127, 254, 1, 0, 0, 0])
  assert.deepEqual(entry(44 + 8 * 128), [9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 128, 0, 0, 0])
})

test('a vCPU that is offline has an entry that is not enabled', () => {
  const { pieces } = pvhAcpiTables({ vcpus: 2, isOnline: (vcpu) => vcpu === 0 })
  const madt = pieces.find(({ bytes }) => bytes[0] === 0x41)
  assert.deepEqual([madt?.bytes[48], madt?.bytes[56]], [1, 0])
})

test('more vCPUs than the region has room for are refused', () => {
  assert.throws(() => pvhAcpiTables({ vcpus: 4000 }), /do not fit/)
})

test('iasl compiles the same processors to the same AML', needsIasl, () => {
  for (const vcpus of [1, 2, 20, 256]) {
    const terms = Array.from({ length: vcpus }, (_, id) => {
      const hex = id.toString(16).toUpperCase()
      const head =
        id < 255
          ? `Processor (PR${hex.padStart(2, '0')}, ${id}, 0xb010, 6)`
          : `Device (P${hex.padStart(3, '0')})`
      return `${head} { Name (_HID, "ACPI0007") Name (_UID, ${id}) }`
    })
    const scope = `Scope (\\_SB) { ${terms.join('\n')} }`
    const source = `DefinitionBlock ("", "DSDT", 2, "Xen", "HVM", 0) { ${scope} }`
    const compiled = inFolder((folder) => {
      writeFileSync(join(folder, 'd.asl'), source)
      // Without -on it drops the backslash of names that mean the same without it.
      execFileSync('iasl', ['-on', '-p', join(folder, 'd'), join(folder, 'd.asl')], {
        stdio: 'pipe',
      })
      return readFileSync(join(folder, 'd.aml'))
    })
    assert.deepEqual(dsdtBody(vcpus), new Uint8Array(compiled.subarray(36)), `${vcpus} vCPUs`)
  }
})

test('iasl takes every table apart without complaint', needsIasl, () => {
  inFolder((folder) => {
    for (const { bytes } of pvhAcpiTables({ vcpus: 130 }).pieces) {
      if (bytes[0] === 0x52) continue
      writeFileSync(join(folder, 't.dat'), bytes)
      const out = execFileSync('iasl', ['-d', join(folder, 't.dat')], {
        encoding: 'utf8',
        stdio: 'pipe',
      })
      const text = out + readFileSync(join(folder, 't.dsl'), 'utf8')
      assert.doesNotMatch(text, /incorrect checksum|invalid|unknown|\berror\b/i)
    }
  })
})

test('a table of known bytes gets the checksum that was computed by hand', () => {
  // 'TEST' 140h + length 37 25h + revision 1 + 'Xen' 12Bh + 'HVM' EBh + 'HVML' 137h + AAh = 45Dh
  assert.equal(table('TEST', 1, [0xaa])[9], 0xa3)
})

function inFolder<T>(run: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'acpi-'))
  try {
    return run(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}
