/*
 * A role or a database may set another isolation level. Our statements need `read committed`, in which a statement that waited
 * for a lock sees the newest row. `default_transaction_read_only` is never overridden: it prevents writes to a server that
 * was demoted, or to a database that is being moved.
 */

/** First statement of a connection's transactions. If `areOurs` is false, a single statement needs a transaction too. */
export interface TransactionDefaults { begin: string, areOurs: boolean }

export const OUR_DEFAULTS: TransactionDefaults = { begin: 'begin', areOurs: true }

/** Sets our defaults on a connection of our own. */
export const SET_DEFAULTS = "set default_transaction_isolation = 'read committed'"

/** Reads the defaults of a host's connection, which stay unchanged. */
const ASK_DEFAULTS = "select current_setting('default_transaction_isolation') <> 'read committed' as \"isIsolated\""

export async function readDefaults (query: (text: string) => Promise<{ rows: unknown[] }>): Promise<TransactionDefaults> {
  const { isIsolated } = (await query(ASK_DEFAULTS)).rows[0] as { isIsolated: boolean }
  return isIsolated ? { begin: 'begin isolation level read committed', areOurs: false } : OUR_DEFAULTS
}

type Send = (text: string) => Promise<unknown>

/** Runs one statement in a transaction of its own. After an error the caller rolls back, if the connection still answers. */
export async function inItsOwn<Result> (begin: string, send: Send, statement: () => Promise<Result>): Promise<Result> {
  await send(begin)
  const result = await statement()
  await send('commit')
  return result
}

const TIMEOUTS = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout']

/** Statements that remove the time limits of a role or a database for a migration. */
export const WITHOUT_END = TIMEOUTS.map((name) => `set local ${name} = 0`)
