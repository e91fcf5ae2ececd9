// xen_version (public/version.h): what the guest runs on. All of it is for everyone, but for the
// command line and the build id. Strings are padded with zeros to the end of their arrays (XSA-122).

import { XEN_EFAULT, XEN_EINVAL, XEN_ENOSYS, XEN_EPERM } from '../abi/errno.ts'
import {
  XENFEAT_auto_translated_physmap,
  XENFEAT_hvm_callback_vector,
  XENFEAT_hvm_safe_pvclock,
  XENFEAT_memory_op_vnode_supported,
  XENFEAT_not_direct_mapped,
  XENFEAT_writable_page_tables,
} from '../abi/features.ts'
import {
  XEN_CAPABILITIES_INFO_LEN,
  XEN_CHANGESET_INFO_LEN,
  XEN_COMMANDLINE_LEN,
  XEN_EXTRAVERSION_LEN,
  xen_compile_info,
  xen_feature_info,
  xen_platform_parameters,
  XENVER_build_id,
  XENVER_capabilities,
  XENVER_changeset,
  XENVER_commandline,
  XENVER_compile_info,
  XENVER_extraversion,
  XENVER_get_features,
  XENVER_guest_handle,
  XENVER_pagesize,
  XENVER_platform_parameters,
  XENVER_version,
} from '../abi/version.ts'
import {
  XEN_CAPABILITIES,
  XEN_CHANGESET,
  XEN_COMPILE_INFO,
  XEN_EXTRAVERSION,
  XEN_VERSION,
} from '../version.ts'
import { type Answer, type Call, pointer, uint } from './call.ts'

const HYPERVISOR_VIRT_START = 0xffff800000000000n
const PAGE_SIZE = 4096

const PVH_FEATURES =
  (1 << XENFEAT_memory_op_vnode_supported) |
  (1 << XENFEAT_writable_page_tables) |
  (1 << XENFEAT_auto_translated_physmap) |
  (1 << XENFEAT_hvm_safe_pvclock) |
  (1 << XENFEAT_hvm_callback_vector) |
  (1 << XENFEAT_not_direct_mapped)

export function xenVersion(call: Call, args: readonly bigint[]): Answer {
  const command = uint(args, 0)
  const address = pointer(args, 1)
  const { guest } = call
  switch (command) {
    case XENVER_version:
      return XEN_VERSION
    case XENVER_extraversion:
      return answerText(call, address, XEN_EXTRAVERSION, XEN_EXTRAVERSION_LEN)
    case XENVER_compile_info: {
      const info = {
        compiler: text(XEN_COMPILE_INFO.compiler, 64),
        compile_by: text(XEN_COMPILE_INFO.compile_by, 16),
        compile_domain: text(XEN_COMPILE_INFO.compile_domain, 32),
        compile_date: text(XEN_COMPILE_INFO.compile_date, 32),
      }
      return guest.write(xen_compile_info, address, info) ? 0 : -XEN_EFAULT
    }
    case XENVER_capabilities:
      return answerText(call, address, XEN_CAPABILITIES, XEN_CAPABILITIES_INFO_LEN)
    case XENVER_changeset:
      return answerText(call, address, XEN_CHANGESET, XEN_CHANGESET_INFO_LEN)
    case XENVER_platform_parameters: {
      const start = guest.width === 64 ? HYPERVISOR_VIRT_START : 0n
      const isWritten = guest.write(xen_platform_parameters, address, { virt_start: start })
      return isWritten ? 0 : -XEN_EFAULT
    }
    case XENVER_get_features: {
      const info = guest.read(xen_feature_info, address)
      if (!info) return -XEN_EFAULT
      if (info.submap_idx !== 0) return -XEN_EINVAL
      const isWritten = guest.writeField(xen_feature_info, address, 'submap', PVH_FEATURES)
      return isWritten ? 0 : -XEN_EFAULT
    }
    case XENVER_pagesize:
      return address === 0n ? PAGE_SIZE : -XEN_EINVAL
    case XENVER_guest_handle:
      return guest.writeBytes(address, call.domain.uuid) ? 0 : -XEN_EFAULT
    case XENVER_commandline:
      return answerText(call, address, '<denied>', XEN_COMMANDLINE_LEN)
    case XENVER_build_id:
      return -XEN_EPERM
    default:
      return -XEN_ENOSYS
  }
}

function answerText(call: Call, address: bigint, value: string, length: number): number {
  return call.guest.writeBytes(address, text(value, length)) ? 0 : -XEN_EFAULT
}

/** ASCII text with at least one zero after it. */
function text(value: string, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < Math.min(value.length, length - 1); i++) bytes[i] = value.charCodeAt(i)
  return bytes
}
