import { sql, type RawBuilder } from 'kysely'
import { isAddressed } from '../core/network.js'
import { now } from '../tables/values.js'
import { rows, type Db } from '../tables/db.js'

/** How long a network stays known without a session there. */
export const KNOWN_NETWORK_DAYS = 30
/** Known networks of an account: those of the newest sessions. */
const MOST_KNOWN = 20

/**
 * Whether a network is known to an account: a session was verified there, or began there and the user has no second factor.
 * As a condition beside `now`.
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

/** Of an account `a` with its `u` in otp_user: whether the user has a second factor, or must set one up before anything else. */
export const hasFactor = ({ table }: Db) => sql`
  (u.setup_required or exists (select from ${table.otp_device} d where d.user_id = a.id::text and d.confirmed_at is not null))`

/**
 * Makes the network of a session known. CTEs beside `now`, each with a comma behind it; none where the users are a host's.
 * At most `MOST_KNOWN` networks are kept, and none for longer than `KNOWN_NETWORK_DAYS`.
 *
 * @param sessions a CTE that has a row (user_id) where the session proved what makes its network known
 * @param verified whether it is verified; else the user has no second factor
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

/** Tells for each name, existing or not, if a network is known to its account. */
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

/** A credential was changed: forgets the networks that earlier ones made known. A CTE; `changed` has a row where it was. */
export const forgotten = ({ table }: Db, changed: RawBuilder<unknown>, userId: string, except: string | null = null) => sql`
    forgotten as (
      delete from ${table.account_network} n
      where n.user_id = ${userId} and n.network is distinct from ${except} and exists (select from ${changed})
    )`
