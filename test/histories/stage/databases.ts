import pg from 'pg'
import { emptyDatabase } from '../../helpers/database.js'
import { createOwner, type Owner } from '../../helpers/teardown.js'
import { targetOf } from '../../helpers/tcp-proxy.js'
import { until } from '../../helpers/wait.js'
import { pass } from '../../chaos/scenario.js'
import { addSynchronousStandby, IN_MEMORY, startPostgres, type PostgresServer } from '../../chaos/postgres-server.js'

/** Databases of the service and of the host, on one server. */
export interface Databases {
  /** Addresses on the first server: a proxy in front of it stays when the server changes. */
  readonly urls: { service: string, host: string }
  /** The server that takes writes now. */
  target (): { host: string, port: number }
  /** Asks the server itself, without a proxy. @throws if it does not answer */
  query (which: 'service' | 'host', text: string, values: readonly unknown[]): Promise<Array<Record<string, unknown>>>
  /** Only with servers of its own. */
  faults?: {
    freeze (): Promise<void>
    thaw (): Promise<void>
    /** Kills the primary and promotes its synchronous standby. `moved` is called then. Adds another standby. */
    failOver (moved: () => void): Promise<void>
  }
}

const QUERY_MS = 2_000
/** Time until a failover manager would be sure that the primary is gone. */
const DECIDE_MS = 800
const PROMOTED_MS = 60_000

/** Promotes a standby, if it is not promoted yet. @returns true if it takes writes */
async function isPromoted ({ query }: PostgresServer): Promise<boolean> {
  const [row] = await query('select case when pg_is_in_recovery() then pg_promote() else true end as is')
  return row!['is'] === true
}

async function ask (url: string, text: string, values: readonly unknown[]): Promise<Array<Record<string, unknown>>> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: QUERY_MS, query_timeout: QUERY_MS })
  client.on('error', () => {})
  try {
    await client.connect()
    return (await client.query(text, [...values])).rows as Array<Record<string, unknown>>
  } finally {
    await client.end().catch(() => {})
  }
}

/** Databases on a server that others use too: it is not paused. */
export async function databasesOn (t: Owner, server: string): Promise<Databases> {
  const urls = { service: await emptyDatabase(t, server), host: await emptyDatabase(t, server) }
  return {
    urls,
    target: () => targetOf(server),
    query: async (which, text, values) => await ask(urls[which], text, values)
  }
}

/** A primary of its own, with a synchronous standby. */
export async function ownDatabases (t: Owner): Promise<Databases> {
  let owner = createOwner()
  let primary = await startPostgres(owner.teardown, IN_MEMORY)
  let nextOwner = createOwner()
  t.teardown(async () => { await nextOwner.end(); await owner.end() })
  for (const name of ['service', 'host']) await primary.query(`create database ${name} template template0 encoding 'UTF8'`)
  let standby: PostgresServer = await addSynchronousStandby(nextOwner.teardown, primary)
  const urlOf = (which: string) => primary.url.replace(/postgres$/, which)
  return {
    urls: { service: urlOf('service'), host: urlOf('host') },
    target: () => ({ host: '127.0.0.1', port: primary.port }),
    query: async (which, text, values) => await ask(urlOf(which), text, values),
    faults: {
      freeze: () => primary.freeze(),
      thaw: () => primary.thaw(),
      async failOver (moved) {
        const dead = owner
        await primary.kill()
        await pass(DECIDE_MS)
        await until('the standby to be promoted', () => isPromoted(standby).catch(() => false), PROMOTED_MS)
        primary = standby
        owner = nextOwner
        nextOwner = createOwner()
        moved()
        await dead.end()
        standby = await addSynchronousStandby(nextOwner.teardown, primary)
      }
    }
  }
}
