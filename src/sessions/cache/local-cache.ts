import { AgingMap } from '../../core/aging-map.js'
import type { SessionContext } from '../../core/assurance.js'
import { PackedSessions, type Remembered } from './packed-sessions.js'

/**
 * Longest use of an entry here. The revocation poller removes an entry as soon as it names its session, so this bounds only memory,
 * and how long a fault of ours could last.
 */
export const LOCAL_TRUST_MS = 15 * 60_000
/** Longest use of a Redis copy, from when it was read. */
export const COPY_TRUST_MS = 60_000
/** Largest part of them that is taken off at random. */
const SPREAD = 1 / 4
/**
 * Longer than any reading that could contradict a revocation: that of a Redis copy, plus the slowest read, plus a step of the clock.
 * An answer that took longer is not stored.
 */
const REMEMBER_ENDS_MS = 3 * COPY_TRUST_MS
/** 154 bytes each, if all ids are UUIDs. */
const MOST_SESSIONS = 100_000

/** Local cache: the sessions that this process read as alive, and the revocations and changes since. Times are monotonic. */
export class LocalCache {
  readonly #clockMs: () => number
  readonly #alive: AgingMap<string, Remembered>
  /**
   * Sessions that ended, and sessions that changed in place, with the time when this process learned it. The key has the
   * user too: a host's session ids may be unique only for one user.
   */
  readonly #ended: AgingMap<string, number>
  readonly #changed: AgingMap<string, number>
  /** Answers to questions asked before this are not stored: the poller may never name a revocation from that time. */
  #coveredSinceMs = Infinity
  #replacedAtMs = -Infinity

  constructor (clockMs = () => performance.now()) {
    this.#clockMs = clockMs
    this.#alive = new AgingMap({ keepMs: LOCAL_TRUST_MS, clockMs, makeGeneration: () => new PackedSessions(MOST_SESSIONS / 2) })
    this.#ended = new AgingMap({ keepMs: REMEMBER_ENDS_MS, clockMs })
    this.#changed = new AgingMap({ keepMs: REMEMBER_ENDS_MS, clockMs })
  }

  get size (): number { return this.#alive.size }

  alive (userId: string, sessionId: string): SessionContext | undefined {
    const found = this.#alive.get(sessionId)
    if (found === undefined || found.context.userId !== userId) return undefined
    if (this.#clockMs() <= found.untilMs) return found.context
    this.#alive.delete(sessionId)
    return undefined
  }

  hasEnded (userId: string, sessionId: string): boolean {
    return this.#ended.get(keyOf(userId, sessionId)) !== undefined
  }

  /** True if the session changed in place lately: then only an answer to a question asked after the change is known to be newer. */
  hasChanged (userId: string, sessionId: string): boolean {
    return this.#changed.get(keyOf(userId, sessionId)) !== undefined
  }

  /**
   * True if an answer to a question asked at this time may be older than a change of the session, or may come from a server
   * whose connections were replaced since.
   */
  isOutdated (userId: string, sessionId: string, askedAtMs: number): boolean {
    return askedAtMs < Math.max(this.#changed.get(keyOf(userId, sessionId)) ?? -Infinity, this.#replacedAtMs)
  }

  /**
   * Stores the answer to a question of this process.
   *
   * @param askedAtMs time when PostgreSQL was asked
   * @param trustMs how long the answer may be used, from that time
   */
  fill (context: SessionContext, askedAtMs: number, trustMs: number): void {
    const { userId, sessionId } = context
    if (askedAtMs < this.#coveredSinceMs) return
    // After so long (a process that was stopped, say) an end from meanwhile may be forgotten again.
    if (this.#clockMs() - askedAtMs >= REMEMBER_ENDS_MS) return
    // This process may have learned of a revocation or a change after the question.
    if (this.hasEnded(userId, sessionId) || this.isOutdated(userId, sessionId, askedAtMs)) return
    this.#set(context, askedAtMs + trustMs)
  }

  /**
   * Stores a reading dated by PostgreSQL's clock (from the Redis cache, or of a session that has just begun). Its time is not
   * compared with this process's clock. The caller has checked that the poller covers it; no revocation or change came since.
   *
   * @param ageMs age of the reading by PostgreSQL's clock
   * @param trustMs how long the reading may be used, from now
   */
  fillUntimed (context: SessionContext, ageMs: number, trustMs: number): void {
    const { userId, sessionId } = context
    if (ageMs >= REMEMBER_ENDS_MS) return
    if (this.hasEnded(userId, sessionId) || this.hasChanged(userId, sessionId)) return
    this.#set(context, this.#clockMs() + trustMs)
  }

  #set (context: SessionContext, untilMs: number): void {
    this.#alive.set(context.sessionId, { context, untilMs })
  }

  end (userId: string, sessionId: string): void {
    this.#hear(this.#ended, userId, sessionId)
  }

  change (userId: string, sessionId: string): void {
    this.#hear(this.#changed, userId, sessionId)
  }

  #hear (of: AgingMap<string, number>, userId: string, sessionId: string): void {
    this.#alive.delete(sessionId)
    of.set(keyOf(userId, sessionId), this.#clockMs())
  }

  /** Connections to PostgreSQL from before now are not used for new questions. */
  connectionsReplaced (): void {
    this.#replacedAtMs = this.#clockMs()
  }

  /** From now on the poller names every revocation. Readings made before, or still under way, are not trusted. */
  coveredFromNow (): void {
    this.#alive.clear()
    this.#coveredSinceMs = this.#clockMs()
  }
}

/**
 * Returns the trust of one entry in milliseconds. It is random: sessions that were all read at once, after a start or a gap, would
 * otherwise all be read again at once. With a thousand of them each request waited half a second.
 */
export const chooseTrustMs = (longestMs: number): number => Math.round(longestMs * (1 - SPREAD * Math.random()))

const keyOf = (userId: string, sessionId: string): string => JSON.stringify([userId, sessionId])
