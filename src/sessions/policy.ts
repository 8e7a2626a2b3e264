import { sql, type RawBuilder } from 'kysely'
import { row, type Db } from '../tables/db.js'
import { inTransaction } from '../tables/transaction.js'

/** Names of rows in `account_policy`: the policy in force, and the policy that all living sessions follow. */
const POLICY = 'otp_policy'
const GRACE = 'otp_grace_days'
const COVERED = 'otp_covered'

/** Sessions updated in one statement: few enough that no request waits for them. */
const PAGE_SESSIONS = 500

export interface Policy {
  policy: 'optional' | 'required' | 'staff'
  graceDays: number
}

const spelled = ({ policy, graceDays }: Policy) => `${policy} ${graceDays}`

/**
 * Time from which a session without a device opens only the set-up of one, as an expression over a row of `account`; null
 * if the policy does not apply to the account. The grace starts at the sign-up or when the policy was switched on, the later
 * one. The policy in PostgreSQL counts, so that all replicas agree, also during a rolling update.
 */
export const deadlineOf = ({ table }: Db, account: RawBuilder<unknown>) => sql`(
  select greatest(${account}.created_at, p.since) + make_interval(secs => g.value::int * 86400)
  from ${table.account_policy} p, ${table.account_policy} g
  where p.name = ${POLICY} and g.name = ${GRACE} and (p.value = 'required' or (p.value = 'staff' and ${account}.is_staff))
)`

/** The same by user id, for a statement without `account`; null where the users are a host's, which has no policy here. */
export const deadlineFor = (db: Db, userId: RawBuilder<unknown>) => db.hasAccounts
  ? sql`(select ${deadlineOf(db, sql`a`)} from ${db.table.account} a where a.id = ${userId}::uuid)`
  : sql`null::timestamptz`

/**
 * Puts a policy in force, if it is not yet. `since` is when the policy was switched, not when the grace was.
 *
 * @returns true if living sessions may still follow another policy and must be updated
 */
export async function putPolicy (db: Db, wanted: Policy): Promise<boolean> {
  return await inTransaction(db, async (tx) => {
    const { table } = tx
    /** Undefined if the value did not change. Of replicas that start at once, one writes it. */
    const put = async (name: string, value: string) => await row<{ isFirst: boolean }>(tx, sql`
      insert into ${table.account_policy} as p (name, value, since) values (${name}, ${value}, clock_timestamp())
      on conflict (name) do update set value = excluded.value, since = excluded.since where p.value <> excluded.value
      returning xmax = 0 as "isFirst"`)
    const changes = [await put(POLICY, wanted.policy), await put(GRACE, String(wanted.graceDays))]
    if (changes.some((change) => change !== undefined)) {
      await row(tx, sql`delete from ${table.account_policy} where name = ${COVERED}`)
    }
    // Before the first policy no session has a deadline, as 'optional' demands.
    if (changes[0]?.isFirst === true && wanted.policy === 'optional') await put(COVERED, spelled(wanted))
    const covered = await row(tx, sql`
      select name from ${table.account_policy} where name = ${COVERED} and value = ${spelled(wanted)}`)
    return covered === undefined
  })
}

/** Key after which the next page begins. */
export interface Place { userId: string, sessionId: string }

/**
 * Sets the deadline of living sessions without a device, one page of them, in the order of their key. A session that may
 * only set up a device after a reset by staff stays so.
 *
 * @returns the place to continue from; null after the last page
 */
export async function coverSessions (db: Db, from: Place | null): Promise<Place | null> {
  const { table } = db
  const last = await row<Place & { count: number }>(db, sql`
    with page as materialized (
      select s.user_id, s.id from ${table.otp_session} s
      where (s.user_id, s.id) > (${from?.userId ?? ''}, ${from?.sessionId ?? ''})
      order by s.user_id, s.id limit ${PAGE_SESSIONS}
    ),
    covered as (
      update ${table.otp_session} s set otp_deadline = ${deadlineOf(db, sql`a`)}
      from page, ${table.account} a, ${table.otp_user} u
      where s.user_id = page.user_id and s.id = page.id and u.user_id = page.user_id and a.id = page.user_id::uuid
        and s.ended_at is null and s.expires_at > clock_timestamp()
        and s.otp_device_id is null and not s.otp_required and not u.setup_required
        and s.otp_deadline is distinct from ${deadlineOf(db, sql`a`)}
    )
    select user_id as "userId", id as "sessionId", (select count(*) from page)::int as count
    from page order by user_id desc, id desc limit 1`)
  return last === undefined || last.count < PAGE_SESSIONS ? null : { userId: last.userId, sessionId: last.sessionId }
}

/** Records that every living session follows this policy, if the policy is still in force. */
export async function noteCovered (db: Db, policy: Policy): Promise<void> {
  const { table } = db
  await row(db, sql`
    insert into ${table.account_policy} as c (name, value, since)
    select ${COVERED}, ${spelled(policy)}, clock_timestamp() from ${table.account_policy} p, ${table.account_policy} g
    where p.name = ${POLICY} and p.value = ${policy.policy} and g.name = ${GRACE} and g.value = ${String(policy.graceDays)}
    on conflict (name) do update set value = excluded.value, since = excluded.since`)
}
