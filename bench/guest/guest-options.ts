// What all guests of the suite get, on whatever side.

export const MEMORY_MIB = '256'

/** On the kernel's command line, after the console. */
export const OPTIONS = 'cryptomgr.notests quiet'
