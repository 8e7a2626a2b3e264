import type { Call } from '../history.js'

/**
 * Delta debugging (Zeller and Hildebrandt 2002): removes calls, in parts and then one by one, for as long as the rest still violates the
 * property. A removed call that may have changed the object counts as one that may have happened at any time: so the rest is a violation
 * by itself, whatever the other calls did.
 */
export function minimise (calls: readonly Call[], violates: (calls: readonly Call[]) => boolean): Call[] {
  let kept = [...calls]
  const stillViolates = (rest: readonly Call[]): boolean => {
    const ids = new Set(rest.map(({ id }) => id))
    return violates([...rest, ...unknown(calls.filter(({ id }) => !ids.has(id)))])
  }
  for (let parts = 2; kept.length > 1;) {
    const size = Math.ceil(kept.length / parts)
    let isSmaller = false
    for (let from = 0; from < kept.length; from += size) {
      const rest = [...kept.slice(0, from), ...kept.slice(from + size)]
      if (rest.length === 0 || !stillViolates(rest)) continue
      kept = rest
      isSmaller = true
      break
    }
    if (isSmaller) parts = Math.max(parts - 1, 2)
    else if (size === 1) break
    else parts = Math.min(parts * 2, kept.length)
  }
  return kept
}

/** Removed calls, as calls whose time and result are not known. Those that do the same are one. */
function unknown (removed: readonly Call[]): Call[] {
  const distinct = new Map<string, Call>()
  for (const call of removed) {
    if (call.result === 'refused' || call.kind === 'step' || call.kind === 'generation' || call.kind === 'guard') continue
    distinct.set(`${call.kind} ${call.key} ${call.given}`, { ...call, invokedMs: -Infinity, answeredMs: null, result: 'maybe' })
  }
  return [...distinct.values()]
}
