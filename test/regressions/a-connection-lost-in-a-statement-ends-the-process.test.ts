import { sql } from 'kysely'
import t from 'tap'
import { openPostgres } from '../../src/postgres/server-pool.js'
import { createDb, row } from '../../src/tables/db.js'
import { need } from '../helpers/need.js'
import { targetOf, tcpProxy } from '../helpers/tcp-proxy.js'
import { until } from '../helpers/wait.js'

const SIZE = 20
const server = await need('postgres')

/** O3: pg reports a lost connection twice: as the statement's failure, and as an event. A lent connection had no listener. */
t.test('O3 connections lost in the middle of their statements are refusals, and nothing else', async (t) => {
  const proxy = await tcpProxy(t, targetOf(server))
  const pool = openPostgres(proxy.url(server), SIZE, () => {})
  t.teardown(() => pool.close())
  const db = createDb(pool.dialect)
  for (let i = 0; i < 2; i++) {
    const asked = Promise.allSettled(Array.from({ length: SIZE }, () => row(db, sql`select pg_sleep(${1.2}::float8)`)))
    await until('all connections to be busy', () => pool.stats().total === SIZE && (proxy.postgresMessages['E'] ?? 0) >= SIZE)
    await proxy.cut()
    t.same(new Set((await asked).map(({ status }) => status)), new Set(['rejected']))
    proxy.resetCounts()
    await proxy.restore()
    t.same(await row(db, sql`select 1 as one`), { one: 1 }, 'and the pool serves again')
  }
})
