import type { Standing } from '../core/assurance.js'
import { Refusal } from '../core/refusals.js'
import { adoptSession, recordClaim, type Adoption } from './registration.js'
import { readStanding } from './statements.js'
import type { Db } from '../tables/db.js'
import type { RedisLink } from '../redis/link.js'
import { createCopies, type Reading } from './redis-cache.js'
import { createFeed } from './revocation-poller.js'
import { chooseTrustMs, Memo, TRUST_MS } from './local-cache.js'

/**
 * A reading made shortly before this replica began to follow the revocations may miss a revocation that the poller will not
 * name any more. A statement is cancelled well within this time.
 */
const SLOWEST_READ_MS = 2_000
/** PostgreSQL's clock may step a little. A Redis copy that is dated further ahead is not used. */
const AHEAD_MS = 5_000

export interface SessionsOptions {
  db: Db
  /** Connection of the revocation poller alone, so that it does not wait for other statements. */
  feedDb: Db
  redis: RedisLink
  namespace: string
  macKeys: readonly Buffer[]
  revocationSeconds: number
  /** True where sessions begin at a host: a session that is not known here yet is then registered as unverified. */
  adopts: boolean
  report: (error: unknown) => void
}

export interface SessionCounters { memo: number, copy: number, postgres: number }

/**
 * Answers if a session is alive: from the local cache if the revocation reading is fresh, else from the Redis cache, else
 * from PostgreSQL. A revocation takes effect here at once if it happened at this replica, and within `revocationSeconds`
 * if it happened at another one. docs/consistency.md has the proof.
 */
export type Sessions = ReturnType<typeof createSessions>

