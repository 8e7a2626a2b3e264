import { sql, type RawBuilder } from 'kysely'

/** Wrong passwords per account and network in a window of that length. */
const NETWORK_GUESSES = 10
const NETWORK_WINDOW_SECONDS = 15 * 60
/** Wrong passwords per account in a shared window: from all unknown networks together, and from all known ones together. */
const UNKNOWN_GUESSES = 100
const KNOWN_GUESSES = 40
const SHARED_WINDOW_SECONDS = 60 * 60

/** A table of budgets: `key` is its column for the account, beside `network`, `window_started_at` and `spent`. */
export interface Budget { table: RawBuilder<unknown>, key: RawBuilder<unknown> }

/**
 * Builds the parts of a statement that count one guess, beside `now`: first in the network's budget, then in the shared one.
 * Exact across replicas, since each is one conditional upsert; all statements of an account lock in that order.
 *
 * @param isKnown condition that is true if the network is known to the account
 * @returns the CTEs, and expressions for the seconds to wait (0 if the guess was counted) and for the shared budget
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
