import { CompiledQuery, Kysely } from 'kysely'
import t from 'tap'
import { openPostgres } from '../../src/postgres/server-pool.js'
import { freshDatabase } from '../helpers/database.js'
import { need } from '../helpers/need.js'
import { targetOf, tcpProxy } from '../helpers/tcp-proxy.js'
import { freePort } from '../helpers/free-port.js'
import { until } from '../helpers/wait.js'

await need('postgres')
const { url, query } = await freshDatabase(t)
const proxy = await tcpProxy(t, targetOf(url))
const reported: Error[] = []
const pool = openPostgres(proxy.url(url), 3, (error) => { reported.push(error) })
const db = new Kysely<unknown>({ dialect: pool.dialect })
t.teardown(() => pool.close())
const ask = async (text: string) => (await db.executeQuery(CompiledQuery.raw(text))).rows
const inMs = async (work: () => Promise<unknown>): Promise<number> => {
  const startedAtMs = performance.now()
  await work()
  return performance.now() - startedAtMs
}

t.test('O3 a slow statement, a lock, a full pool: given up in 1.5 s, and the server gives up too', async (t) => {
  const slow = () => t.rejects(ask('select pg_sleep(30)'), { code: 'UNAVAILABLE' })
  t.ok(await inMs(slow) < 1_700)
  t.ok(await inMs(() => Promise.all([slow(), slow(), slow(), t.rejects(ask('select 1'), { code: 'UNAVAILABLE' })])) < 1_900)
  await until('the server to be done with it', async () => (await query(`select 1 from pg_stat_activity
    where query like '%pg_sleep(30)%' and state = 'active' and pid <> pg_backend_pid()`)).length === 0)
  t.same(await ask('select 1 as one'), [{ one: 1 }], 'the next one is answered')
})

t.test('O3 half-open: nothing hangs; cut: one refusal; back: answered, by connections that are not worn out', async (t) => {
  await ask('select 1')
  proxy.pause()
  t.ok(await inMs(() => t.rejects(ask('select 2'), { code: 'UNAVAILABLE' })) < 1_900)
  proxy.resume()
  t.same(await until('it to be back', () => ask('select 3 as three').catch(() => null)), [{ three: 3 }])

  const underWay = [1, 2, 3].map(() => t.rejects(ask('select pg_sleep(10)'), { code: 'UNAVAILABLE' }))
  await until('them to be under way', async () => (await query(`select 1 from pg_stat_activity
    where query like '%pg_sleep(10)%' and state = 'active' and pid <> pg_backend_pid()`)).length === 3)
  await proxy.cut()
  await Promise.all(underWay)
  await t.rejects(ask('select 4'), { code: 'UNAVAILABLE' })
  await proxy.restore()
  t.same(await ask('select 5 as five'), [{ five: 5 }], 'at once')
  t.ok(pool.stats().total <= 3)
})

t.test('O3 PostgreSQL hangs: connections are tried one at a time, so that few are waiting when it answers again', async (t) => {
  await ask('select 1')
  proxy.pause()
  const rush = () => Promise.all(Array.from({ length: 12 }, () => t.rejects(ask('select 7'), { code: 'UNAVAILABLE' })))
  await rush()
  await rush()
  const before = proxy.opened
  for (let i = 0; i < 3; i++) t.ok(await inMs(rush) < 1_900)
  // One after the other, a second each. Without the throttle there were eighteen.
  t.ok(proxy.opened - before <= 8, `${proxy.opened - before} connections for 36 requests`)
  proxy.resume()
  t.same(await until('it to be back', () => ask('select 8 as eight').catch(() => null)), [{ eight: 8 }])
  t.same(await Promise.all(Array.from({ length: 6 }, () => ask('select 9 as nine'))), Array(6).fill([{ nine: 9 }]))
})

t.test('O3 connections that the server ends, idle or in use, end nothing of ours', async (t) => {
  await Promise.all([ask('select 1'), ask('select 1'), ask('select 1')])
  const inUse = t.rejects(ask('select pg_sleep(10)'), { code: 'UNAVAILABLE' })
  await until('one to be in use', async () => (await query(`select 1 from pg_stat_activity
    where query like '%pg_sleep(10)%' and state = 'active' and pid <> pg_backend_pid()`)).length === 1)
  await query(`select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name = 'countersign'`)
  await inUse
  await until('the idle ones to be reported', () => reported.length > 0)
  t.same(await until('it to be back', () => ask('select 6 as six').catch(() => null)), [{ six: 6 }])
})

t.test('M3 a lost race is tried again, and then told as "not now"', async (t) => {
  await query('create table tries (n integer); insert into tries values (0); create sequence attempts')
  await query(`create function lose(times integer) returns integer language plpgsql as $$ begin
    if nextval('attempts') <= times then raise exception 'lost' using errcode = '40001'; end if;
    return 1;
  end $$`)
  t.same(await ask('select lose(3) as won'), [{ won: 1 }], 'the fourth try')
  await query("select setval('attempts', 1, false)")
  await t.rejects(ask('select lose(100)'), { code: 'UNAVAILABLE' })
  t.equal(Number((await query<{ last_value: string }>('select last_value from attempts'))[0]!.last_value), 4, 'four tries and no more')
})

t.test('O9 nobody there: refused quickly', async (t) => {
  const nowhere = openPostgres(`postgres://nobody@127.0.0.1:${await freePort()}/nothing`, 1, () => {})
  const lost = new Kysely<unknown>({ dialect: nowhere.dialect })
  t.ok(await inMs(() => t.rejects(lost.executeQuery(CompiledQuery.raw('select 1')), { code: 'UNAVAILABLE' })) < 1_500)
  await nowhere.close()
})
