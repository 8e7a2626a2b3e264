import { randomUUID } from 'node:crypto'
import { amrOf } from '../core/assurance.js'
import type { Seal } from '../core/keys/seal.js'
import type { AnsweredSession, Requester, Lifetimes } from '../core/session.js'
import type { CommittedSession } from '../sessions/replacement.js'
import type { Db } from '../tables/db.js'
import type { RejectedCodes } from './totp/rejected-codes.js'
import type { Sessions } from '../sessions/liveness.js'
import type { MethodsOf } from '../sessions/methods.js'
import type { Counters } from '../core/counters.js'
import type { Locks } from './local-locks.js'
import type { ReportUnreadable } from './unreadable.js'

export interface OtpSettings extends Lifetimes {
  /** Shown in the authenticator app; no colon. */
  issuer: string
  /** Steps accepted on each side of now. */
  window: number
  setupSeconds: number
  reauthSeconds: number
  freshSeconds: number
  /** Number of recovery codes in a set. */
  recoveryCodes: number
}

/** Dependencies of the flows of the second factor. */
export interface OtpDeps {
  db: Db
  seal: Seal
  sessions: Sessions
  rejectedCodes: RejectedCodes
  locks: Locks
  counters: Counters
  unreadable: ReportUnreadable
  /** Reads a user's methods, for refusals. */
  methods: MethodsOf
  /** Key of the digests of recovery codes. */
  digestKey: () => Promise<Buffer>
  settings: OtpSettings
  /** True if the requester's session itself becomes verified, since its host cannot move it. */
  sameSession: boolean
}

/** Returns the id under which the requester's session continues. */
export function nextSessionId ({ sameSession }: OtpDeps, { context: { sessionId } }: Requester): string {
  return sameSession ? sessionId : randomUUID()
}

/** Call after the commit: updates the caches of this replica and notifies the others. */
export function announce (
  { db, sessions, counters }: OtpDeps,
  { context: { sessionId } }: Requester,
  committed: CommittedSession,
  reason: 'verified' | 'recovered' | 'enabled' | 'disabled' | 'removed'
): AnsweredSession {
  const { context, endedIds, otpMethods } = committed
  sessions.ended(context.userId, endedIds)
  // The service's tokens hold the proofs. For a host's session the replicas' caches hold them.
  if (context.sessionId === sessionId && !db.hasAccounts) sessions.changed(context.userId, sessionId)
  sessions.started(committed)
  if (context.sessionId !== sessionId) counters.count('sessions_started_total', [reason])
  counters.count('sessions_ended_total', [reason], endedIds.length)
  return { ...context, otpMethods }
}

/**
 * Returns a session that stayed, for a new pair of tokens, with the proof times of the requester's token. The session's own
 * proofs may be newer, if another tab has stepped up. A new session is returned as it is.
 */
export function carried (session: AnsweredSession, { context: { sessionId, otpTime, phrTime = null } }: Requester): AnsweredSession {
  if (session.sessionId !== sessionId || session.otpDeviceId === null) return session
  const proven = { ...session, otpTime, phrTime }
  return phrTime === session.phrTime ? proven : { ...proven, amr: amrOf(proven) }
}
