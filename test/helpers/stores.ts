import { once } from 'node:events'
import { connect } from 'node:net'
import pg from 'pg'

/** Stores for the tests. A missing store is embedded: PGlite for Postgres, nothing for Redis. */
export interface Stores { databaseUrl?: string, redisUrl?: string }

const LOOK_MS = 2_000
/** The oldest Postgres that the service supports. */
const OLDEST_POSTGRES = 150_000

let found: Promise<Stores> | undefined

/** Searches once per process. `npm test` searches once for all files, so that load does not change the result. */
export function stores (): Promise<Stores> {
  found ??= findStores(process.env)
  return found
}

/**
 * Returns `DATABASE_URL` and `REDIS_URL` if given, otherwise servers that answer on this machine, otherwise nothing.
 * `COUNTERSIGN_TEST_STORES=embedded` returns nothing.
 */
export async function findStores (env: NodeJS.ProcessEnv): Promise<Stores> {
  if (env['COUNTERSIGN_TEST_STORES'] === 'embedded') return {}
  const databaseUrl = env['DATABASE_URL'] || await findPostgres(['postgres', 'root', env['USER'] ?? ''])
  const redisUrl = env['REDIS_URL'] || await findRedis('127.0.0.1', 6379)
  return { ...(databaseUrl ? { databaseUrl } : {}), ...(redisUrl ? { redisUrl } : {}) }
}

/** Uses a found server only if it lets the tests create databases. */
async function findPostgres (users: readonly string[]): Promise<string | undefined> {
  for (const user of new Set(users.filter(Boolean))) {
    const url = `postgres://${encodeURIComponent(user)}@127.0.0.1:5432/postgres`
    if (await canMakeDatabases(url).catch(() => false)) return url
  }
  return undefined
}

async function canMakeDatabases (url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: LOOK_MS, query_timeout: LOOK_MS })
  client.on('error', () => {})
  try {
    await client.connect()
    const { rows } = await client.query<{ usable: boolean }>(
      `select (rolsuper or rolcreatedb) and current_setting('server_version_num')::int >= ${OLDEST_POSTGRES} as usable
         from pg_roles where rolname = current_user`)
    return rows[0]?.usable === true
  } finally {
    await client.end()
  }
}

async function findRedis (host: string, port: number): Promise<string | undefined> {
  const socket = connect({ host, port })
  try {
    socket.end('PING\r\n')
    const [answer] = await once(socket, 'data', { signal: AbortSignal.timeout(LOOK_MS) })
    return String(answer).startsWith('+PONG') ? `redis://${host}:${port}` : undefined
  } catch {
    return undefined
  } finally {
    socket.destroy()
  }
}
