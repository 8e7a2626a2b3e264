import pg from 'pg'
import { APPLICATION, checkTarget, connectFirst, poolInTurn, serversOf } from './connect.js'
import { asRefusal, readOnlyError } from './errors.js'
import { STATEMENT_MS, usePgPool, type Pool } from './pool.js'
import { createPrepared } from './prepared-statements.js'
import { requirePostgres } from './server-check.js'
import { SET_DEFAULTS } from './transaction-defaults.js'
import { asUnusable } from './unusable.js'

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
  const { configs, address } = serversOf(url)
  // What is decided is written: of several hosts only one that takes writes will do, whatever the address says.
  const target = configs.length > 1 ? 'primary' : address.target
  const pools = configs.map((config) => new pg.Pool({
    application_name: APPLICATION,
    ...config,
    max,
    connectionTimeoutMillis: connectMs,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    // Not a start-up parameter: pgbouncer refuses those.
    onConnect: async (client: pg.ClientBase) => {
      const ask = async (text: string) => await client.query({ text, query_timeout: connectMs } as pg.QueryConfig)
      await checkTarget(client, target, connectMs)
      if (statementMs > 0) {
        const answers = await ask(`${settingsFor(SERVER_STATEMENT_MS, IDLE_IN_TRANSACTION_MS)}; ${WHO_ANSWERS}`) as unknown as pg.QueryResult[]
        const { pid, isReadOnly } = introductionOf(answers.at(-1)!)
        // A name can lead to the demoted server for seconds after a failover. What it answers may be out of date.
        if (isReadOnly) throw readOnlyError()
        if (isDirect(client, pid)) prepared.trust(client)
      // Through a pooler, others would be lent this connection without a time limit.
      } else if (isDirect(client, introductionOf(await ask(WHO_ANSWERS)).pid)) await ask(settingsFor(0, 0))
    }
  } as pg.PoolConfig))
  for (const pool of pools) pool.on('error', report)
  const [first] = pools
  const pool = pools.length === 1 ? first! : poolInTurn(pools)
  return { ...usePgPool(pool, statementMs, prepared), close: async () => { await Promise.all(pools.map((one) => one.end())) } }
}

/** Nothing else ends a statement or a connection of ours, whatever a role or a database has set. PostgreSQL 17 has the last one. */
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

/** Whether the process that answers is the one that introduced itself. */
function isDirect (client: pg.ClientBase, pid: number): boolean {
  return pid === (client as pg.ClientBase & { processID: number | null }).processID
}

const introductionOf = ({ rows: [answer] }: pg.QueryResult): Introduction => answer as Introduction

/**
 * Looks at the server behind an address, on a connection of its own and before anything else is asked of it.
 *
 * `isPooled`: a pooler (pgbouncer, RDS Proxy) hands out PostgreSQL's connections. There, a session-level lock, as that of
 * migrations is, belongs to nobody.
 *
 * @throws {UnusableDatabaseError} if it is not PostgreSQL, or not one that this can stand on, or refuses the connection for good
 */
export async function inspect (url: string, connectMs = CONNECT_MS): Promise<{ isPooled: boolean }> {
  let client: pg.Client | undefined
  try {
    const connected = await connectFirst(serversOf(url), { connectionTimeoutMillis: connectMs, query_timeout: Math.max(connectMs, STATEMENT_MS) })
    client = connected
    const { pid } = await requirePostgres((text) => connected.query(text))
    return { isPooled: !isDirect(connected, pid) }
  } catch (error) {
    throw asUnusable(asRefusal(error))
  } finally {
    await client?.end().catch(() => {})
  }
}
