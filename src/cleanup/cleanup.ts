import { sql, type RawBuilder } from 'kysely'
import { resumePasswordLinks } from '../accounts/mail/password-links.js'
import { KNOWN_NETWORK_DAYS } from '../budgets/known-networks.js'
import { otpDefaults } from '../core/defaults.js'
import { isUndelivered } from '../events/outbox.js'
import { keptDigests } from '../sessions/ended-ids.js'
import { row, type Db } from '../tables/db.js'
import { inTransaction, type Tx } from '../tables/transaction.js'
import { timeAs, timeOf } from '../tables/values.js'

/** Rows deleted at once: few enough that other statements do not wait for them. */
const BATCH_ROWS = 500
/** An ended session is kept for so long: for the list of its owner, and well past any cache entry. */
const ENDED_SESSION_DAYS = 7
/** The longest window of a budget is an hour. */
const BUDGET_HOURS = 2
/** A counter of events is used for an hour. */
const COUNTER_HOURS = 2

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** Returns one statement for each kind of useless rows, by the name of the kind. An index serves each condition. */
function batches (tx: Tx, now: Date, eventsDays: number, endedSessionDays: number): Record<string, RawBuilder<unknown>> {
  const { table, hasAccounts } = tx
  const batch = (from: RawBuilder<unknown>, key: RawBuilder<unknown>, useless: RawBuilder<unknown>) => sql`
    delete from ${from} where (${key}) in (select ${key} from ${from} where ${useless} limit ${BATCH_ROWS} for update skip locked)`
  /** A constant: with a volatile clock the condition would use no index, and the planner could not estimate that few rows match. */
  const ago = (ms: number) => sql`${timeOf(now.getTime() - ms)}`
  /** A host dated the proof of this session in the future. Without the row, the proof would count as new again. */
  const isAwaited = sql`coalesce(
    ended_at is null and auth_claimed_at > ${ago(0)} and expires_at > ${ago(endedSessionDays * DAY_MS)}, false)`
  /** At a host, the id of a forgotten user may belong to another user by now. */
  const isUnused = sql`not exists (select from ${table.otp_device} d where d.user_id = u.user_id)
    and not exists (select from ${table.otp_session} s where s.user_id = u.user_id and s.ended_at is null)`
  return {
    // For a deleted account, a late request may have left the row of the lock, and the outbox may have left events delivered since.
    sessions: sql`
      with gone as (
        ${batch(table.otp_session, sql`user_id, id`,
          sql`coalesce(ended_at, expires_at) < ${ago(ENDED_SESSION_DAYS * DAY_MS)} and not ${isAwaited}`)}
        returning user_id, id, ended_at, end_reason
      ),
      ${hasAccounts ? sql`` : sql`digests as (${keptDigests(tx, sql`gone`)}),`}
      challenges as (delete from ${table.otp_challenge} c using gone where c.user_id = gone.user_id and c.session_id = gone.id),
      locks as (
        delete from ${table.otp_user} u using gone
        where u.user_id = gone.user_id and (gone.end_reason = 'account_deleted' or (gone.end_reason = 'forgotten' and ${isUnused}))
      ),
      told as (
        delete from ${table.otp_event} e using gone
        where e.user_id = gone.user_id and e.kind <> 'account_deleted' and not ${isUndelivered(tx, sql`e`)}
          and (gone.end_reason = 'account_deleted' or (gone.end_reason = 'forgotten' and e.session_id = gone.id))
      ),
      counters as (
        delete from ${table.otp_event_counter} c using gone
        where c.user_id = gone.user_id
          and (gone.end_reason = 'account_deleted' or (gone.end_reason = 'forgotten' and c.since < ${ago(COUNTER_HOURS * HOUR_MS)}))
      )
      select user_id from gone`,
    // Deletes a pending device with its recovery codes. A replica of an older version confirms a device without clearing its seed.
    devices: sql`
      with gone as (
        ${batch(table.otp_device, sql`user_id, id`, sql`confirmed_at is null and expires_at < ${ago(0)}`)} returning user_id, id
      ),
      codes as (delete from ${table.otp_recovery_code} c using gone where c.user_id = gone.user_id and c.pending_device_id = gone.id),
      seeds as (
        update ${table.otp_device} set seed = null where (user_id, id) in (
          select user_id, id from ${table.otp_device} where seed is not null and confirmed_at is not null
          limit ${BATCH_ROWS} for update skip locked
        )
      )
      select user_id from gone`,
    // Deletes a counter together with the events that it numbered.
    events: sql`
      with gone as (
        ${batch(table.otp_event, sql`user_id, at, id`, sql`at < ${ago(eventsDays * DAY_MS)}`)} returning user_id, kind
      ),
      counters as (
        delete from ${table.otp_event_counter} c using gone
        where c.user_id = gone.user_id and c.kind = gone.kind and c.since < ${ago(COUNTER_HOURS * HOUR_MS)}
      )
      select user_id from gone`,
    ...(hasAccounts
      ? {
          budgets: batch(table.password_budget, sql`name_digest, network`, sql`window_started_at < ${ago(BUDGET_HOURS * HOUR_MS)}`),
          links: batch(table.account_link, sql`user_id, purpose, slot`, sql`expires_at < ${ago(0)}`),
          mailBudgets: batch(table.account_mail_budget, sql`name_digest`, sql`window_started_at < ${ago(DAY_MS)}`),
          networks: batch(table.account_network, sql`user_id, network`, sql`last_login_at < ${ago(KNOWN_NETWORK_DAYS * DAY_MS)}`)
        }
      : {
          ended: batch(table.otp_ended_session, sql`user_id, digest`, sql`ended_at < ${ago(endedSessionDays * DAY_MS)}`),
          budgets: batch(table.otp_password_budget, sql`user_id, network`, sql`window_started_at < ${ago(BUDGET_HOURS * HOUR_MS)}`)
        })
  }
}

export interface CleanedRows {
  rowsByKind: Record<string, number>
  /** True if a batch was full: there may be more rows. */
  isMore: boolean
}

/** Cleanup: deletes useless rows, one batch of each kind. Returns null if another replica runs it at this moment. */
export async function cleanUp (
  db: Db,
  eventsDays: number,
  endedSessionDays: number = otpDefaults.endedSessionDays
): Promise<CleanedRows | null> {
  return await inTransaction(db, async (tx) => {
    const lock = await row<{ isMine: boolean, now: Date }>(tx, sql`
      select pg_try_advisory_xact_lock(hashtext('countersign sweep')) as "isMine", ${timeAs(sql`clock_timestamp()`, 'now')}`)
    if (!lock!.isMine) return null
    if (tx.hasAccounts) await resumePasswordLinks(tx)
    const rowsByKind: Record<string, number> = {}
    for (const [kind, statement] of Object.entries(batches(tx, lock!.now, eventsDays, endedSessionDays))) {
      const { numAffectedRows, rows } = await statement.execute(tx.kysely)
      rowsByKind[kind] = Number(numAffectedRows ?? rows.length)
    }
    return { rowsByKind, isMore: Object.values(rowsByKind).includes(BATCH_ROWS) }
  })
}
