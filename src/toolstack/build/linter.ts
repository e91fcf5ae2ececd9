// Looks at a kernel image for what works on one Xen and fails on another: facts a loader passes
// over in silence. Warnings only; what cannot start at all is an error of the builder.

import { isLoadable, PT_LOAD, PT_NOTE, parseNotes } from '../image/elf.ts'
import type { KernelImage } from '../image/kernel.ts'

export interface LintWarning {
  /** A stable name for the kind of finding. */
  readonly rule:
    | 'no-flags'
    | 'poison'
    | 'no-notes'
    | 'no-pvh-note'
    | 'cut-note'
    | 'old-notes'
    | 'unknown-feature'
  /** One sentence. */
  readonly message: string
}

/** The warnings for a kernel, in the order of the list above. */
export function lintKernel(kernel: KernelImage): LintWarning[] {
  return [...lintSegments(kernel), ...lintNotes(kernel)]
}

function lintSegments({ elf }: KernelImage): LintWarning[] {
  const skipped = elf.segments.filter(
    (segment) => segment.type === PT_LOAD && !isLoadable(segment) && segment.memsz > 0n,
  )
  return skipped.flatMap((segment): LintWarning[] => {
    const place = `The segment at 0x${segment.paddr.toString(16)} (${segment.memsz} bytes)`
    if (segment.data.length > 0) {
      const message = `${place} has no flags, so Xen skips it and its contents are never loaded.`
      return [{ rule: 'no-flags', message }]
    }
    return [
      {
        rule: 'no-flags',
        message: `${place} has no flags, so Xen skips it and does not zero it.`,
      },
      {
        rule: 'poison',
        message:
          `${place} holds zeroes only if free memory does: ` +
          'the guest may hang on a Xen that poisons or does not scrub memory.',
      },
    ]
  })
}

function lintNotes({ elf, notes }: KernelImage): LintWarning[] {
  const warnings: LintWarning[] = []
  if (notes.source === 'none') {
    warnings.push({
      rule: 'no-notes',
      message: 'The image has no notes for Xen, so no Xen can start it as PV or PVH.',
    })
  } else if (notes.phys32Entry === undefined) {
    warnings.push({
      rule: 'no-pvh-note',
      message: 'The image has no XEN_ELFNOTE_PHYS32_ENTRY note, so it starts as PV only.',
    })
  }
  const isCut = elf.segments
    .filter((segment) => segment.type === PT_NOTE)
    .some((segment) => parseNotes(segment.data).some((note) => note.isCut))
  if (isCut) {
    warnings.push({
      rule: 'cut-note',
      message: 'The last note claims more bytes than its segment has; Xen takes what is there.',
    })
  }
  if (notes.source === '__xen_guest') {
    warnings.push({
      rule: 'old-notes',
      message: 'The image describes itself in a __xen_guest section, which ELF notes replaced.',
    })
  }
  for (const name of notes.features.unknown) {
    const isRequired = name.startsWith('!')
    warnings.push({
      rule: 'unknown-feature',
      message: isRequired
        ? `The image requires the feature "${name.slice(1)}", which no Xen offers.`
        : `The image names the feature "${name}", which does not exist.`,
    })
  }
  return warnings
}
