import { expressionBuilder, type Expression, type QueryCreator } from 'kysely'
import type { Tables } from '../tables/db.js'
import { earlier, textOf, unixSeconds, type Now } from '../tables/values.js'

/** Wrong passwords per account and network in a window of that length. */
const NETWORK_GUESSES = 10
const NETWORK_WINDOW_SECONDS = 15 * 60
/** Wrong passwords per account in a shared window: from all unknown networks together, and from all known ones together. */
const UNKNOWN_GUESSES = 100
const KNOWN_GUESSES = 40
const SHARED_WINDOW_SECONDS = 60 * 60

/** A table of budgets, and its column for the account beside `network`, `window_started_at` and `spent`. */
export type Budget = { table: 'password_budget', key: 'name_digest' } | { table: 'otp_password_budget', key: 'user_id' }

interface Counted { network: string }
/** The CTEs that count a guess. */
export interface Counting { shared: Counted, shared_full: object, by_network: Counted, by_shared: Counted }

type Counter = Tables & { now: Now } & Counting

/** The tables have the same columns beside the key, so that the builder sees them as one. */
const namesOf = ({ table, key }: Budget) => ({ table: table as 'otp_password_budget', key: key as 'user_id' })

const values = expressionBuilder<Counter>()

const mostOf = (network: Expression<string>) =>
  values.case().when(network, '=', 'known').then(values.lit(KNOWN_GUESSES)).else(values.lit(UNKNOWN_GUESSES)).end()

/** Counts a guess of `rows` (id, network) in a budget of so many guesses and such a window, if it is not used up. */
function counted (
  db: QueryCreator<Counter>, budget: Budget, id: string, rows: 'now' | 'by_network', network: string | Expression<string>,
  most: (counted: Expression<string>) => Expression<number>, seconds: number
) {
  const { table, key } = namesOf(budget)
  return db.insertInto(table).columns([key, 'network', 'window_started_at', 'spent'])
    .expression((eb) => eb.selectFrom(rows === 'now' ? ['now'] : ['by_network', 'shared', 'now'])
      .select((eb) => [eb.val(id).as('key'), textOf(network).as('network'), 'now.at', eb.lit(1).as('one')])
      .$if(rows === 'now', (query) => query.where((eb) => eb.not(eb.exists(eb.selectFrom('shared_full'))))))
    .onConflict((oc) => {
      const eb = expressionBuilder<Tables & { excluded: Tables['otp_password_budget'] }, 'otp_password_budget' | 'excluded'>()
      const [spent, startedAt] = [eb.ref(`${table}.spent`), eb.ref(`${table}.window_started_at`)]
      const isOver = eb(startedAt, '<=', earlier(eb.ref('excluded.window_started_at').$castTo<Date>(), seconds))
      return oc.columns([key, 'network'])
        .doUpdateSet({
          spent: eb.case().when(isOver).then(eb.lit(1)).else(eb(spent, '+', eb.lit(1))).end(),
          window_started_at: eb.case().when(isOver).then(eb.ref('excluded.window_started_at')).else(startedAt).end()
        })
        .where(eb.or([eb(spent, '<', most(eb.ref(`${table}.network`))), isOver]))
    })
    .returning(`${table}.network`)
}

/**
 * Counts one guess in CTEs beside `now`: first in the network's budget, then in the shared one. Exact across replicas, since each
 * is one conditional upsert; all statements of an account lock in that order.
 *
 * @param isKnown condition that is true if the network is known to the account
 */
export function withCounting<With extends { now: Now }> (
  db: QueryCreator<With>, budget: Budget, id: string, network: string, isKnown: Expression<boolean>
): QueryCreator<With & Counting> {
  const { table, key } = namesOf(budget)
  return (db as unknown as QueryCreator<Counter>)
    .with('shared', (db) => db.selectNoFrom((eb) => eb.case().when(isKnown).then('known').else('*').end().as('network')))
    .with('shared_full', (db) => db.selectFrom([`${table} as b`, 'shared', 'now'])
      .where(`b.${key}`, '=', id).whereRef('b.network', '=', 'shared.network')
      .where((eb) => eb('b.spent', '>=', mostOf(eb.ref('shared.network'))))
      .where((eb) => eb('b.window_started_at', '>', earlier(eb.ref('now.at'), SHARED_WINDOW_SECONDS))))
    .with('by_network', (db) => counted(db as unknown as QueryCreator<Counter>, budget, id, 'now', network,
      () => values.lit(NETWORK_GUESSES), NETWORK_WINDOW_SECONDS))
    .with('by_shared', (db) => counted(db as unknown as QueryCreator<Counter>, budget, id, 'by_network',
      values.ref('shared.network' as never), mostOf, SHARED_WINDOW_SECONDS)) as unknown as QueryCreator<With & Counting>
}

/**
 * Seconds to wait if the budget is used up, else 0. Beside `now` and the CTEs of `withCounting`. The snapshot may be older than the
 * window that refused the guess: where it has no window, or one that is over, the window has just begun.
 */
export function waitSeconds (budget: Budget, id: string, network: string): Expression<number> {
  const { table, key } = namesOf(budget)
  const remaining = (of: Expression<string>, seconds: number) => {
    const left = values.selectFrom([`${table} as b`, 'now'])
      .select((eb) => eb(unixSeconds(eb('b.window_started_at', '-', eb.ref('now.at')).$castTo<Date>()), '+', eb.lit(seconds)).as('left'))
      .where(`b.${key}`, '=', id).where('b.network', '=', of)
    return values.fn<number>('ceil', [values.fn.coalesce(values.fn('nullif', [values.fn('greatest', [left, values.lit(0)]), values.lit(0)]),
      values.lit(seconds))])
  }
  const has = (relation: 'by_shared' | 'by_network' | 'shared_full') => values.exists(values.selectFrom(relation))
  return values.case()
    .when(has('by_shared')).then(values.lit(0))
    .when(values.or([has('by_network'), has('shared_full')]))
    .then(remaining(values.selectFrom('shared').select('shared.network').$asScalar(), SHARED_WINDOW_SECONDS))
    .else(remaining(values.val(network), NETWORK_WINDOW_SECONDS)).end()
}

/** The shared budget that counted the guess; null if none did. */
export const sharedBudget = values.selectFrom('by_shared').select('by_shared.network').$asScalar()
