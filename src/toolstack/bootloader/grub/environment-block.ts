// GRUB's environment block, /boot/grub/grubenv: a header line, NAME=VALUE lines, and # up to 1,024
// bytes (GNU GRUB manual 2.06, section 15.2). grub-set-default and grub-reboot keep there what is to
// be booted.

const HEADER = '# GRUB Environment Block'
/** A block is 1,024 bytes long; nobody has a larger one. */
export const MOST_ENVIRONMENT_BYTES = 65536

/** Undefined if it is none. */
export function readEnvironmentBlock(bytes: Uint8Array): Map<string, string> | undefined {
  const lines = new TextDecoder().decode(bytes).split('\n')
  if (lines.shift() !== HEADER) return undefined
  const variables = new Map<string, string>()
  for (const line of lines) {
    const [, name, value] = /^([^#=][^=]*)=(.*)$/.exec(line) ?? []
    if (name !== undefined && value !== undefined) {
      variables.set(name, value.replace(/\\(.)/g, '$1'))
    }
  }
  return variables
}
