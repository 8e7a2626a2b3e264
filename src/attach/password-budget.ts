import { expressionBuilder } from 'kysely'
import type { ClientOrigin } from '../core/session.js'
import { waitSeconds, withCounting, type Budget } from '../budgets/counting.js'
import { byRequester, withEvent, type RequesterValues } from '../events/insert.js'
import type { Db } from '../tables/db.js'
import { statement, type Parameters } from '../tables/statement.js'
import { numberAs, typed, withNow } from '../tables/values.js'

const BUDGET: Budget = { table: 'otp_password_budget', key: 'user_id' }

interface Guess { userId: string, network: string }

const consume = statement('consume_host_guess', (db, p: Parameters<Guess>) =>
  withCounting(withNow(db), BUDGET, p.userId, p.network, expressionBuilder().lit(false)).selectFrom('now')
    .select(numberAs(waitSeconds(BUDGET, p.userId, p.network), 'waitSeconds')))

/**
 * Consumes one guess at the password of a host's user, before the host checks it.
 *
 * @returns seconds to wait if the budget is used up, else 0
 */
export const consumeHostGuess = async (db: Db, userId: string, network: string): Promise<number> =>
  (await consume.first(db, { userId, network }))!.waitSeconds

const giveBack = statement('give_host_guess_back', (db, p: Parameters<Guess & { guesses: number | null }>) => db
  .with('own', (db) => db.updateTable('otp_password_budget as b')
    .set((eb) => ({ spent: eb.fn('greatest', [eb('b.spent', '-', eb.fn.coalesce(typed(p.guesses, 'integer'), 'b.spent')), eb.lit(0)]) }))
    .where('b.user_id', '=', p.userId).where('b.network', '=', p.network).returning('b.network'))
  .updateTable('otp_password_budget as b')
  .set((eb) => ({ spent: eb.fn('greatest', [eb('b.spent', '-', 1), eb.lit(0)]) }))
  .where('b.user_id', '=', p.userId).where('b.network', '=', '*')
  .where((eb) => eb(eb.selectFrom('own').select((eb) => eb.fn.countAll().as('own')), '>=', eb.lit(0))))

/** Gives one guess back after a right password or a fault of the host. A right password also clears the network's budget. */
export async function giveHostGuessBack (db: Db, userId: string, network: string, wasRight: boolean): Promise<void> {
  await giveBack.all(db, { userId, network, guesses: wasRight ? null : 1 })
}

const noteRefusal = statement('note_host_refusal', (
  db, p: Parameters<RequesterValues>, facts
) => withEvent(withNow(db), facts, (db) => db.selectFrom('now'), () => ({ ...byRequester(p), kind: 'login_failed' })).selectFrom('now'))

/** Records that the host refused a password. */
export async function noteHostRefusal (db: Db, userId: string, sessionId: string, { ip, agent }: ClientOrigin): Promise<void> {
  await noteRefusal.all(db, { userId, sessionId, ip, agent })
}
