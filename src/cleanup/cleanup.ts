import { sql, type RawBuilder } from 'kysely'
import { KNOWN_NETWORK_DAYS } from '../budgets/known-networks.js'
import { otpDefaults } from '../core/defaults.js'
import { keptDigests } from '../sessions/ended-ids.js'
import { row, type Db } from '../tables/db.js'
import { inTransaction, type Tx } from '../tables/transaction.js'
import { timeAs, timeOf } from '../tables/values.js'

/** Rows taken away at once: few enough that nobody waits for them. */
const BATCH_ROWS = 500
/** How long an ended session is kept: for its owner's list, and well past any cached copy of it. */
const ENDED_SESSION_DAYS = 7
/** The longest window of a budget is an hour. */
const BUDGET_HOURS = 2
/** A counter of events is of use for an hour. */
const COUNTER_HOURS = 2

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** One batch of each kind of row that is of no use any more, by name. An index serves each condition. */
function batches (tx: Tx, now: Date, eventsDays: number, endedSessionDays: number): Record<string, RawBuilder<unknown>> {
  const { table, hasAccounts } = tx
  const batch = (from: RawBuilder<unknown>, key: RawBuilder<unknown>, useless: RawBuilder<unknown>) => sql`
    delete from ${from} where (${key}) in (select ${key} from ${from} where ${useless} limit ${BATCH_ROWS} for update skip locked)`
  /** As a value: a clock that may be another at each row is looked up in no index, and the planner could not tell that little is that old. */
  const ago = (ms: number) => sql`${timeOf(now.getTime() - ms)}`
  /** A host dated its proof ahead of the clock. Without the row it would be seen for the first time again. */
  const isAwaited = sql`coalesce(ended_at is null and auth_claimed_at > ${ago(0)} and expires_at > ${ago(endedSessionDays * DAY_MS)}, false)`
  /** At a host the id of a forgotten user may be another user's by now. */
  const isUnused = sql`not exists (select from ${table.otp_device} d where d.user_id = u.user_id)
    and not exists (select from ${table.otp_session} s where s.user_id = u.user_id and s.ended_at is null)`
  return {
    // Of a deleted account a request that came too late may have left the lock's row, and the outbox events that are told by now.
    sessions: sql`
      with gone as (
        ${batch(table.otp_session, sql`user_id, id`, sql`coalesce(ended_at, expires_at) < ${ago(ENDED_SESSION_DAYS * DAY_MS)} and not ${isAwaited}`)}
        returning user_id, id, ended_at, end_reason
      ),
      ${hasAccounts ? sql`` : sql`digests as (${keptDigests(tx, sql`gone`)}),`}
      locks as (
        delete from ${table.otp_user} u using gone
        where u.user_id = gone.user_id and (gone.end_reason = 'account_deleted' or (gone.end_reason = 'forgotten' and ${isUnused}))
      ),
      told as (
        delete from ${table.otp_event} e using gone
        where e.user_id = gone.user_id and e.kind <> 'account_deleted' and e.notify_after is null
          and (gone.end_reason = 'account_deleted' or (gone.end_reason = 'forgotten' and e.session_id = gone.id))
      ),
      counters as (
        delete from ${table.otp_event_counter} c using gone
        where c.user_id = gone.user_id
          and (gone.end_reason = 'account_deleted' or (gone.end_reason = 'forgotten' and c.since < ${ago(COUNTER_HOURS * HOUR_MS)}))
      )
      select user_id from gone`,
    // A pending device takes its recovery codes along. A replica of an older version confirms one without clearing its seed.
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
    // A counter goes with the events that it numbered.
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
          networks: batch(table.account_network, sql`user_id, network`, sql`last_login_at < ${ago(KNOWN_NETWORK_DAYS * DAY_MS)}`)
        }
      : {
          ended: batch(table.otp_ended_session, sql`user_id, digest`, sql`ended_at < ${ago(endedSessionDays * DAY_MS)}`),
          budgets: batch(table.otp_password_budget, sql`user_id, network`, sql`window_started_at < ${ago(BUDGET_HOURS * HOUR_MS)}`)
        })
  }
}

export interface Swept {
  rowsByKind: Record<string, number>
  /** Whether a batch was full: there may be more. */
  isMore: boolean
}

/** Takes away what is of no use any more, a batch of each kind. Null if another replica is doing so right now. */
export async function sweep (db: Db, eventsDays: number, endedSessionDays: number = otpDefaults.endedSessionDays): Promise<Swept | null> {
  return await inTransaction(db, async (tx) => {
    const broom = await row<{ isMine: boolean, now: Date }>(tx, sql`select pg_try_advisory_xact_lock(hashtext('countersign sweep')) as "isMine", ${timeAs(sql`clock_timestamp()`, 'now')}`)
    if (!broom!.isMine) return null
    const rowsByKind: Record<string, number> = {}
    for (const [kind, statement] of Object.entries(batches(tx, broom!.now, eventsDays, endedSessionDays))) {
      const { numAffectedRows, rows } = await statement.execute(tx.kysely)
      rowsByKind[kind] = Number(numAffectedRows ?? rows.length)
    }
    return { rowsByKind, isMore: Object.values(rowsByKind).includes(BATCH_ROWS) }
  })
}
