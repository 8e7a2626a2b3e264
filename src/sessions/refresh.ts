import { Refusal, SessionEnded } from '../core/refusals.js'
import { MOST_PENDING_TERMS, type AnsweredSession, type ClientOrigin, type Lifetimes, type Origin } from '../core/session.js'
import type { RefreshClaims } from '../core/claims.js'
import { rotateSession } from './rotation.js'
import { endSession } from './statements.js'
import type { Db } from '../tables/db.js'
import type { Sessions } from './liveness.js'
import type { Counters } from '../core/counters.js'
import { sessionEnded } from './session-ended.js'

export interface RefreshDeps {
  db: Db
  sessions: Sessions
  refreshSeconds: number
  accessSeconds: number
  lifetimes: Lifetimes
  counters: Counters
}

/** Refresh token whose signature is valid. */
export interface ReadRefreshToken {
  claims: RefreshClaims
  isExpired: boolean
  /** True if the user asked for more time for an unverified session. */
  extend: boolean
}

/**
 * Rotates a refresh token. The proofs of the session are copied from the token, never renewed: the tokens of a tab
 * that did not take part in a step-up keep their age. An unverified session may get another term, up to eleven in all: its wrong codes
 * count for the user, so a longer life gives no more guesses.
 *
 * @throws {Refusal} TOKEN_INVALID, SESSION_ENDED
 */
export async function refresh (
  deps: RefreshDeps, { claims, isExpired, extend }: ReadRefreshToken, origin: ClientOrigin
): Promise<AnsweredSession> {
  const { db, sessions, refreshSeconds, accessSeconds, lifetimes: { pendingSeconds, sessionSeconds }, counters } = deps
  const { sub: userId, sid: sessionId, gen: generation } = claims
  if (sessions.known(userId, sessionId) === null) {
    // As PostgreSQL decides it below: a token past its own life is no valid one, at replicas too that do not know of the end.
    throw isExpired ? new Refusal('TOKEN_INVALID') : new SessionEnded({ userId, sessionId })
  }
  const rotation = await rotateSession(db, { userId, sessionId, generation, isExpired }, {
    idleSeconds: refreshSeconds,
    pendingSeconds: extend ? pendingSeconds : 0,
    mostPendingSeconds: MOST_PENDING_TERMS * pendingSeconds,
    sessionSeconds
  }, origin)
  counters.count('refreshes_total', [rotation === null ? 'ended' : rotation.rotated ? 'rotated' : rotation.isNewer ? 'newer' : 'reused'])
  if (rotation === null && isExpired) throw new Refusal('TOKEN_INVALID')
  if (rotation === null || !rotation.rotated) {
    if (rotation !== null) counters.count('sessions_ended_total', ['reused'])
    throw sessionEnded({ sessions }, { context: { userId, sessionId } })
  }
  const { facts } = rotation
  return {
    ...facts,
    otpDeviceId: claims.otp_device_id,
    otpTime: claims.otp_time,
    phrTime: claims.phr_time ?? null,
    amr: claims.amr,
    accessIssuedAt: accessIssuedAt(facts.issuedAt, accessSeconds, facts.nowSeconds)
  }
}

/**
 * Returns the issue time of the access token, in Unix seconds, for a pair that is returned again: the pair may be older than
 * the life of an access token. It moves in steps of half that life. So requests at the same moment get the same token, and
 * each token has at least half of its life left.
 */
function accessIssuedAt (issuedAt: number, accessSeconds: number, nowSeconds: number): number {
  const step = Math.max(1, Math.floor(accessSeconds / 2))
  return issuedAt + Math.floor(Math.max(0, nowSeconds - issuedAt) / step) * step
}

/** Ends a session. Every replica refuses it within a second. */
export async function revoke (
  { db, sessions, counters }: Pick<RefreshDeps, 'db' | 'sessions' | 'counters'>,
  userId: string,
  sessionId: string,
  origin: Origin
): Promise<void> {
  if (await endSession(db, userId, sessionId, 'logged_out', origin)) counters.count('sessions_ended_total', ['logged_out'])
  sessions.ended(userId, [sessionId])
}
