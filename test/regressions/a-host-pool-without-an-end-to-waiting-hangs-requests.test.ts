import { Kysely, PostgresDialect, sql } from 'kysely'
import type pg from 'pg'
import t from 'tap'
import { openHostDatabase, type HostDatabase } from '../../src/tables/host-database.js'
import { rows } from '../../src/tables/db.js'
import { freshDatabase, openPool } from '../helpers/database.js'
import { need } from '../helpers/need.js'
import { targetOf, tcpProxy } from '../helpers/tcp-proxy.js'
import { until } from '../helpers/wait.js'

/*
 * The usual `new pg.Pool({ connectionString })` waits for a connection for ever. Every guarded request hung while PostgreSQL
 * was stopped or the host itself kept all connections busy, in place of 503 within 1.5 s. Only statements had a time limit.
 */

await need('postgres')
const { url } = await freshDatabase(t)
const proxy = await tcpProxy(t, targetOf(url))

const newPool = () => {
  const pool = openPool(proxy.url(url), { max: 2 })
  t.teardown(() => pool.end())
  return pool
}

const inMs = async (work: () => Promise<unknown>): Promise<number> => {
  const startedAtMs = performance.now()
  await work()
  return performance.now() - startedAtMs
}

/** [kind of database option, options with the host's pool] */
const hosts: ReadonlyArray<readonly [string, (pool: pg.Pool) => HostDatabase]> = [
  ['a pool', (pool) => pool],
  ['a Kysely instance', (pool) => new Kysely({ dialect: new PostgresDialect({ pool }) })]
]

for (const [name, handIn] of hosts) {
  t.test(`O3 ${name} that waits for ever: requests are refused in time, and no connection is kept`, async (t) => {
    const pool = newPool()
    const { db } = await openHostDatabase(handIn(pool), 'countersign', () => {})
    const ask = () => rows(db, sql`select 1 as one`)
    const rush = () => Promise.all(Array.from({ length: 5 }, () => t.rejects(ask(), { code: 'UNAVAILABLE' })))
    t.same(await ask(), [{ one: 1 }])

    const held = [await pool.connect(), await pool.connect()]
    t.ok(await inMs(rush) < 1_900, 'the host has them all')
    for (const client of held) client.release()
    t.same(await ask(), [{ one: 1 }])

    proxy.pause()
    t.ok(await inMs(rush) < 1_900, 'PostgreSQL stands still')
    t.ok(await inMs(rush) < 1_900, 'and still does')
    proxy.resume()
    await until('it to be back', () => ask().then(() => true, () => false))
    t.same(await Promise.all(Array.from({ length: 6 }, ask)), Array(6).fill([{ one: 1 }]))
    await until('all to be given back', () => pool.waitingCount === 0 && pool.idleCount === pool.totalCount)
  })
}
