/** What a counter says after one more hit. */
export interface Hit {
  count: number
  /** Until the window ends and the count starts again, in milliseconds. */
  ttlMs: number
}

/** Networks remembered at once, about 2 MB; the least recently seen one goes first. */
const CAPACITY = 10_000

/** Fixed windows counted in this process alone: for what is not worth a command to Redis, and for when there is none. */
export class LocalWindows {
  readonly #windows = new Map<string, { count: number, endsAtMs: number }>()
  readonly #capacity: number

  constructor (capacity = CAPACITY) {
    this.#capacity = capacity
  }

  /** @param nowMs a monotonic clock; the caller owns it. */
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

  /** A Map keeps the order of insertion, and each hit inserts anew: the first key is the least recently seen. */
  #forgetOldest (): void {
    const { value: oldest } = this.#windows.keys().next()
    if (oldest !== undefined) this.#windows.delete(oldest)
  }
}
