// What a partition table says of one partition.

export interface Partition {
  /** As GRUB and Linux count: from 1; logical partitions of an MBR from 5. */
  readonly number: number
  /** As GRUB names the kind of the table. */
  readonly scheme: 'msdos' | 'gpt'
  /** In bytes. */
  readonly offset: number
  readonly size: number
  /** The type, in words where it is a well-known one. */
  readonly type: string
  /** Marked as the one to boot from. */
  readonly isActive: boolean
}

/** No disk has more partitions that anybody boots from. */
export const MOST_PARTITIONS = 256
