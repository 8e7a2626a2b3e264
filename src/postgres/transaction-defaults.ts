/*
 * A role or a database may set another isolation for transactions. Our statements are written for `read committed`, in which
 * a statement that waited for a lock sees the newest row. `default_transaction_read_only` is obeyed, wherever it is set: it
 * keeps clients from writing to a server that was demoted, or to a database that is being moved.
 */

/** How the transactions of a connection begin, and whether a single statement needs such a beginning too. */
export interface TransactionDefaults { begin: string, areOurs: boolean }

export const OUR_DEFAULTS: TransactionDefaults = { begin: 'begin', areOurs: true }

/** For a connection of our own: as we need them. */
export const SET_DEFAULTS = "set default_transaction_isolation = 'read committed'"

/** For a connection of a host: as they are. */
const ASK_DEFAULTS = "select current_setting('default_transaction_isolation') <> 'read committed' as \"isIsolated\""

export async function readDefaults (query: (text: string) => Promise<{ rows: unknown[] }>): Promise<TransactionDefaults> {
  const { isIsolated } = (await query(ASK_DEFAULTS)).rows[0] as { isIsolated: boolean }
  return isIsolated ? { begin: 'begin isolation level read committed', areOurs: false } : OUR_DEFAULTS
}

type Send = (text: string) => Promise<unknown>

/** Runs one statement in a transaction of its own. The caller rolls back what fails, if the connection still answers. */
export async function inItsOwn<Result> (begin: string, send: Send, statement: () => Promise<Result>): Promise<Result> {
  await send(begin)
  const result = await statement()
  await send('commit')
  return result
}

const TIMEOUTS = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout']

/** For a migration: no time limit of a role or a database ends it. */
export const WITHOUT_END = TIMEOUTS.map((name) => `set local ${name} = 0`)
