import { CompiledQuery, Kysely } from 'kysely'
import t from 'tap'
import { openPostgres } from '../../src/postgres/server-pool.js'
import { startPgbouncer } from '../chaos/pgbouncer.js'
import { freshDatabase } from '../helpers/database.js'
import { need } from '../helpers/need.js'
import type { Owner } from '../helpers/teardown.js'

await need('postgres')
await need('pgbouncer')
const { url, query } = await freshDatabase(t)

/** Opens a pool of one connection, so that all statements use the same one. */
function opened (owner: Owner, address: string) {
  const pool = openPostgres(address, 1, () => {})
  owner.teardown(() => pool.close())
  const db = new Kysely<unknown>({ dialect: pool.dialect })
  const ask = async (text: string, ...values: unknown[]) =>
    (await db.executeQuery<Record<string, unknown>>(CompiledQuery.raw(text, values))).rows
  return { db, ask }
}
const PREPARED = 'select name, statement from pg_prepared_statements order by prepare_time'

t.test('a statement is prepared once, whatever it is given', async (t) => {
  const { ask } = opened(t, url)
  for (const n of [1, 2, 3]) t.same(await ask('select $1::int + 1 as next', n), [{ next: n + 1 }])
  const [prepared, ...others] = await ask(PREPARED)
  t.match(prepared, { name: /^countersign_/, statement: 'select $1::int + 1 as next' })
  t.match(others, [{ statement: PREPARED }])
})

t.test('within a transaction nothing is', async (t) => {
  const { db, ask } = opened(t, url)
  await db.transaction().execute((tx) => tx.executeQuery(CompiledQuery.raw('select 4 as four')))
  t.match(await ask(PREPARED), [{ statement: PREPARED }])
})

t.test('O3 what was prepared for columns of other types goes without a name, and so does all else there', async (t) => {
  const changes: Array<[what: string, alter: string, given: unknown, found: unknown]> = [
    ['another result', 'alter table measured alter n type bigint', 5, '5'],
    ['a parameter that was too narrow', 'alter table measured alter n type bigint', 3_000_000_000, undefined],
    ['a parameter that cannot be compared', 'alter table measured alter n type text', '5', '5'],
    ['names that are gone', '', 5, 5]
  ]
  for (const [what, alter, given, found] of changes) {
    const { ask } = opened(t, url)
    await query('drop table if exists measured; create table measured (n integer); insert into measured values (5)')
    // PostgreSQL plans for the given values at first, later for any values.
    for (let i = 0; i < 7; i++) t.same(await ask('select n from measured where n = $1', 5), [{ n: 5 }])
    await (alter === '' ? ask('deallocate all') : query(alter))
    t.same(await ask('select n from measured where n = $1', given), found === undefined ? [] : [{ n: found }], what)
    await ask('select 1')
    t.notOk((await ask(PREPARED)).some(({ statement }) => statement === 'select 1'), 'the connection is not relied upon any more')
  }
})

t.test('a statement that is wrong is refused as it would be without a name, and nothing else comes of it', async (t) => {
  const { ask } = opened(t, url)
  await t.rejects(ask('select 1 / $1::int', 0), { code: '22012' })
  await t.rejects(ask('select nothing from nowhere'), { code: 'UNAVAILABLE' }, 'tables that a migration has yet to make')
  await t.rejects(ask('select nothing'), { code: '42703' })
  t.same((await ask(PREPARED)).at(-1)?.['statement'], PREPARED)
})

t.test('texts that are made up each time do not pile up', async (t) => {
  const { ask } = opened(t, url)
  for (let i = 0; i < 300; i++) await ask(`select ${i} as i`)
  t.ok((await ask(PREPARED)).length <= 200)
})

t.test('a pooler in transaction mode lends another connection each time: nothing is prepared', async (t) => {
  const bouncer = await startPgbouncer((undo) => { t.teardown(undo) }, url)
  const { ask } = opened(t, bouncer.url(url))
  for (let i = 0; i < 3; i++) await ask('select $1::int as i', i)
  t.same(await ask(PREPARED), [])
})
