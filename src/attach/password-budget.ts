import { sql } from 'kysely'
import type { ClientOrigin } from '../core/session.js'
import { counting, type Budget } from '../budgets/counting.js'
import { event } from '../events/insert.js'
import { now } from '../tables/values.js'
import { row, type Db } from '../tables/db.js'
import { numberAs } from '../tables/values.js'

const budgetOf = ({ table }: Db): Budget => ({ table: table.otp_password_budget, key: sql`user_id` })

/**
 * Consumes one guess at the password of a host's user, before the host checks it.
 *
 * @returns seconds to wait if the budget is used up, else 0
 */
export async function consumeHostGuess (db: Db, userId: string, network: string): Promise<number> {
  const { parts, waitSeconds } = counting(budgetOf(db), userId, network, sql`false`)
  return (await row<{ waitSeconds: number }>(
    db, sql`with ${now}, ${parts} select ${numberAs(waitSeconds, 'waitSeconds')} from now`
  ))!.waitSeconds
}

/** Gives one guess back after a right password or a fault of the host. A right password also clears the network's budget. */
export async function giveHostGuessBack (db: Db, userId: string, network: string, wasRight: boolean): Promise<void> {
  const { table } = db
  const less = (of: string) => sql`
    update ${table.otp_password_budget} b set spent = greatest(b.spent - ${of === network && wasRight ? sql`b.spent` : sql`1`}, 0)
    where b.user_id = ${userId} and b.network = ${of}`
  await row(db, sql`
    with own as (${less(network)} returning b.network)
    ${less('*')} and (select count(*) from own) >= 0`)
}

/** Records that the host refused a password. */
export async function noteHostRefusal (db: Db, userId: string, sessionId: string, origin: ClientOrigin): Promise<void> {
  await row(
    db, sql`with ${now}, ${event(db, { userId: sql`${userId}`, kind: 'login_failed', sessionId, origin }, sql`now`)} select from now`
  )
}
