import { PGlite } from '@electric-sql/pglite'
import { PostgresDialect, type Dialect, type PostgresPool, type PostgresPoolClient, type PostgresQueryResult } from 'kysely'
import pg from 'pg'
import { asRefusal, breaksConnection } from './errors.js'
import { knockOneByOne } from './knock.js'
import { retrying } from './retry.js'

/** A statement is answered or given up within this, waiting for a connection included: 503 comes within 1.5 s. */
const STATEMENT_MS = 1_400
/** The server gives up a little earlier, so that a lock that nobody waits for any more is not waited for. */
const SERVER_STATEMENT_MS = 1_300
const CONNECT_MS = 1_000
/** Who locked a user and stopped there (a frozen process, a network gone) must not keep that user out. */
const IDLE_IN_TRANSACTION_MS = 2_000

/** Seen from outside: how many connections there are, and how many statements wait for one. */
export interface PoolStats { total: number, idle: number, waiting: number }

export interface Pool {
  dialect: Dialect
  stats (): PoolStats
  /** For our own pools only: a host's stays the host's. */
  close (): Promise<void>
}

type Report = (error: Error) => void

/** What we ask of pg's pool, ours or a host's. */
export type PgPool = Pick<pg.Pool, 'connect' | 'totalCount' | 'idleCount' | 'waitingCount'>

/**
 * A pool of our own. Every wait has an end, and there is an error listener: without one, the process exits when
 * Postgres restarts.
 *
 * @param statementMs 0 for migrations, which wait for each other
 */
export function openPostgres (url: string, max: number, report: Report, statementMs = STATEMENT_MS): Pool {
  const pool = new pg.Pool({
    connectionString: url,
    max,
    connectionTimeoutMillis: CONNECT_MS,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    application_name: 'countersign',
    // Not a start-up parameter: pgbouncer refuses those.
    onConnect: async (client: pg.ClientBase) => {
      if (statementMs > 0) await client.query({ text: `set statement_timeout = ${SERVER_STATEMENT_MS}; set idle_in_transaction_session_timeout = ${IDLE_IN_TRANSACTION_MS}`, query_timeout: CONNECT_MS } as pg.QueryConfig)
    }
  } as pg.PoolConfig)
  pool.on('error', report)
  return { ...usePgPool(pool, statementMs), close: () => pool.end() }
}

/** The door for a host's own pool. Its settings stay its own; our statements still have an end. */
export function usePgPool (pool: PgPool, statementMs = STATEMENT_MS): Omit<Pool, 'close'> {
  const knock = knockOneByOne(() => pool.connect())
  const connect = async (): Promise<PostgresPoolClient> => {
    const deadline = performance.now() + statementMs
    const client = await knock().catch((error: unknown) => { throw asRefusal(error) })
    let broken = false
    let inTransaction = false
    // While a connection is lent out the pool does not listen to it: one lost in the middle of a statement would end the process.
    const lost = (): void => { broken = true }
    client.on('error', lost)

    const query = async (text: string, values: readonly unknown[]): Promise<PostgresQueryResult<unknown>> => {
      const config = statementMs > 0
        ? { text, values: [...values], query_timeout: Math.max(deadline - performance.now(), 200) }
        : { text, values: [...values] }
      try {
        return await client.query(config) as PostgresQueryResult<unknown>
      } catch (error) {
        broken ||= breaksConnection(error)
        throw error
      }
    }

    return {
      async query (text: string, values: readonly unknown[] = []) {
        if (/^(begin|start transaction)\b/i.test(text)) inTransaction = true
        // A statement on its own is a whole transaction: losing a race costs another try. Within one, its owner tries again.
        return await (inTransaction ? query(text, values) : retrying(() => query(text, values))).catch((error: unknown) => { throw asRefusal(error) })
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
    stats: () => ({ total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount })
  }
}

/**
 * Whether a pooler (pgbouncer, RDS Proxy) hands out Postgres' connections: then the process that answers is not the one
 * that introduced itself. There, what belongs to a connection, as the lock of migrations does, belongs to nobody.
 */
export async function isPooled (url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_MS, query_timeout: STATEMENT_MS, application_name: 'countersign' })
  client.on('error', () => {})
  try {
    await client.connect()
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
    return rows[0]?.pid !== (client as pg.Client & { processID: number | null }).processID
  } catch (error) {
    throw asRefusal(error)
  } finally {
    await client.end().catch(() => {})
  }
}

/**
 * Postgres inside the process, for running with nothing set. It has one connection, so its users take turns.
 * The folder must be locked by the caller: two processes on it lose data.
 */
export async function openEmbedded (dir: string): Promise<Pool> {
  const pglite = await PGlite.create({ dataDir: dir })
  let turn: Promise<void> = Promise.resolve()
  let waiting = 0
  let closed = false

  const connect = async (): Promise<PostgresPoolClient> => {
    if (closed) throw asRefusal(new Error('PGlite is closed'))
    let release!: () => void
    const mine = new Promise<void>((resolve) => { release = resolve })
    const previous = turn
    turn = previous.then(() => mine)
    waiting++
    await previous
    waiting--
    return {
      async query (text: string, values: readonly unknown[] = []) {
        const result = await pglite.query(text, [...values]).catch((error: unknown) => { throw asRefusal(error) })
        // pg names the command, PGlite does not; Kysely counts changed rows by it.
        const command = /^\s*(insert|update|delete|merge)\b/i.exec(text)?.[1]?.toUpperCase() ?? 'SELECT'
        return { command, rowCount: result.affectedRows ?? result.rows.length, rows: result.rows }
      },
      release
    } as PostgresPoolClient
  }
  return {
    dialect: new PostgresDialect({ pool: { connect, end: async () => {} } as PostgresPool }),
    stats: () => ({ total: 1, idle: waiting === 0 ? 1 : 0, waiting }),
    async close () {
      closed = true
      await turn
      await pglite.close()
    }
  }
}
