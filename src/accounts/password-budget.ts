import { sql, type RawBuilder } from 'kysely'
import type { Origin } from '../core/session.js'
import { hasFactor, isKnownTo } from '../budgets/known-networks.js'
import { eventColumns, eventValues, now } from '../sessions/statements.js'
import { row, type Db } from '../tables/db.js'
import { jsonAs, numberAs } from '../tables/values.js'

/** Wrong passwords per account and network, and how long they count. */
const NETWORK_GUESSES = 10
const NETWORK_WINDOW_SECONDS = 15 * 60
/** Wrong passwords per account from all unknown networks together, and from all known ones. */
const UNKNOWN_GUESSES = 100
const KNOWN_GUESSES = 40
const SHARED_WINDOW_SECONDS = 60 * 60

/** Networks of the rows that count for several networks together. No address is written like these. */
type Shared = '*' | 'known'

/** A table of budgets: `key` is its column for the account, beside `network`, `window_started_at` and `spent`. */
export interface Budget { table: RawBuilder<unknown>, key: RawBuilder<unknown> }

const budgetOf = ({ table }: Db): Budget => ({ table: table.password_budget, key: sql`name_digest` })

/** The account whose password is asked, and the network that asks. */
export interface Guess {
  /** Digest of the name as looked up, existing or not: people type passwords into the wrong field. */
  nameDigest: string
  usernameKey: string
  network: string
}

export interface SpentGuess {
  /** How long to wait if the budget is used up, else 0. */
  waitSeconds: number
  /** The shared budget that the guess was counted in; null if it was not. */
  shared: Shared | null
  /** Null for a name without an account: the caller hashes all the same. */
  person: { id: string, passwordHash: string, isActive: boolean, version: number, setupRequired: boolean } | null
}

/**
 * The parts of a statement that count one guess, beside `now`: first in the network's budget, then in the one that it
 * shares. Exact over replicas, since each is one conditional upsert; the statements of an account meet in that order.
 *
 * @param isKnown a condition: whether the network is known to the account
 * @returns the CTEs, and expressions for how long to wait (0 if the guess was counted) and for the shared budget
 */
export function counting ({ table, key }: Budget, id: string, network: string, isKnown: RawBuilder<unknown>) {
  const isOver = (seconds: number) => sql`b.window_started_at <= excluded.window_started_at - make_interval(secs => ${seconds})`
  const remaining = (of: RawBuilder<unknown>, seconds: number) => sql`greatest(1, ceil(coalesce((
    select extract(epoch from b.window_started_at - now.at) + ${seconds} from ${table} b
    where b.${key} = ${id} and b.network = ${of}), ${seconds})))`
  const count = (most: RawBuilder<unknown>, seconds: number) => sql`
      on conflict (${key}, network) do update set
        spent = case when ${isOver(seconds)} then 1 else b.spent + 1 end,
        window_started_at = case when ${isOver(seconds)} then excluded.window_started_at else b.window_started_at end
      where b.spent < ${most} or ${isOver(seconds)}
      returning b.network`
  const most = (of: RawBuilder<unknown>) => sql`(case ${of} when 'known' then ${KNOWN_GUESSES} else ${UNKNOWN_GUESSES} end)::int`
  return {
    parts: sql`
    shared as (select case when ${isKnown} then 'known' else '*' end as network),
    shared_full as (
      select from ${table} b, shared, now
      where b.${key} = ${id} and b.network = shared.network and b.spent >= ${most(sql`shared.network`)}
        and b.window_started_at > now.at - make_interval(secs => ${SHARED_WINDOW_SECONDS})
    ),
    by_network as (
      insert into ${table} as b (${key}, network, window_started_at, spent)
      select ${id}, ${network}, now.at, 1 from now where not exists (select from shared_full)
      ${count(sql`${NETWORK_GUESSES}`, NETWORK_WINDOW_SECONDS)}
    ),
    by_shared as (
      insert into ${table} as b (${key}, network, window_started_at, spent)
      select ${id}, shared.network, now.at, 1 from by_network, shared, now
      ${count(most(sql`b.network`), SHARED_WINDOW_SECONDS)}
    )`,
    waitSeconds: sql`
      (case
        when exists (select from by_shared) then 0
        when exists (select from by_network) or exists (select from shared_full)
          then ${remaining(sql`(select network from shared)`, SHARED_WINDOW_SECONDS)}
        else ${remaining(sql`${network}`, NETWORK_WINDOW_SECONDS)}
      end)`,
    shared: sql`(select network from by_shared)`
  }
}

/**
 * Spends one guess before the password is looked at, and brings back what it is judged by. One budget for every door
 * where the password is asked. A name that does not exist has a budget like any other.
 */
export async function spendGuess (db: Db, { nameDigest, usernameKey, network }: Guess): Promise<SpentGuess> {
  const { table } = db
  const { parts, waitSeconds, shared } = counting(budgetOf(db), nameDigest, network, isKnownTo(db, sql`${network}`))
  const spent = await row<SpentGuess>(db, sql`
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
 * Writes down that a password was wrong. A name that nobody has takes the same write, so that both take the same time.
 *
 * @param userId null for a name that nobody has
 * @param kind what else was wrong, if the password was right
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
    )
    insert into ${table.otp_event} ${eventColumns}
    select ${eventValues(db, { userId: sql`${userId}`, kind, sessionId: null, origin })} from now where ${userId}::text is not null`)
}

/** A right password at another door than the log-in: clears what this network spent, gives the shared budget back the one guess. */
export async function returnGuess (db: Db, guess: Guess, shared: Shared | null): Promise<void> {
  await row(db, sql`with ${returned(db, { ...guess, shared }, sql`select true`)} select from given_back`)
}

/** Gives back a guess that was not judged, through a fault of ours. */
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

type ReturnedGuess = Pick<Guess, 'nameDigest' | 'network'> & Pick<SpentGuess, 'shared'>

/**
 * The parts of a statement that end a guess with a right password, if `condition` has a row: this network's budget is
 * cleared, the shared one gets back the one guess, in the order in which `spendGuess` takes their locks.
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
