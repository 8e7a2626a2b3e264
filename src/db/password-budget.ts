import { sql, type RawBuilder } from 'kysely'
import type { Origin } from '../core/session.js'
import { eventColumns, eventValues, now } from './sessions.js'
import { row, type Db } from './tables.js'
import { jsonAs, numberAs } from './values.js'

/** Wrong passwords per account and network, and how long they count. */
const NETWORK_GUESSES = 10
const NETWORK_WINDOW_SECONDS = 15 * 60
/** Wrong passwords per account from all networks that never logged in to it. */
const WORLD_GUESSES = 100
const WORLD_WINDOW_SECONDS = 60 * 60
/** How long a network that logged in to the account keeps a budget of its own, out of reach for strangers. */
export const KNOWN_NETWORK_DAYS = 30

/** Whose password is asked, and from where. */
export interface Guess {
  /** Digest of the name as looked up, existing or not: people type passwords into the wrong field. */
  nameDigest: string
  usernameKey: string
  network: string
}

export interface SpentGuess {
  /** How long to wait if the budget is used up, else 0. */
  waitSeconds: number
  spentEverywhere: boolean
  /** Undefined for a name that nobody has: the caller hashes all the same. */
  person: { id: string, passwordHash: string, isActive: boolean, version: number, setupRequired: boolean } | null
}

/**
 * Spends one guess before the password is looked at, and brings back what it is judged by. One budget for every door
 * where the password is asked; exact over replicas, since each guess is one conditional update. A name that does not
 * exist has a budget like any other.
 */
export async function spendGuess (db: Db, { nameDigest, usernameKey, network }: Guess): Promise<SpentGuess> {
  const { table } = db
  const counted = (seconds: number) => ({
    expired: sql`b.window_started_at <= excluded.window_started_at - make_interval(secs => ${seconds})`,
    remaining: sql`extract(epoch from b.window_started_at - now.at) + ${seconds}`
  })
  const here = counted(NETWORK_WINDOW_SECONDS)
  const world = counted(WORLD_WINDOW_SECONDS)
  const spent = await row<SpentGuess>(db, sql`
    with ${now},
    person as (
      select a.id, a.password_hash, a.is_active, u.version, u.setup_required
      from ${table.account} a join ${table.otp_user} u on u.user_id = a.id::text
      where a.username_key = ${usernameKey}
    ),
    known as (
      select exists (
        select from person join ${table.account_network} n on n.user_id = person.id::text, now
        where n.network = ${network} and n.last_login_at > now.at - make_interval(days => ${KNOWN_NETWORK_DAYS})
      ) as network
    ),
    world_full as (
      select from ${table.password_budget} b, known, now
      where b.name_digest = ${nameDigest} and b.network = '*' and b.spent >= ${WORLD_GUESSES} and not known.network
        and b.window_started_at > now.at - make_interval(secs => ${WORLD_WINDOW_SECONDS})
    ),
    by_network as (
      insert into ${table.password_budget} as b (name_digest, network, window_started_at, spent)
      select ${nameDigest}, ${network}, now.at, 1 from now where not exists (select from world_full)
      on conflict (name_digest, network) do update set
        spent = case when ${here.expired} then 1 else b.spent + 1 end,
        window_started_at = case when ${here.expired} then excluded.window_started_at else b.window_started_at end
      where b.spent < ${NETWORK_GUESSES} or ${here.expired}
      returning b.spent
    ),
    by_world as (
      insert into ${table.password_budget} as b (name_digest, network, window_started_at, spent)
      select ${nameDigest}, '*', now.at, 1 from by_network, known, now where not known.network
      on conflict (name_digest, network) do update set
        spent = case when ${world.expired} then 1 else b.spent + 1 end,
        window_started_at = case when ${world.expired} then excluded.window_started_at else b.window_started_at end
      where b.spent < ${WORLD_GUESSES} or ${world.expired}
      returning b.spent
    )
    select
      ${numberAs(sql`case
        when not exists (select from by_network) and not exists (select from world_full) then
          greatest(1, ceil(coalesce((select ${here.remaining} from ${table.password_budget} b where b.name_digest = ${nameDigest} and b.network = ${network}), ${NETWORK_WINDOW_SECONDS})))
        when not known.network and not exists (select from by_world) then
          greatest(1, ceil(coalesce((select ${world.remaining} from ${table.password_budget} b where b.name_digest = ${nameDigest} and b.network = '*'), ${WORLD_WINDOW_SECONDS})))
        else 0
      end`, 'waitSeconds')},
      exists (select from by_world) as "spentEverywhere",
      ${jsonAs(sql`(select json_build_object('id', id, 'passwordHash', password_hash, 'isActive', is_active, 'version', version,
        'setupRequired', setup_required) from person)`, 'person')}
    from now, known`)
  return spent!
}

/**
 * Writes down that a password was wrong. A name that nobody has takes the same write, so that both take the same time.
 *
 * @param userId null for a name that nobody has
 * @param kind what else was wrong, if the password was right
 */
export async function noteWrongPassword (db: Db, userId: string | null, { nameDigest, network }: Guess, origin: Origin, kind: 'login_failed' | 'setup_code_refused' = 'login_failed'): Promise<void> {
  const { table } = db
  await row(db, sql`
    with ${now},
    noted as (
      update ${table.password_budget} b set spent = b.spent where b.name_digest = ${nameDigest} and b.network = ${network}
    )
    insert into ${table.otp_event} ${eventColumns}
    select ${eventValues(db, { userId: sql`${userId}`, kind, sessionId: null, origin })} from now where ${userId}::text is not null`)
}

/** A right password at another door than the log-in: clears what this network spent, gives the world back the one guess. */
export async function returnGuess (db: Db, guess: Guess, spentEverywhere: boolean): Promise<void> {
  await row(db, sql`with ${returned(db, { ...guess, spentEverywhere }, sql`select true`)} select from given_back`)
}

/**
 * The parts of a statement that give a guess back, if `condition` has a row: first this network's, then the world's,
 * in the order in which `spendGuess` takes their locks.
 */
export function returned ({ table }: Db, { nameDigest, network, spentEverywhere }: Pick<Guess, 'nameDigest' | 'network'> & { spentEverywhere: boolean }, condition: RawBuilder<unknown>) {
  return sql`
    cleared as (
      delete from ${table.password_budget} b where exists (${condition}) and b.name_digest = ${nameDigest} and b.network = ${network}
      returning b.network
    ),
    given_back as (
      update ${table.password_budget} b set spent = greatest(b.spent - 1, 0)
      where (select count(*) from cleared) >= 0 and exists (${condition})
        and ${spentEverywhere} and b.name_digest = ${nameDigest} and b.network = '*'
      returning b.network
    )`
}
