import { sql, type RawBuilder } from 'kysely'
import { counting, type Budget } from '../budgets/counting.js'
import type { Origin } from '../core/session.js'
import { hasFactor, isKnownTo } from '../budgets/known-networks.js'
import { singleEvent } from '../events/insert.js'
import { now } from '../tables/values.js'
import { row, type Db } from '../tables/db.js'
import { jsonAs, numberAs } from '../tables/values.js'

/** Values of `network` in rows that count several networks together. No address looks like them. */
type Shared = '*' | 'known'

const budgetOf = ({ table }: Db): Budget => ({ table: table.password_budget, key: sql`name_digest` })

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

/**
 * Consumes one guess before the password is checked, and returns the data for the check. Every operation that asks for the
 * password uses this budget. A name that does not exist has a budget too.
 */
export async function consumeGuess (db: Db, { nameDigest, usernameKey, network }: Guess): Promise<ConsumedGuess> {
  const { table } = db
  const { parts, waitSeconds, shared } = counting(budgetOf(db), nameDigest, network, isKnownTo(db, sql`${network}`))
  const spent = await row<ConsumedGuess>(db, sql`
    with ${now},
    person as (
      select a.id, a.password_hash, a.is_active, u.version, u.setup_required, ${hasFactor(db)} as has_factor
      from ${table.account} a join ${table.otp_user} u on u.user_id = a.id::text
      where a.username_key = ${usernameKey}
    ),
    ${parts}
    select ${numberAs(waitSeconds, 'waitSeconds')}, ${shared} as shared,
      ${jsonAs(sql`(select json_build_object('id', id, 'passwordHash', password_hash, 'isActive', is_active, 'version', version,
        'setupRequired', setup_required) from person)`, 'person')}
    from now`)
  return spent!
}

/**
 * Records a wrong password. A name without an account takes the same write, so that both take the same time.
 *
 * @param userId null for a name without an account
 * @param kind other fault, if the password was right
 */
export async function noteWrongPassword (
  db: Db, userId: string | null, { nameDigest, network }: Guess, origin: Origin,
  kind: 'login_failed' | 'login_deactivated' | 'setup_code_refused' = 'login_failed'
): Promise<void> {
  const { table } = db
  await row(db, sql`
    with ${now},
    noted as (
      update ${table.password_budget} b set spent = b.spent where b.name_digest = ${nameDigest} and b.network = ${network}
    ),
    ${singleEvent(db, { userId: sql`${userId}`, kind, sessionId: null, origin }, sql`now where ${userId}::text is not null`)}
    select from now`)
}

/** Handles a right password outside the log-in: clears this network's count, and gives one guess back to the shared budget. */
export async function returnGuess (db: Db, guess: Guess, shared: Shared | null): Promise<void> {
  await row(db, sql`with ${returned(db, { ...guess, shared }, sql`select true`)} select from given_back`)
}

/** Gives back a guess that was not judged because of our own fault. */
export async function unspendGuess (db: Db, { nameDigest, network }: Guess, shared: Shared | null): Promise<void> {
  const { table } = db
  const less = (of: string | null, after: RawBuilder<unknown>) => sql`
    update ${table.password_budget} b set spent = greatest(b.spent - 1, 0)
    where ${after} and b.name_digest = ${nameDigest} and b.network = ${of} returning b.network`
  await row(db, sql`
    with own as (${less(network, sql`true`)}),
    given_back as (${less(shared, sql`(select count(*) from own) >= 0`)})
    select from given_back`)
}

type ReturnedGuess = Pick<Guess, 'nameDigest' | 'network'> & Pick<ConsumedGuess, 'shared'>

/**
 * Returns the parts of a statement that close a guess after a right password, if `condition` has a row: they clear this
 * network's budget and give one guess back to the shared one. They take the locks in the order of `consumeGuess`.
 */
export function returned (db: Db, guess: ReturnedGuess, condition: RawBuilder<unknown>) {
  const { table } = db
  const { nameDigest, network, shared } = guess
  return sql`
    cleared as (
      delete from ${table.password_budget} b where exists (${condition}) and b.name_digest = ${nameDigest} and b.network = ${network}
      returning b.network
    ),
    given_back as (
      update ${table.password_budget} b set spent = greatest(b.spent - 1, 0)
      where (select count(*) from cleared) >= 0 and exists (${condition})
        and b.name_digest = ${nameDigest} and b.network = ${shared}
      returning b.network
    )`
}
