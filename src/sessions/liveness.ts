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
 * A copy read shortly before this replica began to follow the feed may miss an end that the feed will not name any
 * more. A statement is given up well within this.
 */
const SLOWEST_READ_MS = 2_000
/** Postgres' clock may step a little; a copy from further ahead is not used. */
const AHEAD_MS = 5_000

export interface SessionsOptions {
  db: Db
  /** The feed's own connection, so that it does not wait behind anybody's statements. */
  feedDb: Db
  redis: RedisLink
  namespace: string
  macKeys: readonly Buffer[]
  revocationSeconds: number
  /** Whether sessions begin elsewhere, at a host: one that nobody has seen yet is then taken for what it is, unverified. */
  adopts: boolean
  report: (error: unknown) => void
}

export interface SessionCounters { memo: number, copy: number, postgres: number }

/**
 * Is this session alive? From the process's memo if the feed is fresh, else from Redis' copy, else from Postgres.
 * An end reaches this replica at once if it happened here, within `revocationSeconds` if elsewhere.
 * The argument, fact by fact, is docs/consistency.md.
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

  /** Redis' copy, if the feed covers the time since it was read. */
  async function fromCopy (userId: string, sessionId: string): Promise<Standing | undefined> {
    if (!feed.isFresh()) return undefined
    const copy = await copies.get(userId, sessionId)
    // Only now, since there may have been a gap meanwhile.
    const coveredSinceMs = feed.coveredSinceMs()
    if (copy === undefined || !feed.isFresh() || coveredSinceMs === null || isOver(copy.standing)) return undefined
    const { standing, readAtMs } = copy
    // All three times are of that server's clock.
    if (copy.server !== feed.server() || readAtMs < coveredSinceMs + SLOWEST_READ_MS) return undefined
    const ageMs = feed.nowMs() - readAtMs
    // Another release may have trusted for longer than this one remembers ends, or not have said for how long.
    const trustMs = Math.min(copy.trustMs ?? 0, TRUST_MS)
    // When a change was heard of is a time of this process's clock: no copy of that session is known to be newer.
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

  /** Remembers what was asked then, here and for the others. */
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
   * While the feed is fresh its server is the primary. A connection that leads to another one may show what the primary has
   * ended: unless the primary moved a moment ago, which the feed finds out by a new connection.
   *
   * @throws {Refusal} UNAVAILABLE
   */
  async function requireFollowed (server: string): Promise<void> {
    if (!feed.isFresh() || server === feed.server()) return
    feedDb.renew()
    await feed.poll()
    if (server === feed.server()) return
    db.renew()
    throw new Refusal('UNAVAILABLE', { retryAfterSeconds: 1 }, { cause: new Error('PostgreSQL connections lead to different servers') })
  }

  async function read (userId: string, sessionId: string, adoption: Adoption | null): Promise<Standing | null> {
    return await fromCopy(userId, sessionId) ?? await fromPostgres(userId, sessionId, adoption)
  }

  const tellOthers = (): void => { void redis.run((client) => client.publish(channel, '')) }
  const isOver = (standing: Standing): boolean => standing.expiresAt * 1000 <= feed.nowMs()

  /** Sessions ended here, and it is committed: known here at once; the others are told to look. */
  function ended (userId: string, sessionIds: readonly string[]): void {
    if (sessionIds.length === 0) return
    for (const sessionId of sessionIds) memo.end(userId, sessionId)
    tellOthers()
  }

  /** A session that lives on has proven something else, and it is committed; `started` says what. */
  function changed (userId: string, sessionId: string): void {
    memo.change(userId, sessionId)
    tellOthers()
  }

  /** A session began here: the next request for it, here or elsewhere, need not ask Postgres. */
  function started (reading: Reading): void {
    const coveredSinceMs = feed.coveredSinceMs()
    const trustMs = chooseTrustMs()
    // By one clock, the server's: its end, if it has one already, was committed after this reading, and that is covered.
    if (coveredSinceMs !== null && reading.server === feed.server() && reading.readAtMs >= coveredSinceMs) memo.fillUntimed(reading.standing, trustMs)
    copies.put({ ...reading, trustMs })
  }

  return {
    ended,
    changed,
    started,

    /**
     * What can be said without asking anybody: the standing, null for one that ended, undefined for "ask".
     * Synchronous, since this is what most requests need.
     */
    known (userId: string, sessionId: string): Standing | null | undefined {
      // What has ended is never remembered as alive as well.
      const standing = feed.isFresh() ? memo.alive(userId, sessionId) : undefined
      if (standing === undefined) return memo.hasEnded(userId, sessionId) ? null : undefined
      counters.memo++
      // A host's session may go on: what it had proven is over, and it begins anew.
      if (isOver(standing)) return adopts ? undefined : null
      return standing
    },

    /**
     * Asks Redis' copy, then Postgres; requests for the same session share one question, while it is younger than
     * an end may take to be known. Null: it has ended or never was.
     *
     * @param adoption how a host's session begins here that nobody has seen yet; null where none may
     */
    async find (userId: string, sessionId: string, adoption: Adoption | null): Promise<Standing | null> {
      const key = JSON.stringify([userId, sessionId])
      const askedAtMs = performance.now()
      let reading = reads.get(key)
      if (reading === undefined || askedAtMs - reading.askedAtMs > revocationSeconds * 1000 || memo.isOutdated(userId, sessionId, reading.askedAtMs)) {
        const own = { askedAtMs, standing: read(userId, sessionId, adoption).finally(() => { if (reads.get(key) === own) reads.delete(key) }) }
        reads.set(key, own)
        reading = own
      }
      const standing = await reading.standing
      if (standing === null || memo.hasEnded(userId, sessionId) || isOver(standing)) return null
      return standing
    },

    /**
     * Takes a host's proof that is dated ahead of Postgres' clock as given now, if it is new.
     *
     * @returns the session as it is since; null if it has ended
     */
    async claimed (userId: string, sessionId: string, authTime: number): Promise<Standing | null> {
      if (await recordClaim(db, userId, sessionId, authTime)) changed(userId, sessionId)
      const askedAtMs = performance.now()
      return keep(await readFollowed(userId, sessionId), askedAtMs)
    },

    /** Postgres' clock, never behind it: for what may be over. */
    nowSeconds: (): number => feed.nowMs() / 1000,
    /** The same, never ahead of it: for what may be in the future. */
    earliestNowSeconds: (): number => feed.earliestNowMs() / 1000,
    poll: (): Promise<void> => feed.poll(),
    state: () => ({ feedAgeSeconds: feed.ageMs() / 1000, isFeedFresh: feed.isFresh(), isReadOnly: feed.isReadOnly(), oldestWriteSeconds: feed.oldestWriteMs() / 1000, remembered: memo.size, ...counters }),

    start (): void {
      redis.subscribe(channel, () => feed.nudge())
      feed.start()
    },
    stop: (): Promise<void> => feed.stop()
  }
}
