import type { Call } from '../history.js'
import { isLinearisable } from './linearise.js'
import { minimise } from './minimise.js'
import type { Specification } from './specification.js'

export interface Violation {
  property: string
  sentence: string
  object: string
  /** The fewest calls that violate it. */
  calls: Call[]
  /** Calls on the object in the whole history. */
  of: number
}

export interface Checked {
  violations: Violation[]
  /** Objects and calls that were checked, by property. */
  counts: Record<string, { objects: number, calls: number }>
}

/** Checks a history for each property, object by object, and reduces each violation to the fewest calls. */
export function check (history: readonly Call[], specifications: readonly Specification[]): Checked {
  const violations: Violation[] = []
  const counts: Checked['counts'] = {}
  for (const specification of specifications) {
    const { name, sentence } = specification
    const objects = byObject(history, specification)
    counts[name] = { objects: objects.size, calls: [...objects.values()].reduce((sum, calls) => sum + calls.length, 0) }
    for (const [object, calls] of objects) {
      const violates = (some: readonly Call[]) => !isLinearisable(some, specification, object)
      if (!violates(calls)) continue
      violations.push({ property: name, sentence, object, calls: inOrder(minimise(calls, violates)), of: calls.length })
    }
  }
  return { violations, counts }
}

function byObject (history: readonly Call[], { kinds, objectsOf, isIdle }: Specification): Map<string, Call[]> {
  const objects = new Map<string, Call[]>()
  for (const call of history) {
    if (!kinds.includes(call.kind) || isIdle(call)) continue
    for (const object of objectsOf(call)) {
      const calls = objects.get(object)
      if (calls === undefined) objects.set(object, [call])
      else calls.push(call)
    }
  }
  return objects
}

const inOrder = (calls: readonly Call[]) => [...calls].sort((a, b) => a.invokedMs - b.invokedMs)
