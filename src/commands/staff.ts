import type { StaffDeps } from '../staff/changes.js'
import { createTally } from '../core/counters.js'
import type { Context } from './context.js'

/** What the flows of staff work with. Replicas learn of ends from the rows, within a second: there is nobody to tell here. */
export function staffDeps ({ db, digestKey }: Context): StaffDeps {
  return {
    db, digestKey, sessions: { ended: () => {} }, locks: { freed: () => {} }, judgedCodes: { freed: () => {} }, tally: createTally()
  }
}

/** For people: the one time that a set-up code is shown. */
export function setupLines (setupCode: string, expiresAt: Date): string[] {
  return [`Set-up code, shown this once, good until ${expiresAt.toISOString()}: ${setupCode}`]
}
