import type { StaffDeps } from '../staff/changes.js'
import { createCounters } from '../core/counters.js'
import type { Context } from './context.js'

/**
 * Returns the dependencies of the staff functions. Replicas read revocations from the rows within a second, so no process
 * is notified here.
 */
export function staffDeps ({ db, digestKey }: Context): StaffDeps {
  return {
    db,
    digestKey,
    sessions: { ended: () => {}, over: () => {} },
    locks: { released: () => {} },
    rejectedCodes: { released: () => {} },
    counters: createCounters()
  }
}

/** Returns the only lines that show a set-up code. */
export function setupLines (setupCode: string, expiresAt: Date): string[] {
  return [`Set-up code, shown this once, good until ${expiresAt.toISOString()}: ${setupCode}`]
}
