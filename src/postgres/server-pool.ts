import pg from 'pg'
import { APPLICATION, checkTarget, connectFirst, poolInTurn, serversOf } from './connect.js'
import { asRefusal, readOnlyError } from './errors.js'
import { CONNECT_MS, IDLE_CONNECTION_MS, IDLE_IN_TRANSACTION_MS, SERVER_STATEMENT_MS, STATEMENT_MS } from '../timing/limits.js'
import { usePgPool, type Pool } from './pool.js'
import { createPrepared } from './prepared-statements.js'
import { requirePostgres } from './server-check.js'
import { isLimited, setForSession, withinLimits, type TransactionDefaults } from './transaction-defaults.js'
import { asUnusable } from './unusable.js'

/**
 * Opens a pool of our own. Every wait has a limit. An error listener is attached: without one, the process exits when
 * PostgreSQL restarts.
 *
 * @param statementMs 0 for migrations, which wait for each other
 * @param connectMs time limit of a connection; may be long where no request waits
 */
export function openPostgres (
  url: string, max: number, report: (error: Error) => void, statementMs = STATEMENT_MS, connectMs = CONNECT_MS
): Pool {
  const prepared = createPrepared()
  const defaults = new WeakMap<object, TransactionDefaults>()
  const limits = statementMs > 0 ? LIMITS : NO_LIMITS
  const { configs, address } = serversOf(url)
  // The service always writes: of several hosts, only one that takes writes is used, even if the address says otherwise.
  const target = configs.length > 1 ? 'primary' : address.target
  const pools = configs.map((config) => new pg.Pool({
    application_name: APPLICATION,
    ...config,
    max,
    connectionTimeoutMillis: connectMs,
    idleTimeoutMillis: IDLE_CONNECTION_MS,
    keepAlive: true,
    // Settings are not start-up parameters: pgbouncer refuses them.
    onConnect: async (client: pg.ClientBase) => {
      const ask = async (text: string) => await client.query({ text, query_timeout: connectMs } as pg.QueryConfig)
      await checkTarget(client, target, connectMs)
      const answers = await ask(`${setForSession(limits, processOf(client))}; ${WHO_ANSWERS}`) as unknown as pg.QueryResult[]
      const { pid, isReadOnly, hasLimits } = answers.at(-1)!.rows[0] as Introduction
      if (statementMs === 0) return
      // After a failover, a host name can lead to the demoted server for seconds. Its answers may be out of date.
      if (isReadOnly) throw readOnlyError()
      if (pid === processOf(client)) prepared.trust(client)
      else if (!hasLimits) defaults.set(client, withinLimits(limits))
    }
  } as pg.PoolConfig))
  for (const pool of pools) pool.on('error', report)
  const [first] = pools
  const pool = pools.length === 1 ? first! : poolInTurn(pools)
  const close = async () => { await Promise.all(pools.map((one) => one.end())) }
  return { ...usePgPool(pool, statementMs, { prepared, defaults }), close }
}

const LIMITS = { statementMs: SERVER_STATEMENT_MS, idleInTransactionMs: IDLE_IN_TRANSACTION_MS }
const NO_LIMITS = { statementMs: 0, idleInTransactionMs: 0 }

interface Introduction {
  /** The process that answered. */
  pid: number
  isReadOnly: boolean
  /** True if the server ends our statements in time. */
  hasLimits: boolean
}

const WHO_ANSWERS = `select pg_backend_pid() as pid, current_setting('transaction_read_only') = 'on' as "isReadOnly",
  ${isLimited(LIMITS)} as "hasLimits"`

/** The process that introduced itself to the connection. Behind a pooler, another one answers. */
const processOf = (client: pg.ClientBase): number => (client as pg.ClientBase & { processID: number | null }).processID ?? 0

/**
 * Checks the server at an address, on a connection of its own and before any other statement.
 *
 * `isPooled`: a pooler (pgbouncer, RDS Proxy) lends PostgreSQL's connections. There, a session-level lock, such as that of
 * migrations, does not hold.
 *
 * @throws {UnusableDatabaseError} if it is no supported PostgreSQL, or refuses the connection permanently
 */
export async function inspect (url: string, connectMs = CONNECT_MS): Promise<{ isPooled: boolean }> {
  let client: pg.Client | undefined
  try {
    const limits = { connectionTimeoutMillis: connectMs, query_timeout: Math.max(connectMs, STATEMENT_MS) }
    const connected = await connectFirst(serversOf(url), limits)
    client = connected
    const { pid } = await requirePostgres((text) => connected.query(text))
    return { isPooled: pid !== processOf(connected) }
  } catch (error) {
    throw asUnusable(asRefusal(error))
  } finally {
    await client?.end().catch(() => {})
  }
}
