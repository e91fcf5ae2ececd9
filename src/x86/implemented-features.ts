// The CPUID features that the processor implements: what a policy may show to a guest.

const NAMES =
  'fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 ' +
  'sse3 pclmulqdq ssse3 cx16 pcid sse4_1 sse4_2 x2apic movbe popcnt tsc_deadline aes xsave rdrand ' +
  'syscall nx fxsr_opt pdpe1gb rdtscp lm lahf_lm abm cr8_legacy prefetchw ' +
  'fsgsbase tsc_adjust bmi1 smep bmi2 erms invpcid rdseed adx smap clflushopt clwb sha umip rdpid ' +
  'serialize xsaveopt xsavec xgetbv1 xsaves mmxext sse4a arat ' +
  // Nothing is executed speculatively, so there is nothing that kernels should work around.
  'auto_ibrs srso_no tsa_sq_no tsa_l1_no'

/** Names as in the feature table of cpuid/. */
export const IMPLEMENTED_FEATURES: readonly string[] = NAMES.split(' ')