export function createSessions ({ db, feedDb, redis, namespace, macKeys, revocationSeconds, adopts, report }: SessionsOptions) {
  const memo = new Memo()
  const copies = createCopies(redis, namespace, macKeys)
  const channel = `${namespace}:ends`
  const reads = new Map<string, { askedAtMs: number, standing: Promise<Standing | null> }>()
  const counters: SessionCounters = { memo: 0, copy: 0, postgres: 0 }
  const feed = createFeed(feedDb, revocationSeconds, {
    onEnded: (userId, sessionId) => memo.end(userId, sessionId),
    onChanged: (userId, sessionId) => memo.change(userId, sessionId),
    onGap: () => memo.coveredFromNow(),
    onOtherServer: () => db.renew()
  }, report)

  /** Returns the session from the Redis cache, if the revocation poller covers the time since it was read. */
  async function fromCopy (userId: string, sessionId: string): Promise<Standing | undefined> {
    if (!feed.isFresh()) return undefined
    const copy = await copies.get(userId, sessionId)
    // Read it only now: there may have been a gap during the request to Redis.
    const coveredSinceMs = feed.coveredSinceMs()
    if (copy === undefined || !feed.isFresh() || coveredSinceMs === null || isOver(copy.standing)) return undefined
    const { standing, readAtMs } = copy
    // All three times are by the clock of that server.
    if (copy.server !== feed.server() || readAtMs < coveredSinceMs + SLOWEST_READ_MS) return undefined
    const ageMs = feed.nowMs() - readAtMs
    // Another release may trust a reading for longer than this release remembers revocations, or may not store the time.
    const trustMs = Math.min(copy.trustMs ?? 0, TRUST_MS)
    // The time of a change is by this process's clock. So a Redis copy of a changed session is never known to be newer.
    if (ageMs > trustMs || ageMs < -AHEAD_MS || memo.hasChanged(userId, sessionId)) return undefined
    counters.copy++
    memo.fillUntimed(standing, trustMs - Math.max(ageMs, 0))
    return standing
  }

  async function fromPostgres (userId: string, sessionId: string, adoption: Adoption | null): Promise<Standing | null> {
    const askedAtMs = performance.now()
    const found = await readFollowed(userId, sessionId)
    const adopted = found === null && adoption !== null ? await adoptSession(db, userId, sessionId, adoption) : null
    counters.postgres++
    if (adopted !== null) ended(userId, adopted.endedIds)
    return keep(found ?? adopted, askedAtMs)
  }

  /** Stores the reading in the local cache and in the Redis cache. */
  function keep (reading: Reading | null, askedAtMs: number): Standing | null {
    if (reading === null) return null
    const trustMs = chooseTrustMs()
    if (reading.server === feed.server()) memo.fill(reading.standing, askedAtMs, trustMs)
    copies.put({ ...reading, trustMs })
    return reading.standing
  }

  async function readFollowed (userId: string, sessionId: string): Promise<Reading | null> {
    const { server, reading } = await readStanding(db, userId, sessionId)
    await requireFollowed(server)
    return reading
  }

  /**
   * While the revocation reading is fresh, its server is the primary. A connection to another server may show a session that
   * the primary has ended. If the primary moved a moment ago, a new connection of the poller finds it.
   *
   * @throws {Refusal} UNAVAILABLE
   */
  async function requireFollowed (server: string): Promise<void> {
    if (!feed.isFresh() || server === feed.server()) return
    feedDb.renew()
    await feed.poll()
    if (server === feed.server()) return
    db.renew()
    const cause = new Error('PostgreSQL connections lead to different servers')
    throw new Refusal('UNAVAILABLE', { retryAfterSeconds: 1 }, { cause })
  }

  async function read (userId: string, sessionId: string, adoption: Adoption | null): Promise<Standing | null> {
    return await fromCopy(userId, sessionId) ?? await fromPostgres(userId, sessionId, adoption)
  }

  const tellOthers = (): void => { void redis.run((client) => client.publish(channel, '')) }
  const isOver = (standing: Standing): boolean => standing.expiresAt * 1000 <= feed.nowMs()

  /** Call after the commit that ended the sessions: notes them here at once, and notifies the other replicas. */
  function ended (userId: string, sessionIds: readonly string[]): void {
    if (sessionIds.length === 0) return
    for (const sessionId of sessionIds) memo.end(userId, sessionId)
    tellOthers()
  }

  /** Call after the commit that changed the proofs of a living session. `started` then gives its new state. */
  function changed (userId: string, sessionId: string): void {
    memo.change(userId, sessionId)
    tellOthers()
  }

  /** Stores a session that began here: the next request for it, at any replica, does not have to ask PostgreSQL. */
  function started (reading: Reading): void {
    const coveredSinceMs = feed.coveredSinceMs()
    const trustMs = chooseTrustMs()
    // Both times are by the server's clock. A revocation that exists already was committed after this reading, so it is covered.
    const isCovered = coveredSinceMs !== null && reading.server === feed.server() && reading.readAtMs >= coveredSinceMs
    if (isCovered) memo.fillUntimed(reading.standing, trustMs)
    copies.put({ ...reading, trustMs })
  }

  return {
    ended,
    changed,
    started,

    /**
     * Answers from this process alone: the session context, null for an ended session, undefined if `find` must be called.
     * It is synchronous, since most requests need nothing else.
     */
    known (userId: string, sessionId: string): Standing | null | undefined {
      // The local cache never has an ended session as alive.
      const standing = feed.isFresh() ? memo.alive(userId, sessionId) : undefined
      if (standing === undefined) return memo.hasEnded(userId, sessionId) ? null : undefined
      counters.memo++
      // An expired session of a host may begin again: its proofs no longer count.
      if (isOver(standing)) return adopts ? undefined : null
      return standing
    },

    /**
     * Asks the Redis cache, then PostgreSQL. Requests for the same session share one question while the question is younger
     * than `revocationSeconds`. Null: the session has ended or never existed.
     *
     * @param adoption how to register a host's session that is not known here yet; null where that is not allowed
     */
    async find (userId: string, sessionId: string, adoption: Adoption | null): Promise<Standing | null> {
      const key = JSON.stringify([userId, sessionId])
      const askedAtMs = performance.now()
      let reading = reads.get(key)
      const isTooOld = reading !== undefined && askedAtMs - reading.askedAtMs > revocationSeconds * 1000
      if (reading === undefined || isTooOld || memo.isOutdated(userId, sessionId, reading.askedAtMs)) {
        const forget = () => { if (reads.get(key) === own) reads.delete(key) }
        const own = { askedAtMs, standing: read(userId, sessionId, adoption).finally(forget) }
        reads.set(key, own)
        reading = own
      }
      const standing = await reading.standing
      if (standing === null || memo.hasEnded(userId, sessionId) || isOver(standing)) return null
      return standing
    },

    /**
     * Records a host's proof that is dated ahead of PostgreSQL's clock as given now, if it is new.
     *
     * @returns the session with this proof; null if it has ended
     */
    async claimed (userId: string, sessionId: string, authTime: number): Promise<Standing | null> {
      if (await recordClaim(db, userId, sessionId, authTime)) changed(userId, sessionId)
      const askedAtMs = performance.now()
      return keep(await readFollowed(userId, sessionId), askedAtMs)
    },

    /** PostgreSQL's clock, never behind it: for checks that a time has passed. */
    nowSeconds: (): number => feed.nowMs() / 1000,
    /** PostgreSQL's clock, never ahead of it: for checks that a time is in the future. */
    earliestNowSeconds: (): number => feed.earliestNowMs() / 1000,
    poll: (): Promise<void> => feed.poll(),
    state: () => ({
      feedAgeSeconds: feed.ageMs() / 1000,
      isFeedFresh: feed.isFresh(),
      isReadOnly: feed.isReadOnly(),
      oldestWriteSeconds: feed.oldestWriteMs() / 1000,
      remembered: memo.size,
      ...counters
    }),

    start (): void {
      redis.subscribe(channel, () => feed.nudge())
      feed.start()
    },
    stop: (): Promise<void> => feed.stop()
  }
}
