/*
 * A role or a database may set other defaults for transactions. Our statements are written for `read committed`, in which
 * a statement that waited for a lock sees the newest row; and they write.
 */

/** How the transactions of a connection begin, and whether a single statement needs such a beginning too. */
export interface TransactionDefaults { begin: string, areOurs: boolean }

export const OUR_DEFAULTS: TransactionDefaults = { begin: 'begin', areOurs: true }

/** For a connection of our own: as we need them. */
export const SET_DEFAULTS = "set default_transaction_isolation = 'read committed'; set default_transaction_read_only = off"

/** For a connection of a host: as they are. A standby cannot write, whatever it is told. */
const ASK_DEFAULTS = `
  select current_setting('default_transaction_isolation') <> 'read committed' as "isIsolated",
    current_setting('default_transaction_read_only')::boolean and not pg_is_in_recovery() as "isReadOnly"`

export async function readDefaults (query: (text: string) => Promise<{ rows: unknown[] }>): Promise<TransactionDefaults> {
  const { isIsolated, isReadOnly } = (await query(ASK_DEFAULTS)).rows[0] as { isIsolated: boolean, isReadOnly: boolean }
  if (!isIsolated && !isReadOnly) return OUR_DEFAULTS
  return { begin: `begin isolation level read committed${isReadOnly ? ', read write' : ''}`, areOurs: false }
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
