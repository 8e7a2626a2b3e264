/** A Map that forgets what was put in first when it is full: for what may be asked again, and need not be remembered. */
export class BoundedMap<Key, Value> extends Map<Key, Value> {
  readonly #capacity: number

  constructor (capacity: number) {
    super()
    this.#capacity = capacity
  }

  override set (key: Key, value: Value): this {
    // Put in anew, it is the youngest.
    this.delete(key)
    super.set(key, value)
    if (this.size > this.#capacity) this.delete(this.keys().next().value!)
    return this
  }
}
