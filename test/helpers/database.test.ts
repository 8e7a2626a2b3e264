import t from 'tap'
import { freshDatabase } from './database.js'
import { need } from './need.js'
import { until } from './wait.js'

await need('postgres')

/** The product uses the unqualified name. */
const ASK = 'select clock_timestamp() as now'

t.test('the test clock', async (t) => {
  const { clock, query } = await freshDatabase(t)
  const ask = async () => (await query<{ now: Date }>(ASK))[0]?.now.getTime() ?? NaN
  const close = (found: number, wanted: number) => t.ok(Math.abs(found - wanted) < 5_000, `${found} is about ${wanted}`)
  let told = 0
  const unfollow = clock.follow(async () => { told++ })

  close(await ask(), Date.now())
  await clock.advance(3_600)
  close(await ask(), Date.now() + 3_600_000)

  const instant = new Date('2005-03-18T01:58:29.500Z')
  await clock.freeze(instant)
  t.equal(await ask(), instant.getTime())
  t.same(await clock.now(), instant)
  await clock.advance(0.5)
  t.equal(await ask(), instant.getTime() + 500)

  await clock.unfreeze()
  await until('the clock to run on', async () => await ask() > instant.getTime() + 500)
  close(await ask(), instant.getTime() + 500)

  await clock.freeze()
  t.equal(await ask(), await ask(), 'stands still')
  t.equal(told, 5, 'followers are told of each change')
  unfollow()
  await clock.advance(1)
  t.equal(told, 5)
})

t.test('tables go to public, and their defaults go by the test clock', async (t) => {
  const { clock, query } = await freshDatabase(t)
  await clock.freeze(new Date(0))
  await query('create table thing (made_at timestamptz default clock_timestamp())')
  await query('insert into thing default values')
  const found = await query(
    'select table_schema::text as schema, (select made_at from thing) from information_schema.tables where table_name = $1',
    ['thing']
  )
  t.same(found, [{ schema: 'public', made_at: new Date(0) }])
})

t.test('a database is its own, and is dropped', async (t) => {
  const { query } = await freshDatabase(t)
  let name = ''
  await t.test('while it lives', async (t) => {
    const other = await freshDatabase(t)
    name = new URL(other.url).pathname.slice(1)
    t.match(name, /^countersign_test_\w+_[0-9a-f]{12}$/)
    t.equal((await query('select from pg_database where datname = $1', [name])).length, 1)
    t.same(await other.query('select current_database()::text as name'), [{ name }])
  })
  t.equal((await query('select from pg_database where datname = $1', [name])).length, 0)
})
