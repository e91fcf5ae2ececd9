// The queue of everything that happens at a time. Timers run in the order of their deadlines, and
// those with the same deadline in the order they were set, so that equal runs stay equal.
//
// A callback cannot be saved. Whoever sets a timer saves the handle and the deadline with its own
// state and puts the timer back with `revive`: the handle is the timer's place among equals.

import { invariant } from '../base/errors.ts'

declare const handleBrand: unique symbol

/** Names a timer; smaller handles were set earlier. */
export type TimerHandle = number & { readonly [handleBrand]: true }

interface Timer {
  readonly deadline: number
  readonly handle: TimerHandle
  readonly callback: () => void
  /** Index in the heap; -1 once taken out to run. */
  place: number
}

/** The plain form of {@link Timers}: the timers themselves are saved by those who set them. */
export interface TimersState {
  readonly version: 1
  readonly nextHandle: number
}

export class Timers {
  // A binary heap: the children of the timer at i are at 2i + 1 and 2i + 2.
  readonly #heap: Timer[] = []
  readonly #byHandle = new Map<TimerHandle, Timer>()
  #nextHandle = 1

  /** Timers that have not run and were not cancelled. */
  get size(): number {
    return this.#byHandle.size
  }

  /** Calls `callback` once, when time has come to `deadlineNs` (which may be past already). */
  set(deadlineNs: number, callback: () => void): TimerHandle {
    const handle = this.#nextHandle++ as TimerHandle
    this.#add(handle, deadlineNs, callback)
    return handle
  }

  /** Puts back a timer that was pending when its owner was saved. */
  revive(handle: TimerHandle, deadlineNs: number, callback: () => void): void {
    invariant(!this.#byHandle.has(handle), `timer ${handle} is set twice`)
    this.#nextHandle = Math.max(this.#nextHandle, handle + 1)
    this.#add(handle, deadlineNs, callback)
  }

  /** Forgets a timer. False if it has run or was cancelled before. */
  cancel(handle: TimerHandle): boolean {
    const timer = this.#byHandle.get(handle)
    if (!timer) return false
    this.#byHandle.delete(handle)
    if (timer.place >= 0) this.#remove(timer)
    return true
  }

  /** The earliest deadline in nanoseconds; Infinity if nothing is set. */
  nextDeadline(): number {
    return this.#heap[0]?.deadline ?? Number.POSITIVE_INFINITY
  }

  /**
   * Runs what is due at `now` and says how many ran. What a callback sets waits for the next call,
   * even if it is due at once: no timer can keep this from returning.
   */
  runExpired(now: number): number {
    const due: Timer[] = []
    for (let top = this.#heap[0]; top && top.deadline <= now; top = this.#heap[0]) {
      this.#remove(top)
      due.push(top)
    }
    let ran = 0
    for (const timer of due) {
      // A callback before this one may have cancelled it.
      if (!this.#byHandle.delete(timer.handle)) continue
      ran++
      timer.callback()
    }
    return ran
  }

  save(): TimersState {
    return { version: 1, nextHandle: this.#nextHandle }
  }

  /** Empties the queue: the owners of timers revive theirs afterwards. */
  restore(state: TimersState): void {
    invariant(state.version === 1, `timers of version ${state.version} are not known`)
    this.#heap.length = 0
    this.#byHandle.clear()
    this.#nextHandle = state.nextHandle
  }

  #add(handle: TimerHandle, deadline: number, callback: () => void): void {
    invariant(Number.isSafeInteger(deadline), `a timer cannot wait for ${deadline} ns`)
    const timer = { deadline, handle, callback, place: this.#heap.length }
    this.#byHandle.set(handle, timer)
    this.#heap.push(timer)
    this.#rise(timer)
  }

  #remove(timer: Timer): void {
    const { place } = timer
    const last = this.#heap.pop() as Timer
    timer.place = -1
    if (last === timer) return
    this.#put(last, place)
    this.#rise(last)
    this.#sink(last)
  }

  #put(timer: Timer, place: number): void {
    this.#heap[place] = timer
    timer.place = place
  }

  #rise(timer: Timer): void {
    while (timer.place > 0) {
      const parent = this.#heap[(timer.place - 1) >> 1] as Timer
      if (isBefore(parent, timer)) return
      const { place } = timer
      this.#put(timer, parent.place)
      this.#put(parent, place)
    }
  }

  #sink(timer: Timer): void {
    for (;;) {
      const left = this.#heap[2 * timer.place + 1]
      const right = this.#heap[2 * timer.place + 2]
      const child = left && right && isBefore(right, left) ? right : left
      if (!child || isBefore(timer, child)) return
      const { place } = timer
      this.#put(timer, child.place)
      this.#put(child, place)
    }
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.deadline < b.deadline || (a.deadline === b.deadline && a.handle < b.handle)
}
