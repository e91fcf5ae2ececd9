// The guest file that a command line names, with what the command line adds to it.

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { UserError } from '../base/errors.ts'
import { imagePath } from '../node/image-path.ts'
import type { DiskSpec } from '../toolstack/disk-spec.ts'
import { warningText } from '../toolstack/guest-file/diagnostic.ts'
import {
  type GuestFile,
  type GuestFileReading,
  readGuestFile,
} from '../toolstack/guest-file/guest-file.ts'
import type { Source } from '../toolstack/guest-file/source.ts'
import { type Arguments, UsageError } from './arguments.ts'
import type { Context, OptionDefinition } from './verb.ts'

export const GUEST_FILE_OPTIONS: readonly OptionDefinition[] = [
  {
    name: 'defconfig',
    short: 'f',
    value: 'FILE',
    summary: 'the guest file, in place of CONFIGFILE',
  },
  { name: 'strict', summary: 'unknown keys are errors, not warnings' },
]

/**
 * Reads the guest file of `operands` (CONFIGFILE KEY=VALUE…), says its warnings, and makes its paths
 * absolute: a relative one is meant from the folder that the command runs in, as with xl.
 * @throws UserError, GuestFileError
 */
export function guestFileOf(
  args: Arguments,
  operands: readonly string[],
  { stderr }: Pick<Context, 'stderr'>,
  isQuiet = false,
): GuestFileReading {
  const reading = readGuestFile(sourcesOf(args, operands), args.flag('strict'))
  if (!isQuiet) for (const warning of reading.warnings) stderr.write(`${warningText(warning)}\n`)
  const { kernel, ramdisk, bootloader, disks } = reading.guest
  // With a boot loader they are paths in the guest's disk.
  const absolute = (path: string | undefined) =>
    path === undefined || bootloader ? path : resolve(path)
  const guest: GuestFile = {
    ...reading.guest,
    kernel: absolute(kernel),
    ramdisk: absolute(ramdisk),
    disks: disks.map(withPath),
  }
  return { ...reading, guest }
}

/** A disk whose image is named as every process finds it. */
export function withPath(disk: DiskSpec): DiskSpec {
  return disk.target === undefined ? disk : { ...disk, target: imagePath(disk.target) }
}

function sourcesOf(args: Arguments, operands: readonly string[]): Source[] {
  const isFile = (operand: string) => !operand.includes('=')
  const files = operands.filter(isFile)
  const named = args.text('defconfig')
  if (named !== undefined) files.unshift(named)
  const [file, surplus] = files
  if (surplus !== undefined) {
    throw new UsageError(
      `"${surplus}" is too much.`,
      `The guest file is "${file}"; what changes it is KEY=VALUE.`,
      "Put settings with blanks in quotes: 'memory=512; vcpus=2'",
    )
  }
  const extra = operands.filter((operand) => !isFile(operand)).join('\n')
  const sources: Source[] = file === undefined ? [] : [{ name: file, text: readText(file) }]
  if (extra !== '') sources.push({ name: 'command line', text: extra })
  if (sources.length === 0) {
    throw new UsageError(
      'Nothing says what domain is meant.',
      'There is no guest file and no KEY=VALUE.',
      'Give a guest file, such as web.cfg; docs/reference/guest-file.md tells what stands in it.',
    )
  }
  return sources
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    const why =
      code === 'ENOENT'
        ? 'There is no such file.'
        : code === 'EISDIR'
          ? 'It is a folder.'
          : 'This user may not read it.'
    throw new UserError(`Cannot read the guest file ${path}.`, why, 'No domain was created.')
  }
}
