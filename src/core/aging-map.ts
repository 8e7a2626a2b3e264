export interface AgingMapOptions {
  /** At least so long, and at most twice as long if something else is put in meanwhile. */
  keepMs: number
  /** Where there would be more, the older half goes before its time. */
  capacity?: number
  /** A monotonic clock, in milliseconds. */
  clockMs: () => number
}

/**
 * A Map that forgets by age. It has two generations, of which the older one goes as a whole: nothing is looked for to
 * be thrown away. (To take the first key out of a full Map each time costs 15 µs with ten thousand of them: V8 walks over the holes.)
 */
export class AgingMap<Key, Value extends {}> {
  readonly #keepMs: number
  readonly #mostYoung: number
  readonly #clockMs: () => number
  #young = new Map<Key, Value>()
  #old = new Map<Key, Value>()
  #beganAtMs: number

  constructor ({ keepMs, capacity = Infinity, clockMs }: AgingMapOptions) {
    this.#keepMs = keepMs
    this.#mostYoung = capacity / 2
    this.#clockMs = clockMs
    this.#beganAtMs = clockMs()
  }

  get size (): number { return this.#young.size + this.#old.size }

  get (key: Key): Value | undefined {
    return this.#young.get(key) ?? this.#old.get(key)
  }

  set (key: Key, value: Value): void {
    const ageMs = this.#clockMs() - this.#beganAtMs
    if (ageMs > this.#keepMs || this.#young.size >= this.#mostYoung) {
      // The youngest of them came within `keepMs` of the beginning.
      this.#old = ageMs > 2 * this.#keepMs ? new Map() : this.#young
      this.#young = new Map()
      this.#beganAtMs = this.#clockMs()
    }
    this.#old.delete(key)
    this.#young.set(key, value)
  }

  delete (key: Key): void {
    this.#young.delete(key)
    this.#old.delete(key)
  }

  clear (): void {
    this.#young.clear()
    this.#old.clear()
  }
}
