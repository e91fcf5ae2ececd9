// The named bits of CPUID (Intel SDM vol. 2A, CPUID; AMD APM vol. 3, appendix E), one row a
// register. Names are those of Xen's public/arch-x86/cpufeatureset.h in lower case; after a
// slash, other names of the same bit: in xl.cfg's `cpuid=`, in Linux's /proc/cpuinfo, or in
// instruction references. Bits that Xen does not name have Linux's name.
//
// MSR_ARCH_CAPABILITIES is not here: it is no CPUID leaf.

export type CpuidRegister = 'eax' | 'ebx' | 'ecx' | 'edx'

/** A register of a leaf whose bits are features, as `bit:name/alias...` words. */
export interface FeatureWord {
  readonly leaf: number
  readonly subleaf: number
  readonly register: CpuidRegister
  readonly bits: string
}

const word = (leaf: number, subleaf: number, register: CpuidRegister, bits: string) => ({
  leaf,
  subleaf,
  register,
  bits,
})

export const FEATURE_WORDS: readonly FeatureWord[] = [
  word(
    0x1,
    0,
    'edx',
    `0:fpu 1:vme 2:de 3:pse 4:tsc 5:msr 6:pae 7:mce 8:cx8/cmpxchg8/cmpxchg8b 9:apic
     11:sep/sysenter 12:mtrr 13:pge 14:mca 15:cmov 16:pat 17:pse36 18:psn/pn
     19:clflush/clfsh 21:ds/dts 22:acpi 23:mmx 24:fxsr 25:sse 26:sse2 27:ss 28:htt/ht
     29:tm1/tm 30:ia64 31:pbe`,
  ),
  word(
    0x1,
    0,
    'ecx',
    `0:sse3/pni 1:pclmulqdq/pclmul 2:dtes64 3:monitor 4:dscpl/ds_cpl 5:vmx 6:smx 7:eist/est
     8:tm2 9:ssse3 10:cid/cntxid 11:sdbg 12:fma 13:cx16/cmpxchg16/cmpxchg16b 14:xtpr 15:pdcm
     17:pcid 18:dca 19:sse4_1 20:sse4_2 21:x2apic 22:movbe 23:popcnt
     24:tsc_deadline/tsc_deadline_timer 25:aesni/aes 26:xsave 27:osxsave 28:avx 29:f16c
     30:rdrand 31:hypervisor`,
  ),
  word(
    0x80000001,
    0,
    'edx',
    `11:syscall 19:mp 20:nx 22:mmxext 25:ffxsr/fxsr_opt 26:page1gb/pdpe1gb 27:rdtscp 29:lm
     30:3dnowext 31:3dnow`,
  ),
  word(
    0x80000001,
    0,
    'ecx',
    `0:lahf_lm/lahfsahf 1:cmp_legacy/cmplegacy 2:svm 3:extapic 4:cr8_legacy/altmovcr8
     5:abm/lzcnt 6:sse4a 7:misalignsse 8:3dnowprefetch/prefetchw 9:osvw 10:ibs 11:xop 12:skinit
     13:wdt 15:lwp 16:fma4 17:tce 19:nodeid_msr/nodeid 21:tbm 22:topoext 23:perfctr_core
     24:perfctr_nb 26:dbext/bpext 27:ptsc 28:perfctr_llc 29:monitorx/mwaitx 30:addr_mask_ext/admskx`,
  ),
  word(0xd, 1, 'eax', '0:xsaveopt 1:xsavec 2:xgetbv1 3:xsaves'),
  word(
    0x7,
    0,
    'ebx',
    `0:fsgsbase 1:tsc_adjust 2:sgx 3:bmi1/tzcnt 4:hle 5:avx2 6:fdp_excp_only 7:smep 8:bmi2
     9:erms 10:invpcid 11:rtm 12:pqm/cmt/cqm 13:no_fpu_sel 14:mpx 15:pqe/rdt_a 16:avx512f
     17:avx512dq 18:rdseed 19:adx 20:smap 21:avx512_ifma 23:clflushopt 24:clwb
     25:proc_trace/intel_pt 26:avx512pf 27:avx512er 28:avx512cd 29:sha/sha_ni 30:avx512bw
     31:avx512vl`,
  ),
  word(
    0x7,
    0,
    'ecx',
    `0:prefetchwt1 1:avx512_vbmi 2:umip 3:pku 4:ospke 5:waitpkg 6:avx512_vbmi2 7:cet_ss/shstk
     8:gfni 9:vaes 10:vpclmulqdq 11:avx512_vnni 12:avx512_bitalg 13:tme 14:avx512_vpopcntdq
     16:la57 22:rdpid 24:bus_lock_detect 25:cldemote 27:movdiri 28:movdir64b 29:enqcmd
     30:sgx_lc 31:pks`,
  ),
  word(0x80000007, 0, 'edx', '7:hw_pstate 8:itsc/invtsc/nonstop_tsc 9:cpb 10:efro/aperfmperf'),
  word(
    0x80000008,
    0,
    'ebx',
    `0:clzero 1:irperf 2:rstr_fp_err_ptrs/xsaveerptr 3:invlpgb 4:rdpru 9:wbnoinvd 12:ibpb
     14:ibrs 15:amd_stibp 16:ibrs_always 17:stibp_always 18:ibrs_fast 19:ibrs_same_mode
     20:no_lmsl 23:amd_ppin/ppin 24:amd_ssbd 25:virt_ssbd 26:ssb_no/amd_ssb_no 27:cppc 28:psfd
     29:btc_no 30:ibpb_ret`,
  ),
  word(
    0x7,
    0,
    'edx',
    `2:avx512_4vnniw 3:avx512_4fmaps 4:fsrm 8:avx512_vp2intersect 9:srbds_ctrl 10:md_clear
     11:rtm_always_abort 13:tsx_force_abort 14:serialize 15:hybrid 16:tsxldtrk 18:pconfig
     19:arch_lbr 20:cet_ibt/ibt 22:amx_bf16 23:avx512_fp16 24:amx_tile 25:amx_int8 26:ibrsb
     27:stibp 28:l1d_flush/flush_l1d 29:arch_caps/arch_capabilities 30:core_caps 31:ssbd`,
  ),
  word(
    0x7,
    1,
    'eax',
    '4:avx_vnni 5:avx512_bf16 7:cmpccxadd 10:fzrm 11:fsrs 12:fsrcs/fsrc 19:wrmsrns 23:avx_ifma',
  ),
  word(
    0x80000021,
    0,
    'eax',
    `2:lfence_dispatch/lfence_rdtsc 5:verw_clear 6:nscb/null_sel_clr_base 8:auto_ibrs/autoibrs
     27:sbpb 28:ibpb_brtype 29:srso_no 30:srso_us_no 31:srso_msr_fix`,
  ),
  word(0x7, 1, 'ebx', '0:intel_ppin'),
  word(0x7, 2, 'edx', '0:intel_psfd 1:ipred_ctrl 2:rrsba_ctrl 4:bhi_ctrl 5:mcdt_no'),
  word(0x7, 1, 'edx', '18:cet_sss'),
  word(0x80000021, 0, 'ecx', '1:tsa_sq_no 2:tsa_l1_no'),
  word(0x6, 0, 'eax', '2:arat'),
]

