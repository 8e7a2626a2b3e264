import type { QueryCreator } from 'kysely'
import { jsonObjectFrom } from 'kysely/helpers/postgres'
import { sharedBudget, waitSeconds, withCounting, type Budget } from '../budgets/counting.js'
import { hasFactor, isKnownTo } from '../budgets/known-networks.js'
import type { Origin } from '../core/session.js'
import { withSingleEvent } from '../events/insert.js'
import type { Db, Tables } from '../tables/db.js'
import { statement, type Parameters } from '../tables/statement.js'
import { jsonAs, numberAs, textOf, withNow } from '../tables/values.js'

/** Values of `network` in rows that count several networks together. No address looks like them. */
type Shared = '*' | 'known'

const BUDGET: Budget = { table: 'password_budget', key: 'name_digest' }

/** Account whose password is checked, and network of the requester. */
export interface Guess {
  /** Digest of the looked-up name, whether it exists or not: users type passwords into the wrong field. */
  nameDigest: string
  usernameKey: string
  network: string
}

export interface ConsumedGuess {
  /** Seconds to wait if the budget is used up, else 0. */
  waitSeconds: number
  /** Shared budget that counted the guess; null if none did. */
  shared: Shared | null
  /** Null for a name without an account. The caller hashes in any case. */
  person: { id: string, passwordHash: string, isActive: boolean, version: number, setupRequired: boolean } | null
}

const consume = statement('consume_guess', (db, p: Parameters<Guess>) => withCounting(withNow(db)
  .with('person', (db) => db.selectFrom('account as a')
    .innerJoin('otp_user as u', (join) => join.onRef('u.user_id', '=', (eb) => eb.cast<string>('a.id', 'text')))
    .select(['a.id', 'a.password_hash', 'a.is_active', 'u.version', 'u.setup_required', hasFactor.as('has_factor')])
    .where('a.username_key', '=', p.usernameKey)), BUDGET, p.nameDigest, p.network, isKnownTo(textOf(p.network)))
  .selectFrom('now').select((eb) => [
    numberAs(waitSeconds(BUDGET, p.nameDigest, p.network), 'waitSeconds'),
    sharedBudget.$castTo<Shared | null>().as('shared'),
    jsonAs(jsonObjectFrom(eb.selectFrom('person').select([
      'id', 'password_hash as passwordHash', 'is_active as isActive', 'version', 'setup_required as setupRequired'
    ])), 'person')
  ]))

/**
 * Consumes one guess before the password is checked, and returns the data for the check. Every operation that asks for the
 * password uses this budget. A name that does not exist has a budget too.
 */
export const consumeGuess = async (db: Db, { nameDigest, usernameKey, network }: Guess): Promise<ConsumedGuess> =>
  (await consume.first(db, { nameDigest, usernameKey, network }))!

type Fault = 'login_failed' | 'login_deactivated' | 'setup_code_refused'

const noteWrong = statement('note_wrong_password', (
  db, p: Parameters<Omit<Guess, 'usernameKey'> & Origin & { userId: string | null, kind: Fault }>, facts
) => withSingleEvent(withNow(db)
  .with('noted', (db) => db.updateTable('password_budget as b').set((eb) => ({ spent: eb.ref('b.spent') }))
    .where('b.name_digest', '=', p.nameDigest).where('b.network', '=', p.network)),
facts, (db) => db.selectFrom('now').where(textOf(p.userId), 'is not', null),
() => ({ userId: p.userId, kind: p.kind, sessionId: null, ip: p.ip, agent: p.agent })).selectFrom('now'))

/**
 * Records a wrong password. A name without an account takes the same write, so that both take the same time.
 *
 * @param userId null for a name without an account
 * @param kind other fault, if the password was right
 */
export async function noteWrongPassword (
  db: Db, userId: string | null, { nameDigest, network }: Guess, { ip, agent }: Origin, kind: Fault = 'login_failed'
): Promise<void> {
  await noteWrong.all(db, { userId, nameDigest, network, ip, agent, kind })
}

type CountedGuess = Pick<Guess, 'nameDigest' | 'network'> & Pick<ConsumedGuess, 'shared'>

/** Gives one guess back to a budget, after the CTE `before`: all statements of an account lock in the order of `consumeGuess`. */
function givenBack<With> (db: QueryCreator<With>, nameDigest: string, network: string | null, before: keyof With & string) {
  return (db as unknown as QueryCreator<Tables & { before: object }>).updateTable('password_budget as b')
    .set((eb) => ({ spent: eb.fn<number>('greatest', [eb('b.spent', '-', eb.lit(1)), eb.lit(0)]) }))
    .where('b.name_digest', '=', nameDigest).where('b.network', '=', network)
    .where((eb) => eb(eb.selectFrom(before as 'before').select((eb) => eb.fn.countAll().as('rows')), '>=', eb.lit(0)))
    .returning('b.network')
}

const unspend = statement('unspend_guess', (db, p: Parameters<CountedGuess>) => db
  .with('none', (db) => db.selectNoFrom((eb) => eb.lit(1).as('one')))
  .with('own', (db) => givenBack(db, p.nameDigest, p.network, 'none'))
  .with('given_back', (db) => givenBack(db, p.nameDigest, p.shared, 'own'))
  .selectFrom('given_back'))

/** Gives back a guess that was not judged because of our own fault. */
export async function unspendGuess (db: Db, { nameDigest, network }: Guess, shared: Shared | null): Promise<void> {
  await unspend.all(db, { nameDigest, network, shared })
}

/**
 * Closes a guess after a right password, in CTEs, if `condition` has a row: clears this network's budget and gives one guess back to
 * the shared one. They take the locks in the order of `consumeGuess`.
 *
 * @param condition a CTE
 */
export function withReturned<With> (
  db: QueryCreator<With>, { nameDigest, network, shared }: CountedGuess, condition: keyof With & string
): QueryCreator<With> {
  return (db as unknown as QueryCreator<Tables & { condition: object }>)
    .with('cleared', (db) => db.deleteFrom('password_budget as b').where('b.name_digest', '=', nameDigest).where('b.network', '=', network)
      .where((eb) => eb.exists(eb.selectFrom(condition as 'condition'))).returning('b.network'))
    .with('given_back', (db) => givenBack(db, nameDigest, shared, 'cleared')
      .where((eb) => eb.exists(eb.selectFrom(condition as 'condition' as never)))) as unknown as QueryCreator<With>
}

const close = statement('return_guess', (db, p: Parameters<CountedGuess>) => withReturned(
  db.with('right', (db) => db.selectNoFrom((eb) => eb.lit(true).as('right'))), p, 'right').selectNoFrom((eb) => eb.lit(1).as('one')))

/** Handles a right password outside the log-in: clears this network's count, and gives one guess back to the shared budget. */
export async function returnGuess (db: Db, { nameDigest, network }: Guess, shared: Shared | null): Promise<void> {
  await close.all(db, { nameDigest, network, shared })
}
