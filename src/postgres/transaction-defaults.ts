/*
 * A role or a database may set another isolation level. Our statements need `read committed`, in which a statement that waited
 * for a lock sees the newest row. `default_transaction_read_only` is never overridden: it prevents writes to a server that
 * was demoted, or to a database that is being moved.
 */

/** First statement of a connection's transactions. If `areOurs` is false, a single statement needs a transaction too. */
export interface TransactionDefaults { begin: string, areOurs: boolean }

export const OUR_DEFAULTS: TransactionDefaults = { begin: 'begin', areOurs: true }

/** Time limits of statements and transactions at the server, in milliseconds; 0 for none. */
export interface ServerLimits { statementMs: number, idleInTransactionMs: number }

/**
 * Settings of a connection of our own. They override every time limit that a role or a database may set. No plan is compiled: that
 * takes longer than our statements run, and for the longest ones longer than they may.
 */
const settingsFor = ({ statementMs, idleInTransactionMs }: ServerLimits): ReadonlyArray<readonly [name: string, value: string]> => [
  ['statement_timeout', String(statementMs)],
  ['idle_in_transaction_session_timeout', String(idleInTransactionMs)],
  ['default_transaction_isolation', 'read committed'],
  ['lock_timeout', '0'],
  ['idle_session_timeout', '0'],
  ['transaction_timeout', '0'],
  ['jit', 'off']
]

/** Statement that sets them. `transaction_timeout` exists from PostgreSQL 17 on. */
const setting = (limits: ServerLimits, isLocal: boolean, condition: string) => `
  select set_config(name, value, ${isLocal})
  from (values ${settingsFor(limits).map(([name, value]) => `('${name}', '${value}')`).join(', ')}) s (name, value)
  where current_setting(name, true) is not null and ${condition}`

/**
 * Sets them for the session, if this server process answers. Through a pooler, another application would get the connection next.
 * The plan of this is not compiled either: one simple query is one transaction, also behind a pooler.
 */
export const setForSession = (limits: ServerLimits, pid: number): string =>
  `set local jit = off; ${setting(limits, false, `pg_backend_pid() = ${pid}`)}`

/** First statement of each transaction through a pooler whose connections have no such settings. */
export const withinLimits = (limits: ServerLimits): TransactionDefaults => ({
  begin: `begin isolation level read committed; ${setting(limits, true, 'true')}`, areOurs: false
})

/** Condition: the connection has time limits as short as these, and no others that end our statements. */
export const isLimited = ({ statementMs, idleInTransactionMs }: ServerLimits): string => [
  ...[['statement_timeout', statementMs], ['idle_in_transaction_session_timeout', idleInTransactionMs]].map(([name, ms]) =>
    `current_setting('${name}')::interval between '1 ms' and '${ms} ms'`),
  ...['lock_timeout', 'transaction_timeout'].map((name) => `coalesce(current_setting('${name}', true), '0') = '0'`),
  "current_setting('default_transaction_isolation') = 'read committed'"
].join(' and ')

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
