import { newRecoveryCode } from '../core/recovery/recovery-codes.js'
import { Refusal } from '../core/refusals.js'
import { setupDigest, SETUP_CODE_SECONDS } from '../core/recovery/setup-codes.js'
import { changeReferences, resetFactors, setActive, setStaff, unlock, type Actor, type Changed, type References } from './statements.js'
import { resumeMailsOf } from './mail.js'
import { endSessions } from './sessions.js'
import type { Db } from '../tables/db.js'
import type { RejectedCodes } from '../factors/totp/rejected-codes.js'
import type { Sessions } from '../sessions/liveness.js'
import type { Counters } from '../core/counters.js'
import { released } from '../factors/attempts.js'
import { sessionEnded } from '../sessions/session-ended.js'
import type { Locks } from '../factors/local-locks.js'

export interface StaffDeps {
  db: Db
  digestKey: () => Promise<Buffer>
  /** Receives ended sessions after the commit. The command line has no sessions to notify; replicas read them from the rows. */
  sessions: Pick<Sessions, 'ended' | 'over'>
  locks: Pick<Locks, 'released'>
  rejectedCodes: Pick<RejectedCodes, 'released'>
  counters: Counters
}

/** Actor of the command line: an operator with access to the server. It is not a user, so the limits of staff do not apply. */
export const commandLine: Actor = { id: 'command line', sessionId: null, ip: '', agent: '' }

export interface IssuedCode {
  /** Shown only in this answer. */
  setupCode: string
  expiresAt: Date
}

/**
 * Deletes a user's devices and recovery codes, and ends every session. From then on the password alone is not enough: the
 * returned set-up code must come with it once, and the session that it opens can only set up a device. Only the command
 * line resets staff, so that an attacker with one staff account cannot take over the others.
 */
export async function resetOtp (deps: StaffDeps, actor: Actor, userId: string, reason: string): Promise<IssuedCode> {
  requireOther(actor, userId)
  const setupCode = newRecoveryCode()
  const digest = setupDigest(await deps.digestKey(), userId, setupCode)!
  const changed = await resetFactors(deps.db, actor, userId, { digest, seconds: SETUP_CODE_SECONDS, reason })
  concluded(deps, actor, userId, changed, 'otp_reset')
  return { setupCode, expiresAt: changed.value }
}

/** Ends every session, and refuses the password until the account is reactivated. */
export async function deactivate (deps: StaffDeps, actor: Actor, userId: string, reason: string): Promise<void> {
  requireOther(actor, userId)
  concluded(deps, actor, userId, await setActive(deps.db, actor, userId, false, reason), 'deactivated')
}

export async function reactivate (deps: StaffDeps, actor: Actor, userId: string, reason: string | null): Promise<void> {
  requireOther(actor, userId)
  concluded(deps, actor, userId, await setActive(deps.db, actor, userId, true, reason), 'reactivated')
}

/** Clears the count of wrong codes and the lock, the hard stop included. */
export async function unlockUser (deps: StaffDeps, actor: Actor, userId: string): Promise<void> {
  requireOther(actor, userId)
  concluded(deps, actor, userId, await unlock(deps.db, actor, userId), 'unlocked')
}

/** Makes the user a member of staff. Refused if the user has only a password: staff need a second factor. */
export async function promote (deps: StaffDeps, actor: Actor, userId: string, reason: string): Promise<void> {
  requireOther(actor, userId)
  const changed = await setStaff(deps.db, actor, userId, true, reason)
  concluded(deps, actor, userId, changed, 'promoted')
  if (changed.value !== 'no_factor') return
  throw new Refusal('OTP_NOT_SET_UP', { hint: { key: 'staffNeedsFactor' } })
}

/** Removes the staff role, from the next request on. Members of staff cannot demote themselves, so at least one remains. */
export async function demote (deps: StaffDeps, actor: Actor, userId: string, reason: string): Promise<void> {
  requireOther(actor, userId)
  concluded(deps, actor, userId, await setStaff(deps.db, actor, userId, false, reason), 'demoted')
}

/** Ends one session of a user, on every replica within a second. Refused if the user has no such session, or it has ended. */
export async function endUserSession (deps: StaffDeps, actor: Actor, userId: string, sessionId: string): Promise<void> {
  if (await endSessionsOf(deps, actor, userId, sessionId) === 0) throw new Refusal('NOT_FOUND')
}

/**
 * Ends every session of a user.
 *
 * @returns the number of ended sessions
 */
export async function endUserSessions (deps: StaffDeps, actor: Actor, userId: string): Promise<number> {
  return await endSessionsOf(deps, actor, userId, null)
}

async function endSessionsOf (deps: StaffDeps, actor: Actor, userId: string, sessionId: string | null): Promise<number> {
  requireOther(actor, userId)
  const changed = await endSessions(deps.db, actor, userId, sessionId)
  concluded(deps, actor, userId, changed, 'session_ended_by_staff')
  return changed.endedIds.length
}

/** Sets the account's ids in other systems. */
export async function setReferences (deps: StaffDeps, actor: Actor, userId: string, references: References): Promise<void> {
  requireOther(actor, userId)
  concluded(deps, actor, userId, await changeReferences(deps.db, actor, userId, references), 'references_changed')
}

/** Lets mails go to the user's address again, after the mail server refused it or the user undid a change of it. */
export async function resumeMail (deps: StaffDeps, actor: Actor, userId: string, reason: string): Promise<void> {
  requireOther(actor, userId)
  concluded(deps, actor, userId, await resumeMailsOf(deps.db, actor, userId, reason), 'mail_resumed')
}

function requireOther (actor: Actor, userId: string): void {
  if (actor.id === userId) throw new Refusal('NOT_YOURSELF')
}

/**
 * Applies the result of a committed change to this process.
 *
 * @throws {Refusal} unless the change was done
 */
function concluded<Value> (
  deps: StaffDeps, actor: Actor, userId: string, changed: Changed<Value>, reason: string
): asserts changed is Extract<Changed<Value>, { outcome: 'done' }> {
  switch (changed.outcome) {
    // Only a session of a member of staff can end; the command line has none.
    case 'session_ended': throw sessionEnded(deps, { context: { userId: actor.id, sessionId: actor.sessionId! } })
    case 'not_staff': throw new Refusal('STAFF_REQUIRED')
    case 'not_found': throw new Refusal('NOT_FOUND')
    case 'protected': throw new Refusal('STAFF_PROTECTED')
    case 'done':
      deps.sessions.ended(userId, changed.endedIds)
      released(deps, userId)
      if (changed.endedIds.length > 0) deps.counters.count('sessions_ended_total', [reason], changed.endedIds.length)
  }
}
