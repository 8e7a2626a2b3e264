import type { Seal } from '../core/seal.js'
import type { Asking, Lifetimes, SessionFacts } from '../core/session.js'
import type { CommittedSession } from '../db/attempts.js'
import type { Db } from '../db/tables.js'
import type { JudgedCodes } from '../redis/judged-codes.js'
import type { Sessions } from '../sessions/sessions.js'
import type { Tally } from '../tally.js'
import type { Locks } from './locks.js'

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
  /** Under which recovery codes are digested. */
  digestKey: () => Promise<Buffer>
  settings: OtpSettings
}

/** After the commit: this replica knows at once, the others are told to look. */
export function announce ({ sessions, tally }: OtpDeps, { standing: { sessionId } }: Asking, committed: CommittedSession, reason: 'verified' | 'recovered' | 'enabled' | 'disabled'): SessionFacts {
  const { standing, endedIds } = committed
  sessions.ended(standing.userId, endedIds)
  sessions.started(committed)
  if (standing.sessionId !== sessionId) tally.count('sessions_started_total', [reason])
  tally.count('sessions_ended_total', [reason], endedIds.length)
  return standing
}
