import { sql, type RawBuilder } from 'kysely'
import { row, type Db } from '../tables/db.js'
import { inTransaction } from '../tables/transaction.js'

/** Rows of `account_policy`: what is in force, and what the living sessions are known to go by. */
const POLICY = 'otp_policy'
const GRACE = 'otp_grace_days'
const COVERED = 'otp_covered'

/** Sessions looked at in one statement: few enough that nobody waits for them. */
const PAGE_SESSIONS = 500

export interface Policy {
  policy: 'optional' | 'required' | 'staff'
  graceDays: number
}

const spelled = ({ policy, graceDays }: Policy) => `${policy} ${graceDays}`

/**
 * From when on a session without a device opens only what sets one up, as an expression over a row of `account`; null
 * for whom the policy leaves free. The grace runs from the sign-up or from when the policy was switched on, whichever
 * was later. It is what Postgres has that counts, so that all replicas agree, also while they are being replaced.
 */
export const deadlineOf = ({ table }: Db, account: RawBuilder<unknown>) => sql`(
  select greatest(${account}.created_at, p.since) + make_interval(secs => g.value::int * 86400)
  from ${table.account_policy} p, ${table.account_policy} g
  where p.name = ${POLICY} and g.name = ${GRACE} and (p.value = 'required' or (p.value = 'staff' and ${account}.is_staff))
)`

/** The same by a user's id, for a statement that has no `account`; null where the users are a host's, who has no policy of ours. */
export const deadlineFor = (db: Db, userId: RawBuilder<unknown>) => db.hasAccounts
  ? sql`(select ${deadlineOf(db, sql`a`)} from ${db.table.account} a where a.id = ${userId}::uuid)`
  : sql`null::timestamptz`

/**
 * Puts a policy in force, if it is not yet. `since` is when the policy was switched, not when the grace was.
 *
 * @returns whether living sessions may still go by another one, and must be covered
 */
export async function putPolicy (db: Db, wanted: Policy): Promise<boolean> {
  return await inTransaction(db, async (tx) => {
    const { table } = tx
    /** Undefined if it stood there already. Of replicas that start at once, one puts it. */
    const put = async (name: string, value: string) => await row<{ isFirst: boolean }>(tx, sql`
      insert into ${table.account_policy} as p (name, value, since) values (${name}, ${value}, clock_timestamp())
      on conflict (name) do update set value = excluded.value, since = excluded.since where p.value <> excluded.value
      returning xmax = 0 as "isFirst"`)
    const changes = [await put(POLICY, wanted.policy), await put(GRACE, String(wanted.graceDays))]
    if (changes.some((change) => change !== undefined)) await row(tx, sql`delete from ${table.account_policy} where name = ${COVERED}`)
    // Before the first policy no session goes by any, which is what this one asks for.
    if (changes[0]?.isFirst === true && wanted.policy === 'optional') await put(COVERED, spelled(wanted))
    return await row(tx, sql`select name from ${table.account_policy} where name = ${COVERED} and value = ${spelled(wanted)}`) === undefined
  })
}

/** Where the next page begins. */
export interface Place { userId: string, sessionId: string }

/**
 * Fixes the deadline of living sessions without a device, one page of them, in the order of their key. A session that
 * staff's reset left with nothing but the set-up stays so.
 *
 * @returns the place to go on from; null if that was all
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
        and s.ended_at is null and s.expires_at > clock_timestamp() and s.otp_device_id is null and not s.otp_required and not u.setup_required
        and s.otp_deadline is distinct from ${deadlineOf(db, sql`a`)}
    )
    select user_id as "userId", id as "sessionId", (select count(*) from page)::int as count from page order by user_id desc, id desc limit 1`)
  return last === undefined || last.count < PAGE_SESSIONS ? null : { userId: last.userId, sessionId: last.sessionId }
}

/** Writes down that every living session goes by this policy, if it is still the one in force. */
export async function noteCovered (db: Db, policy: Policy): Promise<void> {
  const { table } = db
  await row(db, sql`
    insert into ${table.account_policy} as c (name, value, since)
    select ${COVERED}, ${spelled(policy)}, clock_timestamp() from ${table.account_policy} p, ${table.account_policy} g
    where p.name = ${POLICY} and p.value = ${policy.policy} and g.name = ${GRACE} and g.value = ${String(policy.graceDays)}
    on conflict (name) do update set value = excluded.value, since = excluded.since`)
}
