import { CompiledQuery, Kysely, PostgresDialect } from 'kysely'
import type pg from 'pg'
import t, { type Test } from 'tap'
import { secondFactorMigrations } from '../../migrations/index.js'
import { readEnds } from '../../src/sessions/revocations/revocations.js'
import { openHostDatabase, type HostDatabase } from '../../src/tables/host-database.js'
import { migrateUp } from '../../src/postgres/migrator.js'
import { openPostgres } from '../../src/postgres/server-pool.js'
import { readSessionContext } from '../../src/sessions/statements.js'
import type { Db } from '../../src/tables/db.js'
import { IN_MEMORY, startPostgres } from '../chaos/postgres-server.js'
import { openPool } from '../helpers/database.js'
import { need } from '../helpers/need.js'
import { tcpProxy } from '../helpers/tcp-proxy.js'
import { until } from '../helpers/wait.js'

await need('initdb')

/** Starts two servers with our tables, and a name that leads to one of them. Open connections stay at their server. */
const undo = (work: () => unknown): void => { t.teardown(work as () => void) }
const servers = [await startPostgres(undo, IN_MEMORY), await startPostgres(undo, IN_MEMORY)] as const
for (const { url } of servers) {
  const pool = openPostgres(url, 2, () => {}, 0)
  await migrateUp(pool.dialect, secondFactorMigrations, 'countersign').finally(() => pool.close())
}
const CONNECTIONS = 5

async function setReadOnly (isReadOnly: boolean): Promise<void> {
  const [former] = servers
  await former.query(`alter system set default_transaction_read_only = ${isReadOnly ? 'on' : 'off'}`)
  await former.query('select pg_reload_conf()')
  await until('the setting',
    async () => (await former.query('show transaction_read_only'))[0]!['transaction_read_only'] === (isReadOnly ? 'on' : 'off'))
}

async function named (t: Test): Promise<{ url: string, name: { port: number }, newPool: () => pg.Pool }> {
  const name = { host: '127.0.0.1', port: servers[0].port }
  const proxy = await tcpProxy(t, name)
  const url = proxy.url(servers[0].url)
  const newPool = () => {
    const pool = openPool(url, { max: CONNECTIONS })
    t.teardown(() => pool.end())
    return pool
  }
  return { url, name, newPool }
}

const portOf = async ({ kysely }: Db): Promise<number> =>
  Number((await kysely.executeQuery<{ port: string }>(CompiledQuery.raw(
    "select current_setting('port') as port, pg_sleep(0.02)"))).rows[0]!.port)
const portsOf = async (db: Db): Promise<number[]> => [...new Set(await Promise.all(Array.from({ length: CONNECTIONS }, () => portOf(db))))]
const write = (db: Db, id: string) =>
  db.kysely.executeQuery(CompiledQuery.raw("insert into countersign.otp_key (name, sealed) values ($1, '')", [id]))

/** [name, statement for a server without writes] */
const askings: ReadonlyArray<readonly [string, (db: Db) => Promise<unknown>]> = [
  ['a write', (db) => write(db, 'one')],
  ['whether a session is alive', (db) => readSessionContext(db, 'ada', 'one')],
  ['which sessions ended', (db) => readEnds(db, null)]
]

/** [kind of database, function that opens it] */
const databases: ReadonlyArray<readonly [string, (from: Awaited<ReturnType<typeof named>>) => HostDatabase]> = [
  ['an address', ({ url }) => url],
  ["a host's pool", ({ newPool }) => newPool()],
  ["a host's pool with connections from before", ({ newPool }) => newPool()]
]

for (const [kind, give] of databases) {
  for (const [what, ask] of askings) {
    t.test(`J5 O3 ${kind}: ${what}, of a server that was made read-only: refused, and no connection to it is used again`, async (t) => {
      const from = await named(t)
      const given = give(from)
      if (kind.endsWith('before')) {
        await Promise.all(Array.from({ length: CONNECTIONS }, () => (given as pg.Pool).query('select pg_sleep(0.02)')))
      }
      const { db, close } = await openHostDatabase(given, 'countersign', () => {})
      t.teardown(close)
      t.same(await portsOf(db), [servers[0].port])
      await setReadOnly(true)
      t.teardown(() => setReadOnly(false))
      await t.rejects(ask(db), { code: 'UNAVAILABLE', cause: { code: '25006' } })
      from.name.port = servers[1].port
      t.same(await portsOf(db), [servers[1].port], 'by new connections')
      await write(db, `${kind}, ${what}`)
      t.same((await readSessionContext(db, 'ada', 'one')).reading, null)
    })
  }
}

t.test('J5 O3 our own pools take no new connection that leads to a server without writes', async (t) => {
  await setReadOnly(true)
  t.teardown(() => setReadOnly(false))
  const { url, name } = await named(t)
  const { db, close } = await openHostDatabase(url, 'countersign', () => {})
  t.teardown(close)
  await t.rejects(portOf(db), { code: 'UNAVAILABLE', cause: { code: '25006' } })
  name.port = servers[1].port
  t.equal(await portOf(db), servers[1].port)
})

t.test("J5 a host's Kysely instance keeps its connections, but answers of a server without writes are refused", async (t) => {
  const { newPool } = await named(t)
  const { db } = await openHostDatabase(new Kysely({ dialect: new PostgresDialect({ pool: newPool() }) }), 'countersign', () => {})
  await readEnds(db, null)
  await setReadOnly(true)
  t.teardown(() => setReadOnly(false))
  for (const [what, ask] of askings) await t.rejects(ask(db), { code: 'UNAVAILABLE', cause: { code: '25006' } }, what)
})

t.test('O3 two registrations on one pool: what one of them finds out holds for both', async (t) => {
  const { name, newPool } = await named(t)
  const pool = newPool()
  const [one, two] = [await openHostDatabase(pool, 'countersign', () => {}), await openHostDatabase(pool, 'countersign', () => {})]
  t.same(await portsOf(two.db), [servers[0].port])
  one.db.renew()
  name.port = servers[1].port
  t.same(await portsOf(two.db), [servers[1].port])
  t.equal(pool.totalCount, CONNECTIONS)
  t.ok(pool.listenerCount('connect') <= 1, 'and they listen once')
})
