import type { FastifyInstance } from 'fastify'
import type { Seal } from '../core/seal.js'
import type { Db } from '../tables/db.js'
import type { Locks } from '../factors/local-locks.js'
import type { JudgedCodes } from '../factors/totp/rejected-codes.js'
import type { Sessions } from '../sessions/liveness.js'
import type { Tally } from '../core/counters.js'

/** What the plugin works with. The service is built of it; a host has no business with it, and is not shown it. */
export interface Inside {
  /** What was handed in; what is decided through it is told to `onSecurityEvent`. */
  db: Db
  sessions: Sessions
  /** For other secrets of the same users: one ring of keys for all that is sealed. */
  seal: Seal
  digestKey: () => Promise<Buffer>
  tally: Tally
  locks: Locks
  judgedCodes: JudgedCodes
  /** Why the keys of this process cannot be used on this database, as a sentence; null if they can, or were not tried yet. */
  keyFault: () => string | null
}

const insides = new WeakMap<object, Inside>()

/** @param decoration what the app shows as `app.countersign` */
export function keepInside (decoration: object, inside: Inside): void {
  insides.set(decoration, inside)
}

/** @throws {TypeError} before the plugin is registered */
export function insideOf ({ countersign }: Pick<FastifyInstance, 'countersign'>): Inside {
  const inside = insides.get(countersign)
  if (inside === undefined) throw new TypeError('countersign is not registered here')
  return inside
}
