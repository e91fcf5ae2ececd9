// public/version.h: what xen_version answers.
// Numbers and layouts only; names as in the header.

import { Structure } from './structure.ts'

export const XENVER_version = 0
export const XENVER_extraversion = 1
export const XENVER_compile_info = 2
export const XENVER_capabilities = 3
export const XENVER_changeset = 4
export const XENVER_platform_parameters = 5
export const XENVER_get_features = 6
export const XENVER_pagesize = 7
export const XENVER_guest_handle = 8
export const XENVER_commandline = 9
export const XENVER_build_id = 10

/** Bytes of the character arrays that the string operations fill. */
export const XEN_EXTRAVERSION_LEN = 16
export const XEN_CAPABILITIES_INFO_LEN = 1024
export const XEN_CHANGESET_INFO_LEN = 64
export const XEN_COMMANDLINE_LEN = 1024

export const xen_compile_info = new Structure('xen_compile_info', {
  compiler: { bytes: 64 },
  compile_by: { bytes: 16 },
  compile_domain: { bytes: 32 },
  compile_date: { bytes: 32 },
})

export const xen_platform_parameters = new Structure('xen_platform_parameters', {
  virt_start: 'ulong',
})

export const xen_feature_info = new Structure('xen_feature_info', {
  submap_idx: 'u32',
  submap: 'u32',
})

export const xen_build_id = new Structure('xen_build_id', { len: 'u32' })
