import { PostgresDialect, type Dialect, type PostgresPool, type PostgresPoolClient, type PostgresQueryResult } from 'kysely'
import { asRefusal, asUnreachable, breaksConnection, isReadOnly, mayBeOfItsName } from './errors.js'
import { connectInTime } from './in-time.js'
import { knockOneByOne } from './connection-throttle.js'
import type { Prepared } from './prepared-statements.js'
import { retrying } from './retry.js'
import { inItsOwn, OUR_DEFAULTS, readDefaults, WITHOUT_END, type TransactionDefaults } from './transaction-defaults.js'

/** A statement is answered or given up within this, waiting for a connection included: 503 comes within 1.5 s. */
export const STATEMENT_MS = 1_400

export const beginsTransaction = (text: string): boolean => /^(begin|start transaction)\b/i.test(text)

/** All of it: back to a savepoint is not the end. */
export const endsTransaction = (text: string): boolean => /^(commit|rollback)$/i.test(text)

/** pg names the command, others do not; Kysely counts changed rows by it. */
export const commandOf = (text: string): string => /^\s*(insert|update|delete|merge)\b/i.exec(text)?.[1]?.toUpperCase() ?? 'SELECT'

/** Seen from outside: how many connections there are, and how many statements wait for one. */
export interface PoolStats { total: number, idle: number, waiting: number }

export interface Pool {
  dialect: Dialect
  /** Connections that were made before this call are closed when they are next taken from the pool. */
  renew (): void
  stats (): PoolStats
  /** For our own pools only: a host's stays the host's. */
  close (): Promise<void>
}

/** What we ask of pg's pool, ours or a host's. By its shape: whoever only attaches needs neither `pg` nor its types. */
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
  /** By which the connection keeps it: one statement alone, then. */
  name?: string
  text: string
  values: unknown[]
  /** In milliseconds. pg knows it for each statement; its types do not. */
  query_timeout?: number
}

/**
 * The door for a host's own pool. Its settings stay its own; our statements still have an end.
 *
 * @param prepared for a pool of ours alone: its connections keep what they were given
 */
export function usePgPool (pool: PgPool, statementMs = STATEMENT_MS, prepared?: Prepared): Omit<Pool, 'close'> {
  const connections = connectionsOf.get(pool) ?? createConnections(pool)
  connectionsOf.set(pool, connections)
  const knock = knockOneByOne(() => statementMs > 0 ? connectInTime(connections.take(), statementMs) : connections.take())
  const known = new WeakMap<PgClient, TransactionDefaults>()

  const connect = async (): Promise<PostgresPoolClient> => {
    const deadline = performance.now() + statementMs
    const client = await knock().catch((error: unknown) => { throw asUnreachable(error) })
    // A connection of ours was given our defaults; a host's keeps its own.
    let defaults = prepared === undefined ? known.get(client) : OUR_DEFAULTS
    let broken = false
    let inTransaction = false
    // While a connection is lent out the pool does not listen to it: one lost in the middle of a statement would end the process.
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
        // The others were made when this one was, and lead to the same server: the pool would hand them out for ever.
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
      // Nobody waits for what takes several statements; and the sweep's would go another way if they were planned for any values.
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
        // A statement on its own is a whole transaction: losing a race costs another try. Within one, its owner tries again.
        const answer = beginsTransaction(text) ? start(text) : inTransaction ? query(text, values) : retrying(() => alone(text, values))
        return await answer.catch((error: unknown) => { throw asRefusal(error) })
      },
      // A connection whose statement timed out is still busy with it: the pool must not hand it on.
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

/** One for each pool, however many registrations share it: what one of them finds out holds for all. */
const connectionsOf = new WeakMap<PgPool, Connections>()

/** The pool's connections, with their age counted in renewals. One that was open before we came is older than any of them. */
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
