// The kinds of error. A guest's fault is never one of these: it is a value.
// What the user can mend is a UserError; what we have to mend is a Bug.

/** Something the user can mend. Printed in three lines: what failed, why, what to do. */
export class UserError extends Error {
  override readonly name = 'UserError'
  readonly what: string
  readonly why: string
  readonly remedy: string

  constructor(what: string, why: string, remedy: string) {
    super(`${what}\n${why}\n${remedy}`)
    this.what = what
    this.why = why
    this.remedy = remedy
  }
}

/** A broken invariant of ours. */
export class Bug extends Error {
  override readonly name = 'Bug'
}

/** Throws a {@link Bug} unless `claim` holds. */
export function invariant(claim: unknown, message: string): asserts claim {
  if (!claim) throw new Bug(message)
}
