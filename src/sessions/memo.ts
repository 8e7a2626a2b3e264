import type { Standing } from '../core/assurance.js'

/** How long a reading of "alive" may be used, feed or no feed: here and in Redis. */
export const TRUST_MS = 60_000
/** Ends are remembered longer than any reading that could contradict them may live: the trust, the slowest read, a clock that steps. */
const REMEMBER_ENDS_MS = 3 * TRUST_MS
/** About 300 bytes each. */
const MOST_SESSIONS = 100_000

interface Remembered { standing: Standing, untilMs: number }

/** What this process knows of sessions: those it read as alive, and those it heard the end of. Times are monotonic. */
export class Memo {
  readonly #alive = new Map<string, Remembered>()
  readonly #ended = new Map<string, { userId: string, atMs: number }>()

  get size (): number { return this.#alive.size }

  alive (userId: string, sessionId: string): Standing | undefined {
    const found = this.#alive.get(sessionId)
    if (found === undefined || found.standing.userId !== userId) return undefined
    if (performance.now() <= found.untilMs) return found.standing
    this.#alive.delete(sessionId)
    return undefined
  }

  hasEnded (userId: string, sessionId: string): boolean {
    return this.#ended.get(sessionId)?.userId === userId
  }

  /** @param ageMs how long ago Postgres said "alive" */
  fill (standing: Standing, ageMs: number): void {
    const { userId, sessionId } = standing
    // Somebody may have heard of the end between the reading and now.
    if (this.hasEnded(userId, sessionId)) return
    this.#alive.delete(sessionId)
    this.#alive.set(sessionId, { standing, untilMs: performance.now() + TRUST_MS - ageMs })
    if (this.#alive.size > MOST_SESSIONS) this.#alive.delete(this.#alive.keys().next().value!)
  }

  end (userId: string, sessionId: string): void {
    const atMs = performance.now()
    this.#alive.delete(sessionId)
    this.#ended.delete(sessionId)
    this.#ended.set(sessionId, { userId, atMs })
    for (const [oldest, end] of this.#ended) {
      if (atMs - end.atMs <= REMEMBER_ENDS_MS) break
      this.#ended.delete(oldest)
    }
  }

  forgetAlive (): void {
    this.#alive.clear()
  }
}
