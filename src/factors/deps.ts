import { randomUUID } from 'node:crypto'
import type { Seal } from '../core/seal.js'
import type { Asking, Lifetimes, SessionFacts } from '../core/session.js'
import type { CommittedSession } from '../sessions/replacement.js'
import type { Db } from '../tables/db.js'
import type { JudgedCodes } from './totp/rejected-codes.js'
import type { Sessions } from '../sessions/liveness.js'
import type { Tally } from '../core/counters.js'
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
  /** How many recovery codes make a set. */
  recoveryCodes: number
}

/** What the flows of the second factor work with. */
export interface OtpDeps {
  db: Db
  seal: Seal
  sessions: Sessions
  judgedCodes: JudgedCodes
  locks: Locks
  tally: Tally
  unreadable: ReportUnreadable
  /** Under which recovery codes are digested. */
  digestKey: () => Promise<Buffer>
  settings: OtpSettings
  /** Whether the asking session itself becomes verified, since its host cannot move it. */
  sameSession: boolean
}

/** Under which id the asking session goes on, if it moves. */
export function nextSessionId ({ sameSession }: OtpDeps, { standing: { sessionId } }: Asking): string {
  return sameSession ? sessionId : randomUUID()
}

/** After the commit: this replica knows at once, the others are told to look. */
export function announce ({ db, sessions, tally }: OtpDeps, { standing: { sessionId } }: Asking, committed: CommittedSession, reason: 'verified' | 'recovered' | 'enabled' | 'disabled' | 'removed'): SessionFacts {
  const { standing, endedIds } = committed
  sessions.ended(standing.userId, endedIds)
  // The service's tokens say what was proven; a host's session is what replicas remember of it.
  if (standing.sessionId === sessionId && !db.hasAccounts) sessions.changed(standing.userId, sessionId)
  sessions.started(committed)
  if (standing.sessionId !== sessionId) tally.count('sessions_started_total', [reason])
  tally.count('sessions_ended_total', [reason], endedIds.length)
  return standing
}

/**
 * A session that went on, for a new pair: the proof stays as old as the asking token says, which may be older than the
 * session's own, when another tab has stepped up. A new session is what it is.
 */
export function carried (session: SessionFacts, { standing: { sessionId, otpTime } }: Asking): SessionFacts {
  return session.sessionId === sessionId && session.otpDeviceId !== null ? { ...session, otpTime } : session
}
