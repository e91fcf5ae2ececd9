// Numbers of guests that the command needs to know before there is a host: apart, so that reading a
// command line loads no processor.

/** The time-stamp counter of guests, and in virtual time also the speed of their processors. */
export const TSC_KHZ = 1_000_000

/** The console and xenstore. */
export const LEAST_EVENT_CHANNELS = 2
/** What three-level events can do; no ABI can do more. */
export const MOST_EVENT_CHANNELS = 2 ** 18 - 1
