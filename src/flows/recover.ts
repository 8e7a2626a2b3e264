import { randomUUID } from 'node:crypto'
import { normaliseRecoveryCode, recoveryDigest } from '../core/recovery-codes.js'
import { Refusal } from '../core/refusals.js'
import type { Asking, SessionFacts } from '../core/session.js'
import { readStatus, replaceRecoveryCodes } from '../db/enrolments.js'
import { burnRecoveryCode, refuseRecovery } from '../db/recovery.js'
import { announce, type OtpDeps } from './deps.js'
import { digestsOf, newCodes } from './enrol.js'

/** Uses a recovery code. Returns the verified session that came of it, and how many codes are left; throws a Refusal otherwise. */
export async function recover (deps: OtpDeps, asking: Asking, text: string): Promise<{ session: SessionFacts, recoveryCodesLeft: number }> {
  const { db, sessions, locks, judgedCodes, settings, tally } = deps
  const { userId, sessionId } = asking.standing
  const code = normaliseRecoveryCode(text)
  const committed = code === null
    ? null
    : await burnRecoveryCode(db, asking, recoveryDigest(await deps.digestKey(), userId, code), randomUUID(), settings)
  if (committed !== null) {
    locks.freed(userId)
    judgedCodes.freed(userId)
    tally.count('codes_total', ['recovery', 'accepted'])
    tally.count('recovery_codes_left_total', [String(committed.codesLeft)])
    return { session: announce(deps, asking, committed, 'recovered'), recoveryCodesLeft: committed.codesLeft }
  }
  tally.count('codes_total', ['recovery', 'refused'])
  if (await refuseRecovery(db, asking)) throw new Refusal('RECOVERY_CODE_INVALID')
  sessions.ended(userId, [sessionId])
  throw new Refusal('SESSION_ENDED')
}

/** Makes a new set and kills the old one, also against a use that races it. The caller has a fresh, verified session. */
export async function regenerateRecoveryCodes (deps: OtpDeps, asking: Asking): Promise<string[]> {
  const { db, sessions, settings, tally } = deps
  const { userId, sessionId } = asking.standing
  const codes = newCodes(settings.recoveryCodes)
  const replaced = await replaceRecoveryCodes(db, asking, digestsOf(await deps.digestKey(), userId, codes))
  if (replaced === null) {
    const { confirmedDevices } = await readStatus(db, userId, sessionId)
    throw new Refusal(confirmedDevices === 0 ? 'OTP_NOT_SET_UP' : 'SESSION_ENDED')
  }
  sessions.ended(userId, replaced.endedIds)
  tally.count('sessions_ended_total', ['codes_replaced'], replaced.endedIds.length)
  return codes
}
