import { sql, type ExpressionBuilder } from 'kysely'
import { HARD_STOP_FAILURES, NEVER_SECONDS, SLOW_STOP_DAYS, SLOW_STOP_FAILURES } from './lockout.js'
import type { Requester } from '../core/session.js'
import { row, type Db, type Tables } from '../tables/db.js'
import { statement, type Parameters } from '../tables/statement.js'
import { now, numberAs } from '../tables/values.js'

/** Values of `otp_user` that clear every count of wrong codes; so they end the lock and the stop. */
export const clearedCounts = { failures: 0, locked_until: null, wrong_codes_at: [] }

/** Values that end a lock, and the count of wrong codes in a row. Those of other attempts stay in the slow count. */
export const releasedLock = { failures: 0, locked_until: null }

/**
 * Values of `otp_user u` after an accepted code: a lock ends, wrong codes of other attempts stay in the slow count. Attempts
 * differ only by their time, so the newest one is removed for the accepted one.
 */
export const acceptedCode = (eb: ExpressionBuilder<{ u: Tables['otp_user'] }, 'u'>) => ({
  ...releasedLock,
  wrong_codes_at: eb.fn<Date[]>('trim_array', [
    'u.wrong_codes_at', eb.fn<number>('least', [eb.lit(1), eb.fn<number>('cardinality', ['u.wrong_codes_at'])])
  ])
})

/** Times in the slow count of `otp_user u` that still count; beside `now`. */
const counted = sql`
  array(select w.at from unnest(u.wrong_codes_at) w (at) where w.at > now.at - make_interval(days => ${SLOW_STOP_DAYS}))`

/** Slow count of `otp_user u` with one more attempt; beside `now`. */
export const withOneMore = sql`${counted} || now.at`

/** Condition: no code of an app is accepted for `otp_user u`, and no wait helps; beside `now`. */
export const isStopped = sql<boolean>`(u.failures >= ${HARD_STOP_FAILURES} or cardinality(${counted}) >= ${SLOW_STOP_FAILURES})`

/** Seconds until `otp_user u` has an attempt again, `NEVER_SECONDS` if no wait helps, null if the row has no lock; beside `now`. */
export const secondsOfLock = sql<number | null>`case when ${isStopped} then ${NEVER_SECONDS}::float8
  when u.locked_until > now.at then ceil(extract(epoch from u.locked_until - now.at)) end`

const readLock = statement('read_lock', (_db, p: Parameters<{ userId: string }>, { table }) => sql<{ seconds: number | null }>`
  with ${now} select ${numberAs(secondsOfLock, 'seconds')} from ${table.otp_user} u, now where u.user_id = ${p.userId}`)

/**
 * Returns the seconds of the lock that a concurrent attempt has just set. The statement that was refused by it cannot tell: its
 * snapshot is older than the lock.
 *
 * @returns 1 if the lock has ended meanwhile: the attempt was not judged, and may be repeated
 */
export async function readLockSeconds (db: Db, userId: string): Promise<number> {
  return (await readLock.first(db, { userId }))?.seconds ?? 1
}

/** Budgets that an attempt was consumed from although no code was judged. */
export interface Unjudged {
  /** Time of the attempt, which identifies it in the user's counts. */
  consumedAtMicros: string
  verified: boolean
  confirmed: boolean
  pending: boolean
}

/**
 * Gives an attempt back whose code was compared with nothing, since no secret could be opened: a fault of the service. If
 * one secret was compared, the attempt stays consumed. The count of wrong codes in a row includes the attempt only if it is
 * among the newest of the slow count: if the owner logged in meanwhile, that count is not reduced.
 */
export async function returnAttempt (db: Db, { context: { userId, sessionId } }: Requester, unjudged: Unjudged): Promise<void> {
  const { table } = db
  const { consumedAtMicros, verified, confirmed, pending } = unjudged
  const place = sql`array_position(u.wrong_codes_at, timestamptz 'epoch' + ${consumedAtMicros}::bigint * interval '1 microsecond')`
  const isInRow = sql`u.failures > 0 and ${place} > cardinality(u.wrong_codes_at) - u.failures`
  await row(db, sql`
    with by_user as (
      update ${table.otp_user} u set wrong_codes_at = u.wrong_codes_at[:${place} - 1] || u.wrong_codes_at[${place} + 1:],
        failures = case when ${isInRow} then u.failures - 1 else u.failures end,
        locked_until = case when ${isInRow} then null else u.locked_until end
      where ${confirmed && !verified} and u.user_id = ${userId} and ${place} is not null
    ),
    by_session as (
      update ${table.otp_session} s set failures = s.failures - 1
      where ${confirmed && verified} and s.user_id = ${userId} and s.id = ${sessionId} and s.failures > 0
    ),
    by_pending as (
      update ${table.otp_device} d set failures = d.failures - 1
      where ${pending} and d.user_id = ${userId} and d.session_id = ${sessionId} and d.confirmed_at is null and d.failures > 0
    )
    select`)
}
