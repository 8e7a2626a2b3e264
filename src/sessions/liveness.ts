import type { SessionContext } from '../core/assurance.js'
import { Refusal } from '../core/refusals.js'
import { adoptSession, recordClaim, type Adoption } from './registration.js'
import { readSessionContext } from './statements.js'
import type { Db } from '../tables/db.js'
import type { RedisLink } from '../redis/link.js'
import { createReadings, type SessionCounters } from './cache/readings.js'
import { createCopies, type Reading } from './cache/redis-cache.js'
import { createExchange } from './revocations/exchange.js'
import { createRevocationPoller, type RevocationPoller } from './revocations/revocation-poller.js'
import { LocalCache } from './cache/local-cache.js'
import { createTelling } from './revocations/telling.js'
import { createSessionWatch } from './watch.js'

/** A replica that was the one to read, and does not say so again within that many times `revocationSeconds`, is so no more. */
const READER_BOUNDS = 2

export interface SessionsOptions {
  db: Db
  /** Connection of the revocation poller alone, so that it does not wait for other statements. */
  pollerDb: Db
  redis: RedisLink
  namespace: string
  /** Keys of the MACs of sessions in Redis, and of revocation readings. */
  macKeys: readonly Buffer[]
  readingKeys: readonly Buffer[]
  revocationSeconds: number
  report: (error: unknown) => void
}

/** Reads sessions from the server whose revocations are followed. */
function createFollowedRead (db: Db, pollerDb: Db, poller: RevocationPoller) {
  /**
   * While the revocation reading is fresh, its server is the primary. A connection to another server may show a session that
   * the primary has ended. If the primary moved a moment ago, a new connection of the poller finds it.
   *
   * @throws {Refusal} UNAVAILABLE
   */
  async function requireFollowed (server: string): Promise<void> {
    if (!poller.isFresh() || server === poller.server()) return
    pollerDb.renew()
    await poller.poll()
    if (server === poller.server()) return
    db.renew()
    const cause = new Error('PostgreSQL connections lead to different servers')
    throw new Refusal('UNAVAILABLE', { retryAfterSeconds: 1 }, { cause })
  }

  return async function readFollowed (userId: string, sessionId: string): Promise<Reading | null> {
    const { server, reading } = await readSessionContext(db, userId, sessionId)
    await requireFollowed(server)
    return reading
  }
}

interface FindDeps {
  localCache: LocalCache
  isMarked: (context: SessionContext) => boolean
  fromCopy: (userId: string, sessionId: string) => Promise<SessionContext | undefined>
  fromPostgres: (userId: string, sessionId: string, adoption: Adoption | null) => Promise<SessionContext | null>
  revocationSeconds: number
}

function createFind ({ localCache, isMarked, fromCopy, fromPostgres, revocationSeconds }: FindDeps) {
  const reads = new Map<string, { askedAtMs: number, context: Promise<SessionContext | null> }>()

  async function read (userId: string, sessionId: string, adoption: Adoption | null): Promise<SessionContext | null> {
    return await fromCopy(userId, sessionId) ?? await fromPostgres(userId, sessionId, adoption)
  }

  /** PostgreSQL has just judged the expiry, to the microsecond. A context has it in whole seconds, which is earlier. */
  function living (context: SessionContext | null, userId: string, sessionId: string): SessionContext | null {
    return context === null || localCache.hasEnded(userId, sessionId) || isMarked(context) ? null : context
  }

  /** Returns a session that was seen before. It shares no question with `find`, which may register the session. */
  async function findSeen (userId: string, sessionId: string): Promise<SessionContext | null> {
    return living(await read(userId, sessionId, null), userId, sessionId)
  }

  /**
   * Asks the Redis cache, then PostgreSQL. Requests for the same session share one question while the question is younger
   * than `revocationSeconds` and its connection is still in use. Null: the session has ended or never existed.
   *
   * @param adoption how to register a host's session that is not known here yet; null where that is not allowed
   */
  async function find (userId: string, sessionId: string, adoption: Adoption | null): Promise<SessionContext | null> {
    const key = JSON.stringify([userId, sessionId])
    const askedAtMs = performance.now()
    let reading = reads.get(key)
    const isTooOld = reading !== undefined && askedAtMs - reading.askedAtMs > revocationSeconds * 1000
    if (reading === undefined || isTooOld || localCache.isOutdated(userId, sessionId, reading.askedAtMs)) {
      const forget = () => { if (reads.get(key) === own) reads.delete(key) }
      const own = { askedAtMs, context: read(userId, sessionId, adoption).finally(forget) }
      reads.set(key, own)
      reading = own
    }
    return living(await reading.context, userId, sessionId)
  }

  return { find, findSeen }
}

interface NewsDeps {
  localCache: LocalCache
  noteEnd: (userId: string, sessionId: string) => void
  tellOthers: () => void
  /** False where sessions begin at a host: one that only expired begins again. */
  knowsSessions: boolean
}

/** Takes what statements of this process did to sessions, or found. */
function createNews ({ localCache, noteEnd, tellOthers, knowsSessions }: NewsDeps) {
  /** Call after the commit that ended the sessions: notes them here at once, and notifies the other replicas. */
  function ended (userId: string, sessionIds: readonly string[]): void {
    if (sessionIds.length === 0) return
    for (const sessionId of sessionIds) noteEnd(userId, sessionId)
    tellOthers()
  }

  /**
   * Call where a statement found no living session. A host's session may only have expired: its next request asks PostgreSQL, which
   * begins it again or refuses it.
   */
  function over (userId: string, sessionId: string): void {
    if (knowsSessions) ended(userId, [sessionId])
    else localCache.change(userId, sessionId)
  }

  /** Call after the commit that changed the proofs of a living session. `started` then gives its new state. */
  function changed (userId: string, sessionId: string): void {
    localCache.change(userId, sessionId)
    tellOthers()
  }

  return { ended, over, changed }
}