/**
 * The bits of leaf 1 EDX that AMD's processors show again in leaf 0x80000001 EDX, at the same
 * places; on Intel's they are reserved there. (APM 3, E.4.2)
 */
export const COMMON_EDX = 0x0183f3ff

/**
 * What each feature needs to make sense, directly. A processor that lacks one of these never
 * shows the feature: registers that it works on, state management, a mode. The relation is
 * that of Xen's tools/gen-cpuid.py, turned round, and reaches no further than its table.
 */
export const PREREQUISITES: Readonly<Record<string, string>> = {
  mmx: 'fpu',
  rstr_fp_err_ptrs: 'fpu',
  pse36: 'pse',
  nx: 'pae',
  lm: 'pae sse2',
  tsc_deadline: 'tsc apic',
  rdtscp: 'tsc',
  tsc_adjust: 'tsc',
  itsc: 'tsc',
  x2apic: 'apic',
  extapic: 'apic',
  mmxext: 'mmx',
  '3dnow': 'mmx',
  '3dnowext': '3dnow',
  ffxsr: 'fxsr',
  sse: 'fxsr',
  sse2: 'sse',
  misalignsse: 'sse',
  sse3: 'sse2',
  aesni: 'sse2',
  pclmulqdq: 'sse2',
  sha: 'sse2',
  gfni: 'sse2',
  ssse3: 'sse3',
  sse4a: 'sse3',
  sse4_1: 'ssse3',
  sse4_2: 'sse4_1',
  xsaveopt: 'xsave',
  xsavec: 'xsave',
  xgetbv1: 'xsave',
  xsaves: 'xsave',
  avx: 'xsave',
  mpx: 'xsave',
  pku: 'xsave lm',
  lwp: 'xsave',
  fma: 'avx',
  fma4: 'avx',
  f16c: 'avx',
  avx2: 'avx',
  xop: 'avx',
  smap: 'nx',
  cx16: 'lm',
  pcid: 'lm',
  lahf_lm: 'lm',
  page1gb: 'lm',
  no_lmsl: 'lm',
  avx512f: 'avx2',
  vaes: 'avx2 aesni',
  vpclmulqdq: 'avx2 pclmulqdq',
  avx_vnni: 'avx2',
  avx512dq: 'avx512f',
  avx512_ifma: 'avx512f',
  avx512pf: 'avx512f',
  avx512er: 'avx512f',
  avx512cd: 'avx512f',
  avx512bw: 'avx512f',
  avx512vl: 'avx512f',
  avx512_4vnniw: 'avx512f',
  avx512_4fmaps: 'avx512f',
  avx512_vnni: 'avx512f',
  avx512_vpopcntdq: 'avx512f',
  avx512_vp2intersect: 'avx512f',
  avx512_vbmi: 'avx512bw',
  avx512_vbmi2: 'avx512bw',
  avx512_bitalg: 'avx512bw',
  avx512_bf16: 'avx512bw',
  avx512_fp16: 'avx512bw',
  stibp: 'ibrsb',
  ssbd: 'ibrsb',
  intel_psfd: 'ibrsb',
  ipred_ctrl: 'ibrsb',
  rrsba_ctrl: 'ibrsb',
  bhi_ctrl: 'ibrsb',
  amd_stibp: 'ibrs',
  amd_ssbd: 'ibrs',
  psfd: 'ibrs',
  ibrs_always: 'ibrs',
  ibrs_fast: 'ibrs',
  ibrs_same_mode: 'ibrs',
  stibp_always: 'amd_stibp',
  ibpb_ret: 'ibpb',
  sbpb: 'ibpb',
  ibpb_brtype: 'ibpb',
  tsxldtrk: 'rtm',
}
