import { Refusal } from '../core/refusals.js'
import type { Origin, SessionFacts } from '../core/session.js'
import type { RefreshClaims } from '../core/claims.js'
import { endSession, rotateSession } from '../db/sessions.js'
import type { Db } from '../db/tables.js'
import type { Sessions } from '../sessions/sessions.js'
import type { Tally } from '../tally.js'
import { gone } from './deps.js'

/** How long a refresh token that was just rotated answers the same child: a lost answer, two tabs. */
export const GRACE_SECONDS = 60

export interface RefreshDeps { db: Db, sessions: Sessions, refreshSeconds: number, tally: Tally }

/**
 * Rotates a refresh token. What the session has proven is carried from the token, never renewed: the tokens of a tab
 * that did not take part in a step-up stay as old as they were.
 */
export async function refresh ({ db, sessions, refreshSeconds, tally }: RefreshDeps, claims: RefreshClaims, origin: Origin): Promise<SessionFacts> {
  const { sub, sid, gen } = claims
  if (sessions.known(sub, sid) === null) throw new Refusal('SESSION_ENDED')
  const rotation = await rotateSession(db, sub, sid, gen, refreshSeconds, GRACE_SECONDS, origin)
  tally.count('refreshes_total', [rotation === null ? 'ended' : rotation.rotated ? 'rotated' : 'reused'])
  if (rotation === null || !rotation.rotated) {
    if (rotation !== null) tally.count('sessions_ended_total', ['reused'])
    throw gone({ sessions }, { standing: { userId: sub, sessionId: sid } })
  }
  return { ...rotation.facts, otpDeviceId: claims.otp_device_id, otpTime: claims.otp_time, amr: claims.amr }
}

/** Ends a session, for everybody, within a second. */
export async function revoke ({ db, sessions, tally }: Omit<RefreshDeps, 'refreshSeconds'>, userId: string, sessionId: string, origin: Origin): Promise<void> {
  if (await endSession(db, userId, sessionId, 'logged_out', origin)) tally.count('sessions_ended_total', ['logged_out'])
  sessions.ended(userId, [sessionId])
}
