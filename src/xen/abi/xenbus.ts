// public/io/xenbus.h: the states that the two ends of a device go through.

export const XenbusStateInitialising = 1
export const XenbusStateInitWait = 2
export const XenbusStateInitialised = 3
export const XenbusStateConnected = 4
export const XenbusStateClosing = 5
export const XenbusStateClosed = 6