/**
 * Answers if a session is alive: from the local cache if the revocation reading is fresh, else from the Redis cache, else
 * from PostgreSQL. A revocation takes effect here at once if it happened at this replica, and within `revocationSeconds`
 * if it happened at another one. docs/consistency.md has the proof.
 */
export type Sessions = ReturnType<typeof createSessions>

export function createSessions (options: SessionsOptions) {
  const { db, pollerDb, redis, namespace, macKeys, readingKeys, revocationSeconds, report } = options
  const localCache = new LocalCache()
  const copies = createCopies(redis, namespace, macKeys)
  const counters: SessionCounters = { localCache: 0, copy: 0, postgres: 0 }
  const exchange = createExchange({ redis, namespace, macKeys: readingKeys, leaseMs: READER_BOUNDS * revocationSeconds * 1000 })
  const poller = createRevocationPoller(pollerDb, revocationSeconds, {
    onEnded: noteEnd,
    onChanged: (userId, sessionId) => localCache.change(userId, sessionId),
    onMark: (endedBefore) => watch.endedBefore(endedBefore),
    onGap: () => { localCache.coveredFromNow(); watch.gap() },
    onOtherServer: () => { localCache.connectionsReplaced(); db.renew() }
  }, report, exchange)

  const { isFresh, nowMs } = poller
  const watch = createSessionWatch({ isFresh, nowMs, find: (userId, sessionId) => findSeen(userId, sessionId) })

  function noteEnd (userId: string, sessionId: string): void {
    localCache.end(userId, sessionId)
    watch.ended(userId, sessionId)
  }

  const isMarked = ({ authTime }: SessionContext): boolean => authTime < poller.endedBefore()
  const isOver = (context: SessionContext): boolean => isMarked(context) || context.expiresAt * 1000 <= poller.nowMs()
  const { fromCopy, keep, started } = createReadings({ localCache, copies, poller, counters, isOver })
  const readFollowed = createFollowedRead(db, pollerDb, poller)

  async function fromPostgres (userId: string, sessionId: string, adoption: Adoption | null): Promise<SessionContext | null> {
    const askedAtMs = performance.now()
    const found = await readFollowed(userId, sessionId)
    const adopted = found === null && adoption !== null ? await adoptSession(db, userId, sessionId, adoption) : null
    counters.postgres++
    if (adopted !== null) ended(userId, adopted.endedIds)
    return keep(userId, sessionId, found ?? adopted, askedAtMs)
  }

  const { find, findSeen } = createFind({ localCache, isMarked, fromCopy, fromPostgres, revocationSeconds })

  const { tell: tellOthers, stop: stopTelling } = createTelling(exchange.tellNews)
  const { ended, over, changed } = createNews({ localCache, noteEnd, tellOthers, knowsSessions: db.hasAccounts })

  return {
    ended,
    over,
    changed,
    started,
    /** Calls back once when the session ends. @returns a function that stops that */
    onEnd: watch.add,
    /** Calls back after each answered revocation reading. */
    onReading: poller.onReading,

    /**
     * Answers from this process alone: the session context, null for an ended session, undefined if `find` must be called.
     * It is synchronous, since most requests need nothing else.
     */
    known (userId: string, sessionId: string): SessionContext | null | undefined {
      // The local cache never has an ended session as alive.
      const context = poller.isFresh() ? localCache.alive(userId, sessionId) : undefined
      if (context === undefined) return localCache.hasEnded(userId, sessionId) ? null : undefined
      counters.localCache++
      // Another replica may have extended it. An expired session of a host may begin again: its proofs no longer count.
      if (isOver(context)) return isMarked(context) ? null : undefined
      return context
    },

    find,

    /**
     * Records a host's proof that is dated ahead of PostgreSQL's clock as given now, if it is new.
     *
     * @returns the session with this proof; null if it has ended
     */
    async claimed (userId: string, sessionId: string, authTime: number): Promise<SessionContext | null> {
      if (await recordClaim(db, userId, sessionId, authTime)) changed(userId, sessionId)
      const askedAtMs = performance.now()
      return keep(userId, sessionId, await readFollowed(userId, sessionId), askedAtMs)
    },

    /** PostgreSQL's clock, never behind it: for checks that a time has passed. */
    nowSeconds: (): number => poller.nowMs() / 1000,
    /** PostgreSQL's clock, never ahead of it: for checks that a time is in the future. */
    earliestNowSeconds: (): number => poller.earliestNowMs() / 1000,
    async poll (): Promise<void> {
      await poller.poll()
      await watch.check()
    },
    state: () => stateOf(poller, localCache, counters),

    start (): void {
      poller.start()
    },
    async stop (): Promise<void> {
      stopTelling()
      watch.stop()
      await poller.stop()
    }
  }
}

/** Facts for metrics and readiness. */
function stateOf (poller: RevocationPoller, localCache: LocalCache, counters: SessionCounters) {
  return {
    revocationsAgeSeconds: poller.ageMs() / 1000,
    areRevocationsFresh: poller.isFresh(),
    isReadOnly: poller.isReadOnly(),
    oldestWriteSeconds: poller.oldestWriteMs() / 1000,
    readings: poller.readings(),
    remembered: localCache.size,
    ...counters
  }
}
