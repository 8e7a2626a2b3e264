import { BoundedMap } from '../bounded-map.js'
import type { Standing } from '../core/assurance.js'

/** How long a reading of "alive" may be used, feed or no feed: here and in Redis. */
export const TRUST_MS = 60_000
/** Ends are remembered longer than any reading that could contradict them may live: the trust, the slowest read, a clock that steps. */
const REMEMBER_ENDS_MS = 3 * TRUST_MS
/** About 300 bytes each. */
const MOST_SESSIONS = 100_000

interface Remembered { standing: Standing, untilMs: number }

/** What this process knows of sessions: those it read as alive, and what it heard of since. Times are monotonic. */
export class Memo {
  readonly #alive = new BoundedMap<string, Remembered>(MOST_SESSIONS)
  /** Heard of as ended, and as changed in place, by user and session, since a host's session ids may be unique for one user only. Value: when it was heard. */
  readonly #ended = new Map<string, number>()
  readonly #changed = new Map<string, number>()
  /** Answers to what was asked before this are not remembered: an end meanwhile may never be named. */
  #coveredSinceMs = Infinity

  get size (): number { return this.#alive.size }

  alive (userId: string, sessionId: string): Standing | undefined {
    const found = this.#alive.get(sessionId)
    if (found === undefined || found.standing.userId !== userId) return undefined
    if (performance.now() <= found.untilMs) return found.standing
    this.#alive.delete(sessionId)
    return undefined
  }

  hasEnded (userId: string, sessionId: string): boolean {
    return this.#ended.has(keyOf(userId, sessionId))
  }

  /** Whether a reading that was asked then may be what the session was before it changed. */
  isOutdated (userId: string, sessionId: string, askedAtMs: number): boolean {
    return askedAtMs < (this.#changed.get(keyOf(userId, sessionId)) ?? -Infinity)
  }

  /** @param askedAtMs when Postgres was asked whether it is alive, or later only by what a question takes */
  fill (standing: Standing, askedAtMs: number): void {
    const { userId, sessionId } = standing
    if (askedAtMs < this.#coveredSinceMs) return
    // Somebody may have heard of the end, or of a change, between the reading and now.
    if (this.hasEnded(userId, sessionId) || this.isOutdated(userId, sessionId, askedAtMs)) return
    this.#alive.set(sessionId, { standing, untilMs: askedAtMs + TRUST_MS })
  }

  end (userId: string, sessionId: string): void {
    this.#hear(this.#ended, userId, sessionId)
  }

  change (userId: string, sessionId: string): void {
    this.#hear(this.#changed, userId, sessionId)
  }

  #hear (of: Map<string, number>, userId: string, sessionId: string): void {
    const atMs = performance.now()
    const key = keyOf(userId, sessionId)
    this.#alive.delete(sessionId)
    of.delete(key)
    of.set(key, atMs)
    for (const [oldest, heardAtMs] of of) {
      if (atMs - heardAtMs <= REMEMBER_ENDS_MS) break
      of.delete(oldest)
    }
  }

  /** From now on every end is heard of. What was read before, or is being read, is not to be trusted. */
  coveredFromNow (): void {
    this.#alive.clear()
    this.#coveredSinceMs = performance.now()
  }
}

const keyOf = (userId: string, sessionId: string): string => JSON.stringify([userId, sessionId])
