import { Refusal } from '../../core/refusals.js'
import type { Requester, AnsweredSession } from '../../core/session.js'
import { checkTotp, nextStepSeconds, normaliseTotp } from '../../core/totp/totp.js'
import { FREE_FAILURES } from '../lockout.js'
import { consumeAttempt, type JudgedDevice, type ConsumedAttempt } from '../attempt-statements.js'
import { commitVerified, confirmTotp, isUsed } from './kind.js'
import { REMEMBER_SECONDS } from './rejected-codes.js'
import { returnAttempt } from '../lockout-statements.js'
import { released, lock, noteRefused, otpInvalid, otpLocked } from '../attempts.js'
import { announce, nextSessionId, type OtpDeps } from '../deps.js'
import { sessionEnded } from '../../sessions/session-ended.js'

/**
 * Judges one code: confirms this session's pending device, or verifies with a confirmed one. Returns the resulting session
 * and the reason. A fault after the first statement costs one attempt and grants nothing.
 *
 * @throws {Refusal}
 */
export async function verifyTotp (
  deps: OtpDeps,
  requester: Requester,
  text: string
): Promise<{ session: AnsweredSession, reason: 'enabled' | 'verified' }> {
  const { db, settings, sessions, rejectedCodes, locks, counters } = deps
  const { userId, sessionId, otpDeviceId } = requester.context
  const code = normaliseTotp(text)
  const count = (outcome: Outcome) => counters.count('codes_total', ['totp', outcome])
  if (code === null) {
    count('malformed')
    throw otpInvalid(deps)
  }
  const knownLock = otpDeviceId === null ? locks.waitSeconds(userId) : 0
  if (knownLock > 0) {
    count('locked')
    throw otpLocked(knownLock)
  }
  const judged = await rejectedCodes.find({ userId, sessionId, code }, sessions.nowSeconds())
  if (judged !== undefined) {
    count('repeated')
    const waitSeconds = otpDeviceId === null ? Math.ceil(judged.lockedUntil - sessions.nowSeconds()) : 0
    throw waitSeconds > 0 ? otpLocked(waitSeconds) : otpInvalid(deps)
  }

  const attempt = await consumeAttempt(db, requester)
  if (!attempt.alive) throw sessionEnded(deps, requester)
  if (!attempt.hasDevices) throw new Refusal('OTP_NOT_SET_UP')
  if (attempt.lockedSeconds > 0) {
    lock(deps, requester, attempt.lockedSeconds)
    count('locked')
    throw otpLocked(attempt.lockedSeconds)
  }

  const { match, used, compared } = judge(deps, requester, code, attempt)
  await returnUnjudged(deps, requester, attempt, compared)
  const newSessionId = nextSessionId(deps, requester)
  const committed = match === null
    ? null
    : match.pending
      ? await confirmTotp(db, requester, match, newSessionId, settings)
      : await commitVerified(db, requester, { ...match, version: attempt.version }, newSessionId, settings)
  if (committed !== null) {
    rejectedCodes.add({ userId, sessionId: committed.context.sessionId, code }, attempt.nowSeconds + REMEMBER_SECONDS)
    // Redis has no lock of a user before so many wrong codes.
    if (attempt.failures >= FREE_FAILURES || match?.pending === true) released(deps, userId)
    else locks.released(userId)
    count('accepted')
    const reason = match?.pending === true ? 'enabled' : 'verified'
    return { session: announce(deps, requester, committed, reason), reason }
  }

  const isReplayed = used || (match !== null && await isUsed(db, userId, match))
  count(isReplayed ? 'replayed' : 'refused')
  await noteRefused(deps, requester, attempt)
  // A right code that met a change of the user's factors is not used: it may be accepted when it comes again.
  if (match === null || isReplayed) rejectedCodes.add({ userId, sessionId, code }, judgedAgainAt(compared, attempt))
  throw otpInvalid(deps)
}

/**
 * Returns the Unix time from which a refused code is judged again: the next step of a device. The code of a phone whose clock is
 * ahead is right from then on. A wrong or used code is treated alike, so that a repetition does not tell which one it was.
 */
