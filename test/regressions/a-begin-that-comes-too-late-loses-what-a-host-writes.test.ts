import { Kysely, PostgresDialect, sql } from 'kysely'
import t from 'tap'
import { openHostDatabase } from '../../src/tables/host-database.js'
import { inTransaction } from '../../src/tables/transaction.js'
import { freshDatabase, openPool } from '../helpers/database.js'
import { need } from '../helpers/need.js'
import { targetOf, tcpProxy } from '../helpers/tcp-proxy.js'

/*
 * After its time limit a BEGIN is abandoned, but PostgreSQL still executes it. The host's Kysely instance got its connection
 * back within that transaction, and the host's later writes on that connection were never committed.
 */

await need('postgres')
const { url, query } = await freshDatabase(t)
const proxy = await tcpProxy(t, targetOf(url))

t.test('O3 the host\'s writes on a lent connection stay after its return', async (t) => {
  const pool = openPool(proxy.url(url), { max: 1 })
  t.teardown(() => pool.end())
  const host = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) })
  const { db } = await openHostDatabase(host, 'countersign', () => {})
  await query('create table host_row (id int)')
  const [before] = (await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(host)).rows

  const begun = proxy.holdNext((bytes) => bytes.includes('BEGIN\0'))
  await t.rejects(inTransaction(db, async () => { t.fail('it has not begun') }), { code: 'UNAVAILABLE' })
  begun.release()

  await sql`insert into host_row values (1)`.execute(host)
  t.same((await sql`select pg_backend_pid() as pid`.execute(host)).rows, [before], 'on the same connection')
  t.same(await query('select id from host_row'), [{ id: 1 }])
  t.equal(await inTransaction(db, async () => 'and transactions go on'), 'and transactions go on')
})
