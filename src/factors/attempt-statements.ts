import { sql } from 'kysely'
import { FIRST_LOCK_SECONDS, FREE_FAILURES, LONGEST_LOCK_SECONDS, PENDING_FAILURES, SESSION_FAILURES } from './lockout.js'
import type { Requester } from '../core/session.js'
import type { TotpAlgorithm } from '../core/totp/otplib.js'
import { byRequester, requesterValues, withEvent, type RequesterValues } from '../events/insert.js'
import { endingSession, withEnded } from '../sessions/ending.js'
import { isAlive, selectLiving, type SessionKey } from '../sessions/statements.js'
import { isStopped, readLockSeconds, secondsOfLock, withOneMore } from './lockout-statements.js'
import type { Db } from '../tables/db.js'
import { statement, type Parameters } from '../tables/statement.js'
import { asOne, now, textOf, typed, withNow, type Now } from '../tables/values.js'

export interface JudgedDevice {
  id: string
  name: string
  secret: string
  /** Second reading of an imported secret, sealed; null if there is none. */
  otherSecret: string | null
  algorithm: TotpAlgorithm
  digits: number
  periodSeconds: number
  t0Seconds: number
  lastStep: number
  pending: boolean
}

/** Result of a consumed attempt, with the data to judge it, all of one moment by one clock. */
export interface ConsumedAttempt {
  nowSeconds: number
  /** The same in whole microseconds, by which the attempt can be given back. */
  consumedAtMicros: string
  /** False if the requester's session had ended. */
  alive: boolean
  verified: boolean
  version: number
  /** Devices to compare the code with; empty if the budget is used up, and for a recovery code. */
  devices: JudgedDevice[]
  /** True if the user has a device that a code could be for. */
  hasDevices: boolean
  /** True if the budget of the user, or of the verified session, had an attempt left. That of a pending device does not count. */
  isPaid: boolean
  /** Attempts consumed since the last accepted code, this one included; 0 if this one was refused for lack of budget. */
  failures: number
  /** True if this attempt, if its code is wrong, is the last one in the user's budget. */
  isLast: boolean
  /** Seconds to wait if the user's budget is used up, else 0; `NEVER_SECONDS` if no wait helps. */
  lockedSeconds: number
}

/** Row of the statement: null for a lock that is newer than its snapshot. */
type Consumed = Omit<ConsumedAttempt, 'lockedSeconds'> & { lockedSeconds: number | null }

/** Codes that consume attempts: digits of an app, and recovery codes that can be guessed. */
type Guessed = 'totp' | 'recovery'

/** Values of the row of `consumeAttempt`, in the order of their SQL. */
const attemptValues = [
  'nowSeconds', 'consumedAtMicros', 'alive', 'verified', 'version', 'hasDevices', 'isPaid', 'failures', 'isLast', 'lockedSeconds$number',
  'devices'
]

/** A recovery code takes the place of a confirmed device of any kind, and is compared with none. */
const consuming = (of: Guessed) => statement(of === 'totp' ? 'consume_attempt' : 'consume_recovery_attempt', (
  db, p: Parameters<SessionKey>, { table }
) => {
  const requester = db.selectFrom(['otp_session as s', sql.raw<Now>('now').as<'now'>(sql.ref('now'))])
    .select((eb) => ['s.id', eb('s.otp_device_id', 'is not', null).as('verified')])
    .where('s.user_id', '=', p.userId).where('s.id', '=', p.sessionId).where(isAlive)
  const isTotp = sql.lit(of === 'totp')
  const join = sql.raw(of === 'totp' ? 'join' : 'left join')
  return sql<Consumed>`
    with ${now},
    requester as (${requester}),
    device as (
      select d.id, d.name, d.failures, d.confirmed_at is null as pending,
        f.secret, case when f.other_secret_until > now.at then f.other_secret end as other_secret,
        f.algorithm, f.digits, f.period_seconds, f.t0_seconds, f.last_step
      from ${table.otp_device} d ${join} ${table.otp_totp} f on f.user_id = d.user_id and f.device_id = d.id, requester, now
      where d.user_id = ${p.userId}
        and (d.confirmed_at is not null or (${isTotp} and d.session_id = requester.id and d.expires_at > now.at))
    ),
    by_user as (
      update ${table.otp_user} u set
        failures = u.failures + 1,
        locked_until = case when u.failures + 1 >= ${FREE_FAILURES} then now.at + make_interval(secs =>
          least(${FIRST_LOCK_SECONDS} * 2.0 ^ least(u.failures + 1 - ${FREE_FAILURES}, 20), ${LONGEST_LOCK_SECONDS})) end,
        wrong_codes_at = ${withOneMore}
      from requester, now
      where u.user_id = ${p.userId} and not requester.verified
        and exists (select from device where not pending)
        and not ${isStopped} and (u.locked_until is null or u.locked_until <= now.at)
      returning u.failures, ${isStopped} as stopped
    ),
    by_session as (
      update ${table.otp_session} s set failures = s.failures + 1
      from requester
      where s.user_id = ${p.userId} and s.id = requester.id and requester.verified and s.failures < ${SESSION_FAILURES}
        and s.ended_at is null
      returning s.failures
    ),
    by_pending as (
      update ${table.otp_device} d set failures = d.failures + 1
      from device
      where d.user_id = ${p.userId} and d.id = device.id and device.pending and d.failures < ${PENDING_FAILURES}
        and d.confirmed_at is null
      returning d.id, d.failures
    ),
    judged as (
      select device.* from device
      where case when pending then id in (select id from by_pending)
        else exists (select from by_user) or exists (select from by_session) end
    )
    select ${asOne('attempt', attemptValues, sql`json_build_array(
      extract(epoch from now.at),
      (extract(epoch from now.at) * 1000000)::bigint::text,
      exists (select from requester),
      coalesce((select verified from requester), false),
      coalesce(u.version, 0),
      exists (select from device),
      exists (select from by_user) or (exists (select from by_session) and exists (select from device where not pending)),
      coalesce((select failures from by_user), (select failures from by_session), (select failures from by_pending), 0),
      coalesce((select stopped from by_user), false),
      (case
        when exists (select from by_user) or not exists (select from device where not pending) or (select verified from requester) then 0
        else ${secondsOfLock} end)::numeric::text,
      coalesce((select json_agg(json_build_object('id', id, 'name', name, 'secret', secret,
        'otherSecret', other_secret, 'algorithm', algorithm, 'digits', digits, 'periodSeconds', period_seconds,
        't0Seconds', t0_seconds, 'lastStep', last_step, 'pending', pending)) from judged where ${isTotp}), '[]'::json))`)}
    from now left join ${table.otp_user} u on u.user_id = ${p.userId}`
})
const consume = { totp: consuming('totp'), recovery: consuming('recovery') } satisfies Record<Guessed, unknown>

