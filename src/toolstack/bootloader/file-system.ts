// What the boot loader needs of a file system, whatever its kind; all of it is read only.

export interface FoundFile {
  readonly type: 'file' | 'directory' | 'other'
  /** In bytes; of a directory nobody knows. */
  readonly size: number
  /**
   * The contents of a file, or of a directory as it is stored.
   * @throws ImageError if it is longer than `mostBytes`, or damaged
   */
  read(mostBytes: number): Uint8Array
}

export interface FileSystem {
  /** As mkfs calls it, such as `ext4`. */
  readonly kind: string
  /** As udev and GRUB write it, in lower case. */
  readonly uuid: string
  readonly label: string
  /** Its last user did not unmount it: what was written last may only be in the journal. */
  readonly isDirty: boolean
  /**
   * The file at an absolute path, symbolic links followed; undefined if there is none.
   * @throws ImageError if something on the way is damaged
   */
  find(path: string): FoundFile | undefined
}
