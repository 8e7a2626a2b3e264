import pg from 'pg'
import { APPLICATION, checkTarget, connectFirst, poolInTurn, serversOf } from './connect.js'
import { asRefusal, readOnlyError } from './errors.js'
import { CONNECT_MS, IDLE_CONNECTION_MS, IDLE_IN_TRANSACTION_MS, SERVER_STATEMENT_MS, STATEMENT_MS } from '../timing/limits.js'
import { usePgPool, type Pool } from './pool.js'
import { createPrepared } from './prepared-statements.js'
import { requirePostgres } from './server-check.js'
import { SET_DEFAULTS } from './transaction-defaults.js'
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
      if (statementMs > 0) {
        const text = `${settingsFor(SERVER_STATEMENT_MS, IDLE_IN_TRANSACTION_MS)}; ${WHO_ANSWERS}`
        const answers = await ask(text) as unknown as pg.QueryResult[]
        const { pid, isReadOnly } = introductionOf(answers.at(-1)!)
        // After a failover, a host name can lead to the demoted server for seconds. Its answers may be out of date.
        if (isReadOnly) throw readOnlyError()
        if (isDirect(client, pid)) prepared.trust(client)
      // Not through a pooler: other clients would get this connection without a time limit.
      } else if (isDirect(client, introductionOf(await ask(WHO_ANSWERS)).pid)) await ask(settingsFor(0, 0))
    }
  } as pg.PoolConfig))
  for (const pool of pools) pool.on('error', report)
  const [first] = pools
  const pool = pools.length === 1 ? first! : poolInTurn(pools)
  return { ...usePgPool(pool, statementMs, prepared), close: async () => { await Promise.all(pools.map((one) => one.end())) } }
}

/** Overrides every time limit that a role or a database may set. The last one exists from PostgreSQL 17 on. */
const settingsFor = (statementMs: number, idleInTransactionMs: number) => [
  `set statement_timeout = ${statementMs}`,
  `set idle_in_transaction_session_timeout = ${idleInTransactionMs}`,
  SET_DEFAULTS,
  'set lock_timeout = 0',
  'set idle_session_timeout = 0',
  "select set_config('transaction_timeout', '0', false) where current_setting('transaction_timeout', true) <> '0'"
].join('; ')

interface Introduction { pid: number, isReadOnly: boolean }

const WHO_ANSWERS = 'select pg_backend_pid() as pid, current_setting(\'transaction_read_only\') = \'on\' as "isReadOnly"'

/** True if the process that answers is the one that the connection was opened to, so there is no pooler. */
function isDirect (client: pg.ClientBase, pid: number): boolean {
  return pid === (client as pg.ClientBase & { processID: number | null }).processID
}

const introductionOf = ({ rows: [answer] }: pg.QueryResult): Introduction => answer as Introduction

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
    return { isPooled: !isDirect(connected, pid) }
  } catch (error) {
    throw asUnusable(asRefusal(error))
  } finally {
    await client?.end().catch(() => {})
  }
}
