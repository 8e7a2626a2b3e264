import pg from 'pg'
import t, { type Test } from 'tap'
import { serviceMigrations } from '../../migrations/index.js'
import { freshDatabase } from '../helpers/database.js'
import { call } from '../helpers/http-client.js'
import { need } from '../helpers/need.js'
import { startServer } from '../helpers/server-process.js'
import { freshDataDir, freshKeys } from '../helpers/settings.js'
import { until } from '../helpers/wait.js'

await need('postgres')

const keys = freshKeys()
const names = Object.keys(serviceMigrations)
const migrated = (said: string) => [...said.matchAll(/"name":"([^"]+)","msg":"migrated"/g)].map(([, name]) => name)
const start = async (t: Pick<Test, 'teardown'>, url: string) =>
  startServer(t, { ...keys, DATABASE_URL: url, DATA_DIR: await freshDataDir(t) })

const { url, query } = await freshDatabase(t)

t.test('M1 four processes at once on an empty database: each migration ran once, all serve', async (t) => {
  const four = await Promise.all(Array.from({ length: 4 }, () => start(t, url)))
  for (const base of await Promise.all(four.map((one) => one.ready()))) {
    t.equal((await call(base, 'POST', '/token', { body: { username: 'x', password: 'y' } })).status, 401)
  }
  t.same(four.flatMap((one) => migrated(one.said())), names, 'in order, by one of them')
  t.same((await query<{ name: string }>('select name from countersign_migration order by name')).map(({ name }) => name), names)
})

t.test('M1 a migrator killed half-way leaves nothing, and the next one completes', async (t) => {
  const { url, query } = await freshDatabase(t)
  const blocker = new pg.Client({ connectionString: url })
  await blocker.connect()
  t.teardown(() => blocker.end())
  // The second migration makes this table too, and waits until the blocker's transaction ends.
  await blocker.query('begin; create table account_network (x integer)')
  const first = await start(t, url)
  await until('the migrator to wait in the second migration', async () => (await query(`
    select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
      and query like '%account_network%' and pid <> pg_backend_pid()`)).length > 0, 20_000)
  await first.kill('SIGKILL')
  await blocker.query('rollback')
  t.same(
    await query("select tablename from pg_tables where schemaname = 'public' and tablename not like 'countersign_migration%'"),
    [],
    'nothing of it was kept'
  )

  const next = await start(t, url)
  await next.ready()
  t.same(migrated(next.said()), names)
})

t.test('M1 an old replica and a new one: an applied migration is not run again', async (t) => {
  const second = await start(t, url)
  await second.ready()
  t.same(migrated(second.said()), [])
  const third = startServer(t, { ...keys, DATABASE_URL: url, DATA_DIR: await freshDataDir(t), MIGRATE: 'off' })
  t.equal((await call(await third.listening(), 'POST', '/token', { body: { username: 'x', password: 'y' } })).status, 401)
})
