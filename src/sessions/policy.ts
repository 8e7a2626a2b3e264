import { expressionBuilder, sql, type Expression, type RawBuilder } from 'kysely'
import { row, type Db, type Tables } from '../tables/db.js'
import { statement, type Parameters } from '../tables/statement.js'
import { inTransaction } from '../tables/transaction.js'
import { clock, later, uuidOf, wasInserted } from '../tables/values.js'

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
export const deadlineOf = ({ table }: Pick<Db, 'table'>, account: RawBuilder<unknown>) => sql<Date | null>`(
  select greatest(${account}.created_at, p.since) + make_interval(secs => g.value::int * 86400)
  from ${table.account_policy} p, ${table.account_policy} g
  where p.name = ${POLICY} and g.name = ${GRACE} and (p.value = 'required' or (p.value = 'staff' and ${account}.is_staff))
)`

const deadline = expressionBuilder<Tables>()

/** The same by user id, for a statement without `account`; where the users are a host's, there is no policy. */
export const deadlineFor = (userId: string): Expression<Date | null> => deadline
  .selectFrom(['account as a', 'account_policy as p', 'account_policy as g'])
  .select((eb) => later(eb.fn<Date>('greatest', ['a.created_at', 'p.since']),
    eb(eb.cast<number>('g.value', 'integer'), '*', eb.lit(86_400))).as('deadline'))
  .where('a.id', '=', uuidOf(userId)).where('p.name', '=', POLICY).where('g.name', '=', GRACE)
  .where((eb) => eb.or([eb('p.value', '=', 'required'), eb.and([eb('p.value', '=', 'staff'), eb('a.is_staff', '=', true)])])).$asScalar()

/** Writes a row if its value changes. Of replicas that start at once, one writes it. `isFirst`: there was none before. */
const putValue = statement('put_policy_value', (db, p: Parameters<{ name: string, value: string }>) => db
  .insertInto('account_policy').values({ name: p.name, value: p.value, since: clock })
  .onConflict((oc) => oc.column('name').doUpdateSet((eb) => ({ value: eb.ref('excluded.value'), since: eb.ref('excluded.since') }))
    .where((eb) => eb('account_policy.value', '<>', eb.ref('excluded.value'))))
  .returning(wasInserted.as('isFirst')))

const deleteCovered = statement('delete_covered_policy', (db) => db.deleteFrom('account_policy').where('name', '=', COVERED))

const selectCovered = statement('is_policy_covered', (db, p: Parameters<{ value: string }>) => db
  .selectFrom('account_policy').select('name').where('name', '=', COVERED).where('value', '=', p.value))

/**
 * Puts a policy in force, if it is not yet. `since` is when the policy was switched, not when the grace was.
 *
 * @returns true if living sessions may still follow another policy and must be updated
 */
export async function putPolicy (db: Db, wanted: Policy): Promise<boolean> {
  return await inTransaction(db, async (tx) => {
    const isPolicyNew = await putValue.first(tx, { name: POLICY, value: wanted.policy })
    const isGraceNew = await putValue.first(tx, { name: GRACE, value: String(wanted.graceDays) })
    if (isPolicyNew !== undefined || isGraceNew !== undefined) await deleteCovered.changed(tx)
    // Before the first policy no session has a deadline, as 'optional' demands.
    const isWithout = isPolicyNew?.isFirst === true && wanted.policy === 'optional'
    if (isWithout) await putValue.first(tx, { name: COVERED, value: spelled(wanted) })
    return await selectCovered.first(tx, { value: spelled(wanted) }) === undefined
  })
}

/** Key after which the next page begins. */
export interface Place { userId: string, sessionId: string }

/**
 * Sets the deadline of living sessions without a device, one page of them, in the order of their key. A session that may
 * only set up a device after a reset by staff stays so. Revocation readings name the changed ones, so that no cache keeps the old
 * deadline.
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
      update ${table.otp_session} s set otp_deadline = ${deadlineOf(db, sql`a`)}, ended_xid = pg_current_xact_id()
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

const putCovered = statement('put_covered_policy', (db, p: Parameters<{ covered: string, policy: string, graceDays: string }>) => db
  .insertInto('account_policy').columns(['name', 'value', 'since'])
  .expression((eb) => eb.selectFrom(['account_policy as p', 'account_policy as g'])
    .select([
      eb.cast<string>(eb.val(COVERED), 'text').as('name'), eb.cast<string>(eb.val(p.covered), 'text').as('value'), clock.as('since')
    ])
    .where('p.name', '=', POLICY).where('p.value', '=', p.policy).where('g.name', '=', GRACE).where('g.value', '=', p.graceDays))
  .onConflict((oc) => oc.column('name').doUpdateSet((eb) => ({ value: eb.ref('excluded.value'), since: eb.ref('excluded.since') }))))

/** Records that every living session follows this policy, if the policy is still in force. */
export async function noteCovered (db: Db, { policy, graceDays }: Policy): Promise<void> {
  await putCovered.changed(db, { covered: spelled({ policy, graceDays }), policy, graceDays: String(graceDays) })
}
