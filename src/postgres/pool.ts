import { PostgresDialect, type Dialect, type PostgresPool, type PostgresPoolClient, type PostgresQueryResult } from 'kysely'
import { asRefusal, asUnreachable, breaksConnection, isReadOnly, mayBeOfItsName } from './errors.js'
import { connectInTime } from './in-time.js'
import { connectOneByOne } from './connection-throttle.js'
import type { Prepared } from './prepared-statements.js'
import { STATEMENT_MS } from '../timing/limits.js'
import { retrying } from './retry.js'
import { inItsOwn, OUR_DEFAULTS, readDefaults, WITHOUT_END, type TransactionDefaults } from './transaction-defaults.js'

export const beginsTransaction = (text: string): boolean => /^(begin|start transaction)\b/i.test(text)

/** True for the end of a whole transaction: a rollback to a savepoint is not the end. */
export const endsTransaction = (text: string): boolean => /^(commit|rollback)$/i.test(text)

/** Returns the command of a statement. Kysely counts changed rows by it, and only pg reports it. */
export const commandOf = (text: string): string => /^\s*(insert|update|delete|merge)\b/i.exec(text)?.[1]?.toUpperCase() ?? 'SELECT'

/** Numbers of connections, and of statements that wait for one. */
export interface PoolStats { total: number, idle: number, waiting: number }

export interface Pool {
  dialect: Dialect
  /** Closes each connection that was made before this call, when it is next taken from the pool. */
  renew (): void
  stats (): PoolStats
  /** Closes a pool of our own. A host's pool is never closed here. */
  close (): Promise<void>
}

/** Part of pg's pool that is used, ours or a host's. A structural type: an attached host needs neither `pg` nor its types. */
export interface PgPool {
  connect (): Promise<PgClient>
  on? (event: 'connect', listener: (client: PgClient) => void): unknown
  readonly totalCount: number
  readonly idleCount: number
  readonly waitingCount: number
}

export interface PgClient {
  query (statement: PgStatement): Promise<unknown>
  on (event: 'error', listener: (error: Error) => void): unknown
  off (event: 'error', listener: (error: Error) => void): unknown
  release (destroy?: boolean): void
}

export interface PgStatement {
  /** Name under which the connection keeps the prepared statement. A named text may have one statement only. */
  name?: string
  text: string
  values: unknown[]
  /** In milliseconds. pg supports it for each statement; its types lack it. */
  query_timeout?: number
}

/** Connections of a pool of our own: they keep prepared statements. */
export interface OwnConnections {
  prepared: Prepared
  /** Those of a pooler that sets no limits. All others have our defaults. */
  defaults: WeakMap<object, TransactionDefaults>
}

/**
 * Makes a dialect of a pg pool, ours or a host's. The settings of a host's pool stay unchanged; our statements have a time limit.
 *
 * @param own only for a pool of our own
 */
export function usePgPool (pool: PgPool, statementMs = STATEMENT_MS, own?: OwnConnections): Omit<Pool, 'close'> {
  const prepared = own?.prepared
  const connections = connectionsOf.get(pool) ?? createConnections(pool)
  connectionsOf.set(pool, connections)
  const connectThrottled = connectOneByOne(() => statementMs > 0 ? connectInTime(connections.take(), statementMs) : connections.take())
  const known = new WeakMap<PgClient, TransactionDefaults>()

  const connect = async (): Promise<PostgresPoolClient> => {
    const deadline = performance.now() + statementMs
    const client = await connectThrottled().catch((error: unknown) => { throw asUnreachable(error) })
    // Connections of our own got our defaults; those of a host and of a pooler keep theirs.
    let defaults = own === undefined ? known.get(client) : own.defaults.get(client) ?? OUR_DEFAULTS
    let broken = false
    let inTransaction = false
    // The pool does not listen to a connection that is in use: a loss during a statement would end the process.
    const lost = (): void => { broken = true }
    client.on('error', lost)

    const send = async (text: string, values: readonly unknown[], name?: string): Promise<PostgresQueryResult<unknown>> => {
      const statement: PgStatement = { text, values: [...values] }
      if (statementMs > 0) statement.query_timeout = Math.max(deadline - performance.now(), 200)
      if (name !== undefined) statement.name = name
      try {
        return await client.query(statement) as PostgresQueryResult<unknown>
      } catch (error) {
        broken ||= breaksConnection(error)
        // The other connections are as old and lead to the same server: the pool would lend them for ever.
        if (isReadOnly(error)) connections.renew()
        throw error
      }
    }

    if (defaults === undefined) {
      defaults = await readDefaults((text) => send(text, [])).catch((error: unknown) => {
        client.release(true)
        throw asRefusal(error)
      })
      known.set(client, defaults)
    }

    const query = async (text: string, values: readonly unknown[]): Promise<PostgresQueryResult<unknown>> => {
      // No names in a transaction: its speed does not matter, and the cleanup would get worse plans with generic values.
      const name = inTransaction ? undefined : prepared?.nameOf(client, text)
      if (name === undefined) return await send(text, values)
      try {
        return await send(text, values, name)
      } catch (error) {
        if (!mayBeOfItsName(error)) throw error
        const result = await send(text, values)
        prepared?.distrust(client)
        return result
      }
    }

    const { begin, areOurs } = defaults
    const alone = async (text: string, values: readonly unknown[]): Promise<PostgresQueryResult<unknown>> => {
      if (areOurs) return await query(text, values)
      return await inItsOwn(begin, (text) => send(text, []), () => query(text, values)).catch(async (error: unknown) => {
        if (!broken) await send('rollback', []).catch(() => { broken = true })
        throw error
      })
    }
    const start = async (text: string): Promise<PostgresQueryResult<unknown>> => {
      inTransaction = true
      const begun = await send(text === 'begin' ? begin : text, [])
      if (statementMs === 0) for (const setting of WITHOUT_END) await send(setting, [])
      return begun
    }

    return {
      async query (text: string, values: readonly unknown[] = []) {
        // A single statement is a whole transaction and is retried after a conflict. Within a transaction, its owner retries.
        const answer = beginsTransaction(text) ? start(text) : inTransaction ? query(text, values) : retrying(() => alone(text, values))
        return await answer.catch((error: unknown) => { throw asRefusal(error) })
      },
      // A connection whose statement timed out is still busy with it: the pool must not lend it again.
      release () {
        if (!broken) client.off('error', lost)
        client.release(broken)
      }
    } as PostgresPoolClient
  }
  return {
    dialect: new PostgresDialect({ pool: { connect, end: async () => {} } as PostgresPool }),
    renew: connections.renew,
    stats: () => ({ total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount })
  }
}

interface Connections {
  take (): Promise<PgClient>
  renew (): void
}

/** One for each pool, shared by all registrations on it: a renewal by one holds for all. */
const connectionsOf = new WeakMap<PgPool, Connections>()

/** Tracks the age of a pool's connections, counted in renewals. One that was already open counts as the oldest. */
function createConnections (pool: PgPool): Connections {
  const madeDuring = new WeakMap<PgClient, number>()
  let renewals = 0
  pool.on?.('connect', (client) => { madeDuring.set(client, renewals) })

  function isOutdated (client: PgClient): boolean {
    const made = madeDuring.get(client) ?? (pool.on === undefined ? renewals : 0)
    madeDuring.set(client, made)
    return made < renewals
  }

  return {
    async take () {
      for (;;) {
        const client = await pool.connect()
        if (!isOutdated(client)) return client
        client.release(true)
      }
    },
    renew () { renewals++ }
  }
}