function judgedAgainAt (compared: readonly JudgedDevice[], { nowSeconds }: ConsumedAttempt): number {
  return Math.min(nowSeconds + REMEMBER_SECONDS, ...compared.map((device) => nextStepSeconds(device, nowSeconds)))
}

/**
 * Compares the code with every device and every step of its window, so that the time does not tell which one matched. A
 * device whose secret cannot be read is skipped, so that the user's other devices still work.
 */
export function judge (
  { seal, unreadable, settings }: OtpDeps,
  { context: { userId } }: Requester,
  code: string,
  { devices, nowSeconds }: ConsumedAttempt
) {
  let match: { deviceId: string, step: number, resealed: string | null, pending: boolean } | null = null
  let used = false
  const compared: JudgedDevice[] = []
  for (const device of devices) {
    const place = devicePlace(userId, device)
    try {
      const { plain, stale } = seal.open(device.secret, place)
      requireSound(device)
      // Both readings of an imported secret are compared, also after a match.
      const other = device.otherSecret === null ? null : seal.open(device.otherSecret, otherPlace(userId, device)).plain
      const checks = [plain, ...(other === null ? [] : [other])].map((key) => ({
        key, ...checkTotp(key, code, nowSeconds, { ...device, window: settings.window })
      }))
      compared.push(device)
      for (const check of checks) {
        if (check.accepted) {
          const resealed = stale || check.key === other ? seal.seal(check.key, place) : null
          match ??= { deviceId: device.id, step: check.step, resealed, pending: device.pending }
        } else {
          used ||= check.used
        }
      }
    } catch (error) {
      unreadable(place.table, device.id, error)
    }
  }
  return { match, used, compared }
}

/** @throws {RangeError} if no step can be computed from the row */
function requireSound ({ digits, periodSeconds, t0Seconds, lastStep }: JudgedDevice): void {
  const areWhole = [digits, periodSeconds, t0Seconds, lastStep].every(Number.isSafeInteger)
  if (!areWhole || digits < 6 || digits > 8 || periodSeconds < 1) throw new RangeError('The parameters of the device are out of range')
}

/**
 * Gives back the attempt of a budget if none of the devices that it was consumed for could be read: a fault of the service,
 * and nothing was learnt. If one was read, the code was judged with it, and the attempt stays consumed.
 *
 * @throws {Refusal} INTERNAL_ERROR if the code was compared with nothing
 */
async function returnUnjudged (
  deps: OtpDeps,
  requester: Requester,
  attempt: ConsumedAttempt,
  compared: readonly JudgedDevice[]
): Promise<void> {
  const { devices, consumedAtMicros, verified } = attempt
  const has = (among: readonly JudgedDevice[], pending: boolean) => among.some((device) => device.pending === pending)
  const isUnjudged = (pending: boolean) => has(devices, pending) && !has(compared, pending)
  const unjudged = { consumedAtMicros, verified, confirmed: isUnjudged(false), pending: isUnjudged(true) }
  if (!unjudged.confirmed && !unjudged.pending) return
  await returnAttempt(deps.db, requester, unjudged)
  if (unjudged.confirmed && !verified) released(deps, requester.context.userId)
  if (compared.length > 0) return
  deps.counters.count('codes_total', ['totp', 'unjudged'])
  throw new Refusal('INTERNAL_ERROR', { hint: { key: 'codeUnjudged' } })
}

export function devicePlace (userId: string, { id }: Pick<JudgedDevice, 'id'>) {
  return { table: 'otp_device', row: id, userId }
}

/** Place that the second reading of an imported secret is sealed to. */
export function otherPlace (userId: string, { id }: Pick<JudgedDevice, 'id'>) {
  return { table: 'otp_totp_other', row: id, userId }
}

/** Place that the seed of a pending device is sealed to: not that of its secret, so that neither is taken for the other. */
export function seedPlace (userId: string, { id }: Pick<JudgedDevice, 'id'>) {
  return { table: 'otp_device_seed', row: id, userId }
}

/** Outcome of a code, for the counters. */
type Outcome = 'accepted' | 'refused' | 'replayed' | 'repeated' | 'locked' | 'malformed'
