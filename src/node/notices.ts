// Remarks on a domain, a line each: what was said so far is kept for those who come to listen later.

export class Notices {
  readonly #said: string[] = []
  readonly #listeners: ((text: string) => void)[] = []

  add(text: string): void {
    this.#said.push(text)
    for (const listener of this.#listeners) listener(text)
  }

  listen(listener: (text: string) => void): void {
    for (const text of this.#said) listener(text)
    this.#listeners.push(listener)
  }
}
