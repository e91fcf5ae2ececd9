import assert from 'node:assert/strict'
import { test } from 'node:test'
import { XEN_EFAULT, XEN_EINVAL, XEN_ENOSYS, XEN_EPERM } from '../abi/errno.ts'
import * as features from '../abi/features.ts'
import * as abi from '../abi/version.ts'
import { __HYPERVISOR_xen_version as OP } from '../abi/xen.ts'
import { NOWHERE, TestHost } from '../testing/test-host.ts'

const AT = 0x9000

/** What lies at AT up to the first zero. */
function textAt(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes.subarray(0, bytes.indexOf(0)))
}

test('the version is 4.17', () => {
  const guest = new TestHost().guest()
  assert.equal(guest.call(OP, [abi.XENVER_version, 0]), 0x40011)
})

test('strings are zero to the end of their arrays (XSA-122)', () => {
  const guest = new TestHost().guest()
  const lengths = {
    [abi.XENVER_extraversion]: 16,
    [abi.XENVER_compile_info]: 144,
    [abi.XENVER_capabilities]: 1024,
    [abi.XENVER_changeset]: 64,
    [abi.XENVER_commandline]: 1024,
  }
  for (const [operation, length] of Object.entries(lengths)) {
    guest.put(AT, new Uint8Array(1100).fill(0xaa))
    assert.equal(guest.call(OP, [Number(operation), AT]), 0)
    const bytes = guest.get(AT, 1100)
    assert.ok(
      bytes.subarray(0, length).every((byte) => byte < 0x80),
      `operation ${operation}`,
    )
    assert.ok(
      bytes.subarray(length).every((byte) => byte === 0xaa),
      'and not beyond',
    )
  }
})

test('the command line is denied, the build id refused', () => {
  const guest = new TestHost().guest()
  guest.call(OP, [abi.XENVER_commandline, AT])
  assert.equal(textAt(guest.get(AT, 64)), '<denied>')
  assert.equal(guest.call(OP, [abi.XENVER_build_id, AT]), -XEN_EPERM)
})

test('the features are those of a translated HVM domain without PIRQs', () => {
  const guest = new TestHost().guest()
  const { result, submap } = guest.operate(OP, abi.XENVER_get_features, abi.xen_feature_info, {})
  assert.equal(result, 0)
  const has = (bit: number) => ((submap >> bit) & 1) === 1
  assert.ok(has(features.XENFEAT_auto_translated_physmap))
  assert.ok(has(features.XENFEAT_hvm_callback_vector))
  assert.ok(has(features.XENFEAT_hvm_safe_pvclock))
  assert.ok(has(features.XENFEAT_memory_op_vnode_supported))
  assert.ok(!has(features.XENFEAT_hvm_pirqs))
  assert.ok(!has(features.XENFEAT_dom0))
  const other = guest.operate(OP, abi.XENVER_get_features, abi.xen_feature_info, { submap_idx: 1 })
  assert.equal(other.result, -XEN_EINVAL)
})

test('the page size is asked for with a null pointer only', () => {
  const guest = new TestHost().guest()
  assert.equal(guest.call(OP, [abi.XENVER_pagesize, 0]), 4096)
  assert.equal(guest.call(OP, [abi.XENVER_pagesize, AT]), -XEN_EINVAL)
})

test('the guest handle is the domain uuid', () => {
  const uuid = new Uint8Array(16).map((_, i) => i + 1)
  const guest = new TestHost().guest({ uuid })
  assert.equal(guest.call(OP, [abi.XENVER_guest_handle, AT]), 0)
  assert.deepEqual(guest.get(AT, 16), uuid)
})

test('pointers to nowhere are EFAULT, unknown operations ENOSYS', () => {
  const guest = new TestHost().guest()
  for (const operation of [1, 2, 3, 4, 5, 6, 8, 9]) {
    assert.equal(guest.call(OP, [operation, NOWHERE]), -XEN_EFAULT, `operation ${operation}`)
  }
  assert.equal(guest.call(OP, [11, AT]), -XEN_ENOSYS)
})
