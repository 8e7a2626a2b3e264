import pg from 'pg'
import { asRefusal } from './errors.js'
import { STATEMENT_MS, usePgPool, type Pool } from './pool.js'
import { createPrepared } from './prepared.js'

/** The server gives up a little earlier than we do, so that a lock that nobody waits for any more is not waited for. */
const SERVER_STATEMENT_MS = 1_300
const CONNECT_MS = 1_000
/** Who locked a user and stopped there (a frozen process, a network gone) must not keep that user out. */
const IDLE_IN_TRANSACTION_MS = 2_000

/**
 * A pool of our own. Every wait has an end, and there is an error listener: without one, the process exits when
 * Postgres restarts.
 *
 * @param statementMs 0 for migrations, which wait for each other
 * @param connectMs how long a connection may take: what answers no request may be patient
 */
export function openPostgres (url: string, max: number, report: (error: Error) => void, statementMs = STATEMENT_MS, connectMs = CONNECT_MS): Pool {
  const prepared = createPrepared()
  const pool = new pg.Pool({
    connectionString: url,
    max,
    connectionTimeoutMillis: connectMs,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    application_name: 'countersign',
    // Not a start-up parameter: pgbouncer refuses those.
    onConnect: async (client: pg.ClientBase) => {
      if (statementMs === 0) return
      const text = `set statement_timeout = ${SERVER_STATEMENT_MS}; set idle_in_transaction_session_timeout = ${IDLE_IN_TRANSACTION_MS}; ${WHO_ANSWERS}`
      const answers = await client.query({ text, query_timeout: CONNECT_MS } as pg.QueryConfig) as unknown as pg.QueryResult[]
      if (isDirect(client, answers.at(-1)!)) prepared.trust(client)
    }
  } as pg.PoolConfig)
  pool.on('error', report)
  return { ...usePgPool(pool, statementMs, prepared), close: () => pool.end() }
}

const WHO_ANSWERS = 'select pg_backend_pid() as pid'

/** Whether the process that answers is the one that introduced itself. */
function isDirect (client: pg.ClientBase, { rows: [answer] }: pg.QueryResult): boolean {
  return (answer as { pid: number }).pid === (client as pg.ClientBase & { processID: number | null }).processID
}

/**
 * Whether a pooler (pgbouncer, RDS Proxy) hands out Postgres' connections. There, what belongs to a connection, as the
 * lock of migrations does, belongs to nobody.
 */
export async function isPooled (url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_MS, query_timeout: STATEMENT_MS, application_name: 'countersign' })
  client.on('error', () => {})
  try {
    await client.connect()
    return !isDirect(client, await client.query(WHO_ANSWERS))
  } catch (error) {
    throw asRefusal(error)
  } finally {
    await client.end().catch(() => {})
  }
}
