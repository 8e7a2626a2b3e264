import { Refusal } from '../core/refusals.js'
import type { Asking, SessionFacts } from '../core/session.js'
import { checkTotp, normaliseTotp } from '../core/totp.js'
import { commitVerified, spendAttempt, type JudgedDevice, type SpentAttempt } from '../db/attempts.js'
import { commitConfirmed } from '../db/enrolments.js'
import { freed, lock, noteRefused } from './attempts.js'
import { announce, gone, nextSessionId, type OtpDeps } from './deps.js'

/**
 * Judges one code: confirms this session's pending device, or verifies with a confirmed one. Returns the session that
 * came of it, and how; throws a Refusal otherwise. A fault after the first statement costs one attempt and grants nothing.
 */
export async function verifyTotp (deps: OtpDeps, asking: Asking, text: string): Promise<{ session: SessionFacts, reason: 'enabled' | 'verified' }> {
  const { db, settings, sessions, judgedCodes, locks, tally } = deps
  const { userId, sessionId, otpDeviceId } = asking.standing
  const code = normaliseTotp(text)
  const count = (outcome: Outcome) => tally.count('codes_total', ['totp', outcome])
  if (code === null) {
    count('malformed')
    throw new Refusal('OTP_INVALID')
  }
  const knownLock = otpDeviceId === null ? locks.waitSeconds(userId) : 0
  if (knownLock > 0) {
    count('locked')
    throw new Refusal('OTP_LOCKED', { retryAfterSeconds: knownLock })
  }
  const judged = await judgedCodes.find(userId, sessionId, code)
  if (judged !== undefined) {
    count('repeated')
    const waitSeconds = otpDeviceId === null ? Math.ceil(judged.lockedUntil - sessions.nowSeconds()) : 0
    throw waitSeconds > 0 ? new Refusal('OTP_LOCKED', { retryAfterSeconds: waitSeconds }) : new Refusal('OTP_INVALID')
  }

  const spent = await spendAttempt(db, asking)
  if (!spent.alive) throw gone(deps, asking)
  if (!spent.hasDevices) throw new Refusal('OTP_NOT_SET_UP')
  if (spent.lockedSeconds > 0) {
    lock(deps, asking, spent.lockedSeconds)
    count('locked')
    throw new Refusal('OTP_LOCKED', { retryAfterSeconds: spent.lockedSeconds })
  }

  const { match, used } = judge(deps, asking, code, spent)
  const newSessionId = nextSessionId(deps, asking)
  const committed = match === null
    ? null
    : match.pending
      ? await commitConfirmed(db, asking, match, newSessionId, settings)
      : await commitVerified(db, asking, match, spent.version, newSessionId, settings)
  if (committed !== null) {
    judgedCodes.add(userId, committed.standing.sessionId, code)
    freed(deps, userId)
    count('accepted')
    const reason = match?.pending === true ? 'enabled' : 'verified'
    return { session: announce(deps, asking, committed, reason), reason }
  }

  count(used || match !== null ? 'replayed' : 'refused')
  await noteRefused(deps, asking, spent)
  judgedCodes.add(userId, sessionId, code)
  throw new Refusal('OTP_INVALID')
}

/** Every device is tried, and every step of the window of each, so that the time does not tell which one matched. */
function judge ({ seal, settings: { window } }: OtpDeps, { standing: { userId } }: Asking, code: string, { devices, nowSeconds }: SpentAttempt) {
  let match: { deviceId: string, step: number, resealed: string | null, pending: boolean } | null = null
  let used = false
  for (const device of devices) {
    const place = devicePlace(userId, device)
    const { plain, stale } = seal.open(device.secret, place)
    const check = checkTotp(plain, code, nowSeconds, { ...device, window })
    if (check.accepted) {
      match ??= { deviceId: device.id, step: check.step, resealed: stale ? seal.seal(plain, place) : null, pending: device.pending }
    } else {
      used ||= check.used
    }
  }
  return { match, used }
}

export function devicePlace (userId: string, { id }: Pick<JudgedDevice, 'id'>) {
  return { table: 'otp_device', row: id, userId }
}

/** What became of a code, for counting. */
type Outcome = 'accepted' | 'refused' | 'replayed' | 'repeated' | 'locked' | 'malformed'
