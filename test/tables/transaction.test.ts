import { sql } from 'kysely'
import t from 'tap'
import { openPostgres } from '../../src/postgres/server-pool.js'
import { createDb, row, rows } from '../../src/tables/db.js'
import { inTransaction } from '../../src/tables/transaction.js'
import { freshDatabase } from '../helpers/database.js'
import { need } from '../helpers/need.js'
import { until } from '../helpers/wait.js'

await need('postgres')
const { url, query } = await freshDatabase(t)
const pool = openPostgres(url, 3, () => {})
t.teardown(() => pool.close())
const db = createDb(pool.dialect)
await query(`create table place (id integer primary key, n integer not null);
  insert into place values (1, 0), (2, 0);
  create sequence tries;
  create function lose(times bigint) returns integer language plpgsql as $$ begin
    if nextval('tries') <= times then raise exception 'lost' using errcode = '40001'; end if;
    return 1;
  end $$`)
t.beforeEach(() => query("update place set n = 0; select setval('tries', 1, false)"))
const counts = async () => (await query<{ n: number }>('select n from place order by id')).map(({ n }) => n)

t.test('M3 two transactions that wait for each other: one is run again from its start, and both are done once', async (t) => {
  let runs = 0
  let holding = 0
  const inOrder = (first: number, second: number) => inTransaction(db, async (tx) => {
    runs++
    await row(tx, sql`set local deadlock_timeout = '50ms'`)
    await row(tx, sql`update place set n = n + 1 where id = ${first}`)
    holding++
    await until('both to hold one', () => holding >= 2)
    await row(tx, sql`update place set n = n + 1 where id = ${second}`)
  })
  await Promise.all([inOrder(1, 2), inOrder(2, 1)])
  t.equal(runs, 3)
  t.same(await counts(), [2, 2])
})

t.test('M3 a statement in a transaction is never tried again alone; four times in all, then "not now", and nothing is kept', async (t) => {
  let runs = 0
  const losing = (times: number) => inTransaction(db, async (tx) => {
    runs++
    await row(tx, sql`update place set n = n + 1 where id = 1`)
    return await rows(tx, sql`select lose(${times}::bigint) as won`)
  })
  t.same(await losing(1), [{ won: 1 }])
  t.same([runs, await counts()], [2, [1, 0]])

  await query("select setval('tries', 1, false)")
  await t.rejects(losing(100), { code: 'UNAVAILABLE' })
  t.same([runs, await counts()], [6, [1, 0]])
})
