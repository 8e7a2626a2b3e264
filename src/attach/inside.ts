import type { SecondFactor } from './second-factor.js'

const insides = new WeakMap<object, SecondFactor>()

/** Keeps the parts behind `app.countersign` for `insideOf`. */
export function keepInside (decoration: object, factor: SecondFactor): void {
  insides.set(decoration, factor)
}

/**
 * Returns the parts behind `app.countersign`. Only tests may call it (see eslint.config.js): the service creates its parts
 * itself, and hosts use the documented functions.
 *
 * @throws {TypeError} before the plugin is registered
 */
export function insideOf ({ countersign }: { countersign: object }): SecondFactor {
  const inside = insides.get(countersign)
  if (inside === undefined) throw new TypeError('countersign is not registered here')
  return inside
}
