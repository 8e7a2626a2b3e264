import { AgingMap } from '../core/aging-map.js'
import type { Standing } from '../core/assurance.js'

/** How long a reading of "alive" may be used at most, feed or no feed: here and in Redis. */
export const TRUST_MS = 60_000
/** Up to so much of it less, by chance. */
const SPREAD = 1 / 4
/** Ends are remembered longer than any reading that could contradict them may live: the trust, the slowest read, a clock that steps. */
const REMEMBER_ENDS_MS = 3 * TRUST_MS
/** About 350 bytes each. */
const MOST_SESSIONS = 100_000

interface Remembered { standing: Standing, untilMs: number }

/** What this process knows of sessions: those it read as alive, and what it heard of since. Times are monotonic. */
export class Memo {
  readonly #clockMs: () => number
  readonly #alive: AgingMap<string, Remembered>
  /** Heard of as ended, and as changed in place, by user and session, since a host's session ids may be unique for one user only. Value: when it was heard. */
  readonly #ended: AgingMap<string, number>
  readonly #changed: AgingMap<string, number>
  /** Answers to what was asked before this are not remembered: an end meanwhile may never be named. */
  #coveredSinceMs = Infinity

  constructor (clockMs = () => performance.now()) {
    this.#clockMs = clockMs
    this.#alive = new AgingMap({ keepMs: TRUST_MS, capacity: MOST_SESSIONS, clockMs })
    this.#ended = new AgingMap({ keepMs: REMEMBER_ENDS_MS, clockMs })
    this.#changed = new AgingMap({ keepMs: REMEMBER_ENDS_MS, clockMs })
  }

  get size (): number { return this.#alive.size }

  alive (userId: string, sessionId: string): Standing | undefined {
    const found = this.#alive.get(sessionId)
    if (found === undefined || found.standing.userId !== userId) return undefined
    if (this.#clockMs() <= found.untilMs) return found.standing
    this.#alive.delete(sessionId)
    return undefined
  }

  hasEnded (userId: string, sessionId: string): boolean {
    return this.#ended.get(keyOf(userId, sessionId)) !== undefined
  }

  /** True if the session changed in place lately: only an answer to a question that was asked after that is known to be newer. */
  hasChanged (userId: string, sessionId: string): boolean {
    return this.#changed.get(keyOf(userId, sessionId)) !== undefined
  }

  /** True if an answer to a question that was asked then may be older than a change of the session. */
  isOutdated (userId: string, sessionId: string, askedAtMs: number): boolean {
    return askedAtMs < (this.#changed.get(keyOf(userId, sessionId)) ?? -Infinity)
  }

  /**
   * Keeps the answer to a question of this process.
   *
   * @param askedAtMs when Postgres was asked whether it is alive
   * @param trustMs how long from then on that may be used
   */
  fill (standing: Standing, askedAtMs: number, trustMs: number): void {
    const { userId, sessionId } = standing
    if (askedAtMs < this.#coveredSinceMs) return
    // The end, or a change, may have been heard of between the question and now.
    if (this.hasEnded(userId, sessionId) || this.isOutdated(userId, sessionId, askedAtMs)) return
    this.#set(standing, askedAtMs + trustMs)
  }

  /**
   * Keeps what was read at a time of Postgres' clock (a copy, a session that has just begun). That time is not compared with
   * any of this clock: the caller has seen that the feed covers it, and nothing was heard of the session meanwhile.
   *
   * @param trustMs how long from now on that may be used
   */
  fillUntimed (standing: Standing, trustMs: number): void {
    const { userId, sessionId } = standing
    if (this.hasEnded(userId, sessionId) || this.hasChanged(userId, sessionId)) return
    this.#set(standing, this.#clockMs() + trustMs)
  }

  #set (standing: Standing, untilMs: number): void {
    this.#alive.set(standing.sessionId, { standing: justStanding(standing), untilMs })
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

  /** From now on every end is heard of. What was read before, or is being read, is not to be trusted. */
  coveredFromNow (): void {
    this.#alive.clear()
    this.#coveredSinceMs = this.#clockMs()
  }
}

/**
 * For one reading, wherever it is kept. Sessions that were all read at once, as after a start or a gap, would all be asked about again
 * at once, every minute: with a thousand of them everybody waited for half a second.
 */
export const chooseTrustMs = (): number => Math.round(TRUST_MS * (1 - SPREAD * Math.random()))

/** A reading brings more along, which need not be kept a hundred thousand times. */
function justStanding (standing: Standing): Standing {
  const { userId, sessionId, otpRequired, otpDeviceId, otpTime, otpDeadline, authTime, authClaimedTime, expiresAt } = standing
  const kept = { userId, sessionId, otpRequired, otpDeviceId, otpTime, otpDeadline, authTime, expiresAt }
  return authClaimedTime === undefined ? kept : { ...kept, authClaimedTime }
}

const keyOf = (userId: string, sessionId: string): string => JSON.stringify([userId, sessionId])
