/** Seeded choices. The same seed makes the same choices; what concurrent requests make of them differs from run to run. */
export interface Random {
  /** At least 0, below 1. */
  next (): number
  /** True with this probability. */
  chance (probability: number): boolean
  /** Whole number from `from` to `to`, both included. */
  between (from: number, to: number): number
  pick<T> (items: readonly T[]): T
  /** Chooses a name by the weights. */
  weighted<Name extends string> (weights: Readonly<Record<Name, number>>): Name
  /** Source of choices of its own, so that one part does not shift the choices of another. */
  fork (): Random
}

/** Mulberry32. */
export function createRandom (seed: number): Random {
  let state = seed >>> 0
  function next (): number {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const random: Random = {
    next,
    chance: (probability) => next() < probability,
    between: (from, to) => from + Math.floor(next() * (to - from + 1)),
    pick: (items) => items[Math.floor(next() * items.length)]!,
    weighted (weights) {
      const names = Object.keys(weights) as Array<keyof typeof weights>
      let left = next() * names.reduce((sum, name) => sum + weights[name], 0)
      for (const name of names) {
        left -= weights[name]
        if (left < 0) return name
      }
      return names.at(-1)!
    },
    fork: () => createRandom(Math.floor(next() * 2 ** 32))
  }
  return random
}
