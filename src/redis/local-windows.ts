/** State of a counter after one more hit. */
export interface Hit {
  count: number
  /** Milliseconds until the window ends and the count starts again. */
  ttlMs: number
}

/** Most networks in the map, about 2 MB; the least recently seen one is removed first. */
const CAPACITY = 10_000

/** Fixed windows counted in this process alone: for limits that need no command to Redis, and for times without Redis. */
export class LocalWindows {
  readonly #windows = new Map<string, { count: number, endsAtMs: number }>()
  readonly #capacity: number

  constructor (capacity = CAPACITY) {
    this.#capacity = capacity
  }

  /** @param nowMs time of a monotonic clock; the caller owns it */
  hit (key: string, windowMs: number, nowMs: number): Hit {
    const known = this.#windows.get(key)
    const window = known && known.endsAtMs > nowMs ? known : { count: 0, endsAtMs: nowMs + windowMs }
    window.count += 1
    if (known) this.#windows.delete(key)
    else if (this.#windows.size >= this.#capacity) this.#forgetOldest()
    this.#windows.set(key, window)
    return { count: window.count, ttlMs: window.endsAtMs - nowMs }
  }

  get size (): number {
    return this.#windows.size
  }

  /** Removes the first key, which is the least recently seen: a Map keeps insertion order, and each hit inserts its key again. */
  #forgetOldest (): void {
    const { value: oldest } = this.#windows.keys().next()
    if (oldest !== undefined) this.#windows.delete(oldest)
  }
}
