import { sql, type RawBuilder } from 'kysely'
import { isAddressed } from '../core/network.js'
import { now } from '../tables/values.js'
import { rows, type Db } from '../tables/db.js'

/** A network stays known for so long without a new session there. */
export const KNOWN_NETWORK_DAYS = 30
/** Most known networks of an account: the ones of its newest sessions. */
const MOST_KNOWN = 20

/**
 * Condition beside `now`, true if a network is known to an account: a session was verified there, or began there and the user
 * has no second factor.
 *
 * @param person a relation `person` (id, has_factor) of at most one row
 */
export const isKnownTo = ({ table }: Db, network: RawBuilder<unknown>, person: RawBuilder<unknown> = sql`person`) => sql`exists (
  select from ${person}, now, lateral (
    select n.network, n.verified from ${table.account_network} n
    where n.user_id = person.id::text and n.last_login_at > now.at - make_interval(days => ${KNOWN_NETWORK_DAYS})
    order by n.last_login_at desc limit ${MOST_KNOWN}
  ) recent
  where recent.network = ${network} and (recent.verified or not person.has_factor)
)`

/** Condition on an account `a` and its otp_user `u`: true if the user has a second factor, or must set one up first. */
export const hasFactor = ({ table }: Db) => sql`
  (u.setup_required or exists (select from ${table.otp_device} d where d.user_id = a.id::text and d.confirmed_at is not null))`

/**
 * Builds the CTEs that make the network of a session known, beside `now`, each followed by a comma; none if a host has the users.
 * At most `MOST_KNOWN` networks are kept, and none for longer than `KNOWN_NETWORK_DAYS`.
 *
 * @param sessions a CTE with a row (user_id) if the session makes its network known
 * @param verified true if the session is verified; otherwise the user has no second factor
 */
export function remembered (db: Db, sessions: RawBuilder<unknown>, network: string, verified: boolean): RawBuilder<unknown> {
  const { table, hasAccounts } = db
  if (!hasAccounts || !isAddressed(network)) return sql``
  return sql`
    remembered as (
      insert into ${table.account_network} as n (user_id, network, last_login_at, verified)
      select s.user_id, ${network}, now.at, ${verified} from ${sessions} s, now
      on conflict (user_id, network) do update set last_login_at = excluded.last_login_at, verified = n.verified or excluded.verified
    ),
    forgotten as (
      delete from ${table.account_network} n using ${sessions} s, now
      where n.user_id = s.user_id and n.network <> ${network} and (
        n.last_login_at < now.at - make_interval(days => ${KNOWN_NETWORK_DAYS})
        or n.network in (
          select o.network from ${table.account_network} o where o.user_id = s.user_id and o.network <> ${network}
          order by o.last_login_at desc offset ${MOST_KNOWN - 1}))
    ),`
}

export interface AskedNetwork { usernameKey: string, network: string }

/** Returns for each name, existing or not, if the network is known to its account. */
export async function areKnown (db: Db, asked: readonly AskedNetwork[]): Promise<boolean[]> {
  const { table } = db
  const person = sql`(
    select a.id, ${hasFactor(db)} as has_factor from ${table.account} a join ${table.otp_user} u on u.user_id = a.id::text
    where a.username_key = asked.username_key
  ) person`
  const found = await rows<{ isKnown: boolean }>(db, sql`
    with ${now}
    select ${isKnownTo(db, sql`asked.network`, person)} as "isKnown"
    from unnest(${asked.map(({ usernameKey }) => usernameKey)}::text[], ${asked.map(({ network }) => network)}::text[])
      with ordinality asked(username_key, network, place)
    order by asked.place`)
  return found.map(({ isKnown }) => isKnown)
}

/** Builds a CTE that deletes the known networks of a user after a change of credentials: if `changed` has a row. */
export const forgotten = ({ table }: Db, changed: RawBuilder<unknown>, userId: string, except: string | null = null) => sql`
    forgotten as (
      delete from ${table.account_network} n
      where n.user_id = ${userId} and n.network is distinct from ${except} and exists (select from ${changed})
    )`