/**
 * Statement 1: consumes one attempt in its own transaction and returns the data to judge it. It commits before the code
 * is compared. So a hundred guesses at once consume a hundred attempts, and a later fault grants nothing.
 *
 * An unverified session consumes the user's budget, which locks. A verified session consumes its own, so that an attacker
 * with only the password cannot lock the owner out. A pending device has its own budget too; in a verified session both
 * are consumed, since the code is compared with both. A recovery code is compared with no device: it needs one of any kind.
 */
export async function consumeAttempt (
  db: Db, { context: { userId, sessionId } }: Requester, of: Guessed = 'totp'
): Promise<ConsumedAttempt> {
  const consumed = (await consume[of].first(db, { userId, sessionId }))!
  return { ...consumed, lockedSeconds: consumed.lockedSeconds ?? await readLockSeconds(db, userId) }
}

/** Consequences of a refused code. */
export interface RefusedAttempt { alive: boolean, sessionExhausted: boolean }

interface RefusalValues extends RequesterValues {
  /** Attempts since the last accepted code. */
  failures: number
  isLast: boolean
  paidBySession: boolean
  paidByPending: boolean
  kind: 'otp_refused' | 'recovery_refused'
}

const refuse = statement('refuse_attempt', (db, p: Parameters<RefusalValues>, facts) => {
  const spent = withEnded(withNow(db), 'now', p.userId, 'otp_session_spent', endingSession.and([
    typed(p.paidBySession, 'boolean'), endingSession('s.id', '=', p.sessionId),
    endingSession('s.otp_device_id', 'is not', null), endingSession('s.failures', '>=', endingSession.lit(SESSION_FAILURES))
  ]))
  const dropped = spent
    .with('living', (db) => selectLiving(db, p))
    .with('dropped', (db) => db.deleteFrom('otp_device as d')
      .where(typed(p.paidByPending, 'boolean')).where('d.user_id', '=', p.userId).where('d.session_id', '=', p.sessionId)
      .where('d.confirmed_at', 'is', null).where((eb) => eb('d.failures', '>=', eb.lit(PENDING_FAILURES))).returning('d.id'))
    .with('dropped_codes', (db) => db.deleteFrom('otp_recovery_code as c').using('dropped')
      .where('c.user_id', '=', p.userId).whereRef('c.pending_device_id', '=', 'dropped.id'))
  return withEvent(
    dropped, facts, (db) => db.selectFrom('now').leftJoin('otp_user as u', (join) => join.on('u.user_id', '=', p.userId)),
    (eb) => ({
      ...byRequester(p),
      kind: eb.case()
        .when(eb.exists(eb.selectFrom('ended'))).then(textOf<string>('otp_session_spent'))
        .when(eb.exists(eb.selectFrom('dropped'))).then(textOf<string>('otp_setup_spent'))
        .when(eb.and([typed(p.isLast, 'boolean'), isStopped])).then(textOf<string>('otp_stopped'))
        .when(eb.and([
          eb('u.locked_until', '>', eb.ref('now.at')), eb(typed(p.failures, 'integer'), '>=', eb.lit(FREE_FAILURES))
        ])).then(textOf<string>('otp_locked'))
        .else(textOf<string>(p.kind)).end()
    })
  ).selectFrom('now').select((eb) => [
    eb.exists(eb.selectFrom('ended')).$castTo<boolean>().as('sessionExhausted'),
    eb.exists(eb.selectFrom('living')).$castTo<boolean>().as('alive')
  ])
})

/**
 * Records that a code was refused. Statement 1 consumed the attempt; its consequences follow here: a verified session that
 * used up its budget ends, and a pending device that used up its own is deleted with its codes. An attempt that was not in
 * the budget has no consequences: it was not judged, so it must not end a session that an earlier one is about to verify.
 *
 * @param kind kind of the event, if there are no such consequences
 */
export async function refuseAttempt (
  db: Db,
  requester: Requester,
  { failures, verified, devices, isLast, isPaid }: ConsumedAttempt,
  kind: 'otp_refused' | 'recovery_refused' = 'otp_refused'
): Promise<RefusedAttempt> {
  const paidBySession = verified && isPaid
  const paidByPending = devices.some(({ pending }) => pending)
  return (await refuse.first(db, { ...requesterValues(requester), failures, isLast, paidBySession, paidByPending, kind }))!
}
