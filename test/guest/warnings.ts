// What Debian's kernels say at level "warning" or worse in a PVH domain of Xen 4.17, and why. All
// else at that level would be a fault of ours.

const EXPECTED: readonly { readonly pattern: RegExp; readonly because: string }[] = [
  { pattern: /^ACPI: No IOAPIC entries present$/, because: "Xen's MADT for PVH has none" },
  {
    pattern: /^ACPI: setting ELCR to 0200 \(from ffff\)$/,
    because: 'the ports 0x4d0 and 0x4d1 read as all ones; Linux asks for its SCI as level',
  },
  {
    // Linux before 6.2 names its upcall vector, 0xf3, before it sets up the APIC, and Xen answers
    // with an event at once ("xen/x86: don't set the upcall vector too early" mended it there).
    pattern: /^APIC: Stale IRR: 00080000(,0{8}){7} ISR: 0{8}(,0{8}){7}$/,
    because: 'HVMOP_set_evtchn_upcall_vector raises the vector',
  },
  { pattern: /^cpu \d+ spinlock event irq \d+$/, because: 'no warning: it has no level' },
  { pattern: /^\s+#\d+$/, because: 'the list of processors that start has no level' },
  { pattern: /^Grant table initialized$/, because: 'it has no level' },
  { pattern: /^PCI: Fatal: No config space access function found$/, because: 'PVH has no PCI' },
  { pattern: /^PCI: System does not support PCI$/, because: 'PVH has no PCI' },
  { pattern: /^ACPI: OSL: SCI \(ACPI GSI 9\) not registered$/, because: 'there is no IO-APIC' },
]

/** The lines of `dmesg -r` that are warnings or worse and not among the expected ones. */
export function unexpectedWarnings(dmesg: string): string[] {
  return dmesg.split('\n').filter((line) => {
    const [, level, text] = /^<(\d+)>\[ *[\d.]+\] (.*)$/.exec(line) ?? []
    if (level === undefined || text === undefined) return false
    return (Number(level) & 7) <= 4 && !EXPECTED.some(({ pattern }) => pattern.test(text))
  })
}
