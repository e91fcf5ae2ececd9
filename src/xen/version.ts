// The Xen that guests see: what xen_version and CPUID answer.

/** Major version in the upper half, minor in the lower. */
export const XEN_VERSION = (4 << 16) | 17

/** XENVER_extraversion: at most 15 characters. */
export const XEN_EXTRAVERSION = '.7'

/** XENVER_capabilities. */
export const XEN_CAPABILITIES =
  'xen-3.0-x86_64 xen-3.0-x86_32p hvm-3.0-x86_32 hvm-3.0-x86_32p hvm-3.0-x86_64 '

/** XENVER_changeset. */
export const XEN_CHANGESET = ''

/** XENVER_compile_info. */
export const XEN_COMPILE_INFO = {
  compiler: 'xenolith',
  compile_by: 'xenolith',
  compile_domain: '',
  compile_date: '',
} as const
