/** Random numbers that follow from a seed, so that a run can be repeated (mulberry32). */
export class Random {
  #state: number
  constructor (seed: number) { this.#state = seed >>> 0 }

  /** Returns a whole number from 0 to `below` - 1. */
  int (below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let value = this.#state
    value = Math.imul(value ^ (value >>> 15), value | 1)
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61)
    return Math.floor(((value ^ (value >>> 14)) >>> 0) / 2 ** 32 * below)
  }

  pick<Item> (items: readonly Item[]): Item { return items[this.int(items.length)]! }
}
