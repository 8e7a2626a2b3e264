import type { FastifyInstance } from 'fastify'
import type { Seal } from '../core/seal.js'
import type { Db } from '../tables/db.js'
import type { Locks } from '../factors/local-locks.js'
import type { RejectedCodes } from '../factors/totp/rejected-codes.js'
import type { Sessions } from '../sessions/liveness.js'
import type { Counters } from '../core/counters.js'

/** Parts of the plugin that the service uses. Hosts do not see them. */
export interface Inside {
  /** Database of the plugin. Decisions that use it are reported to `onSecurityEvent`. */
  db: Db
  sessions: Sessions
  /** Seals other secrets of the same users with the same key ring. */
  seal: Seal
  digestKey: () => Promise<Buffer>
  counters: Counters
  locks: Locks
  rejectedCodes: RejectedCodes
  /** Returns the reason, a sentence, why the keys of this process do not fit the database; null if they fit or were not tried yet. */
  keyFault: () => string | null
}

const insides = new WeakMap<object, Inside>()

/**
 * Keeps the parts for a decorator.
 *
 * @param decoration object that the app has as `app.countersign`
 */
export function keepInside (decoration: object, inside: Inside): void {
  insides.set(decoration, inside)
}

/**
 * Returns the parts for an app.
 *
 * @throws {TypeError} before the plugin is registered
 */
export function insideOf ({ countersign }: Pick<FastifyInstance, 'countersign'>): Inside {
  const inside = insides.get(countersign)
  if (inside === undefined) throw new TypeError('countersign is not registered here')
  return inside
}
