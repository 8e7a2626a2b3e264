import { CompiledQuery, Kysely } from 'kysely'
import pg from 'pg'
import t from 'tap'
import { openPostgres } from '../../src/postgres/server-pool.js'
import { AS_DOCUMENTED, startPgbouncer } from '../chaos/pgbouncer.js'
import { freshDatabase } from '../helpers/database.js'
import { need } from '../helpers/need.js'
import type { Owner } from '../helpers/teardown.js'
import { until } from '../helpers/wait.js'

/*
 * The service set its time limits for the session, also through a pooler: other applications got the connection with them, and
 * PostgreSQL ended their statements after 1.3 s.
 */

await need('postgres')
await need('pgbouncer')
const db = await freshDatabase(t)

const SETTINGS = ['statement_timeout', 'idle_in_transaction_session_timeout', 'default_transaction_isolation', 'lock_timeout']
const READ = `select ${SETTINGS.map((name) => `current_setting('${name}') as ${name}`).join(', ')}`

/** Opens a pool, and the same address as another application. */
async function opened (t: Owner, address: string) {
  const pool = openPostgres(address, 1, () => {})
  t.teardown(() => pool.close())
  const kysely = new Kysely<unknown>({ dialect: pool.dialect })
  const other = new pg.Client(address)
  await other.connect()
  t.teardown(() => other.end())
  return {
    ask: async (text: string) => (await kysely.executeQuery<Record<string, unknown>>(CompiledQuery.raw(text))).rows,
    inTransaction: async (text: string) => await kysely.transaction().execute(async (tx) =>
      (await tx.executeQuery<Record<string, unknown>>(CompiledQuery.raw(text))).rows),
    other: async (text: string) => (await other.query(text)).rows as unknown[]
  }
}

const OURS = {
  statement_timeout: '1300ms', idle_in_transaction_session_timeout: '2s', default_transaction_isolation: 'read committed', lock_timeout: '0'
}

t.test('M2 a pooler whose connections have no limits: ours hold for our statements, and for no other application', async (t) => {
  const name = new URL(db.url).pathname.slice(1)
  await db.query(`alter database ${name} set default_transaction_isolation = 'serializable'`)
  await db.query(`alter database ${name} set lock_timeout = '1h'`)
  const pooler = await startPgbouncer((undo) => { t.teardown(undo) }, db.url, '')
  const { ask, inTransaction, other } = await opened(t, pooler.url(db.url))
  const theirs = {
    statement_timeout: '0', idle_in_transaction_session_timeout: '0', default_transaction_isolation: 'serializable', lock_timeout: '1h'
  }
  t.same(await other(READ), [theirs])
  for (const read of [ask, inTransaction]) {
    t.same(await read(READ), [OURS])
    t.same(await read("select current_setting('transaction_isolation') as level"), [{ level: 'read committed' }])
    t.same(await other(READ), [theirs], 'afterwards')
  }
  await t.rejects(ask('select pg_sleep(30)'), { code: 'UNAVAILABLE' })
  await until('the server to give up too', async () => (await db.query(`select 1 from pg_stat_activity
    where query like '%pg_sleep(30)%' and state = 'active' and pid <> pg_backend_pid()`)).length === 0)
  await t.rejects(ask('select 1 / 0'), { code: '22012' })
  t.same(await ask('select 1 as one'), [{ one: 1 }])
  t.same(await other(READ), [theirs])
})

t.test('a pooler that sets the limits: a statement goes alone, without a transaction around it', async (t) => {
  const pooler = await startPgbouncer((undo) => { t.teardown(undo) }, db.url, AS_DOCUMENTED)
  const { ask } = await opened(t, pooler.url((await freshDatabase(t)).url))
  const [sent] = await ask('select query as text, xact_start = query_start as "isAlone" from pg_stat_activity where pid = pg_backend_pid()')
  t.match(sent, { text: /^select query/, isAlone: true })
  t.match(await ask(READ), [{ statement_timeout: '1300ms', default_transaction_isolation: 'read committed' }])
})

t.test('straight at PostgreSQL our settings are those of the connection', async (t) => {
  const { ask } = await opened(t, db.url)
  t.same(await ask(READ), [OURS])
})
