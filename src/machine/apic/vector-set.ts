// A set of interrupt vectors, 0 to 255, as the APIC keeps them: eight registers of 32 bits.

export class VectorSet {
  /** The registers, lowest vectors first. */
  readonly words = new Uint32Array(8)

  has(vector: number): boolean {
    return ((this.words[vector >> 5] as number) & (1 << (vector & 31))) !== 0
  }

  add(vector: number): void {
    this.words[vector >> 5] = (this.words[vector >> 5] as number) | (1 << (vector & 31))
  }

  delete(vector: number): void {
    this.words[vector >> 5] = (this.words[vector >> 5] as number) & ~(1 << (vector & 31))
  }

  clear(): void {
    this.words.fill(0)
  }

  /** The highest vector in the set; -1 if it is empty. */
  highest(): number {
    for (let i = 7; i >= 0; i--) {
      const word = this.words[i] as number
      if (word !== 0) return 32 * i + 31 - Math.clz32(word)
    }
    return -1
  }
}
