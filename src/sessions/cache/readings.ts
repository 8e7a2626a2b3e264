import type { SessionContext } from '../../core/assurance.js'
import type { RevocationPoller } from '../revocations/revocation-poller.js'
import { chooseTrustMs, COPY_TRUST_MS, LOCAL_TRUST_MS, type LocalCache } from './local-cache.js'
import type { createCopies, Reading } from './redis-cache.js'

/**
 * A reading made shortly before this replica began to follow the revocations may miss a revocation that the poller will not
 * name any more. A statement is cancelled well within this time.
 */
const SLOWEST_READ_MS = 2_000
/** PostgreSQL's clock may step a little. A Redis copy that is dated further ahead is not used. */
const AHEAD_MS = 5_000

/** Number of sessions that each of them answered. */
export interface SessionCounters { localCache: number, copy: number, postgres: number }

interface ReadingsDeps {
  localCache: LocalCache
  copies: ReturnType<typeof createCopies>
  poller: RevocationPoller
  counters: SessionCounters
  isOver (context: SessionContext): boolean
}

/** Moves readings of sessions between the Redis cache and the local cache, as far as the revocation poller covers them. */
export function createReadings ({ localCache, copies, poller, counters, isOver }: ReadingsDeps) {
  /** Returns the session from the Redis cache, if the revocation poller covers the time since it was read. */
  async function fromCopy (userId: string, sessionId: string): Promise<SessionContext | undefined> {
    if (!poller.isFresh()) return undefined
    const copy = await copies.get(userId, sessionId)
    // Read it only now: there may have been a gap during the request to Redis.
    const coveredSinceMs = poller.coveredSinceMs()
    if (copy === undefined || !poller.isFresh() || coveredSinceMs === null || isOver(copy.context)) return undefined
    const { context, readAtMs } = copy
    // All three times are by the clock of that server.
    if (copy.server !== poller.server() || readAtMs < coveredSinceMs + SLOWEST_READ_MS) return undefined
    const ageMs = poller.nowMs() - readAtMs
    // Another release may trust a reading for longer than this release remembers revocations, or may not store the time.
    const trustMs = Math.min(copy.trustMs ?? 0, COPY_TRUST_MS)
    // The time of a change is by this process's clock. So a Redis copy of a changed session is never known to be newer.
    if (ageMs > trustMs || ageMs < -AHEAD_MS || localCache.hasChanged(userId, sessionId)) return undefined
    counters.copy++
    localCache.fillUntimed(context, ageMs, chooseTrustMs(LOCAL_TRUST_MS))
    return context
  }

  /** Stores PostgreSQL's answer in the local cache and in the Redis cache. */
  function keep (userId: string, sessionId: string, reading: Reading | null, askedAtMs: number): SessionContext | null {
    if (reading === null) {
      // The next revocation reading names the end, perhaps. Until then, no entry from before it may answer.
      localCache.change(userId, sessionId)
      return null
    }
    if (reading.server === poller.server()) localCache.fill(reading.context, askedAtMs, chooseTrustMs(LOCAL_TRUST_MS))
    copies.put({ ...reading, trustMs: chooseTrustMs(COPY_TRUST_MS) })
    return reading.context
  }

  /** Stores a session that began here: the next request for it, at any replica, does not have to ask PostgreSQL. */
  function started (reading: Reading): void {
    const coveredSinceMs = poller.coveredSinceMs()
    // Both times are by the server's clock. A revocation that exists already was committed after this reading, so it is covered.
    const isCovered = coveredSinceMs !== null && reading.server === poller.server() && reading.readAtMs >= coveredSinceMs
    if (isCovered) localCache.fillUntimed(reading.context, poller.nowMs() - reading.readAtMs, chooseTrustMs(LOCAL_TRUST_MS))
    copies.put({ ...reading, trustMs: chooseTrustMs(COPY_TRUST_MS) })
  }

  return { fromCopy, keep, started }
}
