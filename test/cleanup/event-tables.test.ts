import { sql } from 'kysely'
import pg from 'pg'
import t, { type Test } from 'tap'
import { serviceMigrations, secondFactorMigrations } from '../../migrations/index.js'
import { cleanUp } from '../../src/cleanup/cleanup.js'
import { isForbidden, turnEventTables } from '../../src/cleanup/event-tables.sql.js'
import type { EventKind } from '../../src/events/kinds.js'
import { withEvent, writeEvent } from '../../src/events/insert.js'
import { readEvents, type EventPage } from '../../src/events/log.js'
import { migrateUp } from '../../src/postgres/migrator.js'
import { openPostgres } from '../../src/postgres/server-pool.js'
import { createDb, rows, type Db } from '../../src/tables/db.js'
import { statement, type Parameters } from '../../src/tables/statement.js'
import { withNow } from '../../src/tables/values.js'
import { freshDatabase } from '../helpers/database.js'
import { need } from '../helpers/need.js'

await need('postgres')

const DAY = 24 * 3600
const MONTH = 31 * DAY
const EVENTS_DAYS = 400
const A_MONTH = 20_000
const origin = { ip: '192.0.2.1', agent: 'an agent' }

async function place (t: Test, schema?: string) {
  const { url, query, clock } = await freshDatabase(t)
  const database = (options: string, size: number): Db => {
    const pool = openPostgres(`${url}?options=${encodeURIComponent(options)}`, size, () => {}, 0)
    t.teardown(() => pool.close())
    return createDb(pool.dialect, schema === undefined ? { hasAccounts: true } : { schema })
  }
  const pool = openPostgres(url, 2, () => {}, 0)
  await migrateUp(pool.dialect, schema === undefined ? serviceMigrations : secondFactorMigrations, schema).finally(() => pool.close())
  const db = database('', 10)
  const at = (table: string) => schema === undefined ? table : `${schema}.${table}`
  return {
    url,
    clock,
    query,
    db,
    database,
    turn: () => turnEventTables(db, EVENTS_DAYS),
    /** Puts events into the current table, over the last thirty days. */
    fill: (count: number) => query(`
      insert into ${at('otp_event_current')} (user_id, at, id, kind, ip, agent)
      select 'u' || n % 1000, clock_timestamp() - n * interval '30 days' / $1::int, gen_random_uuid(), 'logged_in', '192.0.2.1', 'an agent'
      from generate_series(1, $1::int) n`, [count]),
    count: async () => Number((await query(`select count(*) as n from ${at('otp_event')}`))[0]!['n']),
    tables: async () => (await query<{ name: string }>(`
      select relname as name from pg_inherits join pg_class c on c.oid = inhrelid
      where inhparent = '${at('otp_event')}'::regclass order by c.oid`)).map(({ name }) => name),
    /** Rows that were ever deleted one by one, of all tables of events. */
    deletedRows: async () => Number((await query(`
      select coalesce(sum(pg_stat_get_tuples_deleted(c.oid)), 0) as n from pg_class c
      where c.relname ~ '^otp_event' and c.relname not in ('otp_event_table', 'otp_event_counter') and c.relkind = 'r'`))[0]!['n'])
  }
}

const event = (userId: string, kind: EventKind = 'signed_up') => ({ userId, kind, sessionId: null, origin })
const count = statement('test_counted_event', (db, p: Parameters<{ userId: string }>, facts) => withEvent(
  withNow(db), facts, (db) => db.selectFrom('now'), () => ({ userId: p.userId, kind: 'login_failed', sessionId: null, ...origin })
).selectFrom('now'))

t.test('fourteen months: one is dropped without a deletion of a row, while events are written', async (t) => {
  const { clock, db, database, fill, turn, tables, query, count, deletedRows } = await place(t)
  const closed: string[] = []
  for (let month = 0; month < 13; month++) {
    await clock.advance(MONTH)
    await fill(A_MONTH)
    const turned = await turn()
    if (turned?.closed != null) closed.push(turned.closed)
  }
  await clock.advance(MONTH)
  await fill(A_MONTH)
  t.equal(new Set(closed).size, 13, 'each month before this one has a table')
  t.equal(await count(), 14 * A_MONTH)

  const writing = { events: 0, isOver: false, atDrop: Infinity }
  const isToGoOn = () => !writing.isOver && writing.events < writing.atDrop + 100
  const writers = Array.from({ length: 6 }, async (_, writer) => {
    for (; isToGoOn(); writing.events++) await writeEvent(db, event(`writer-${writer}`))
  })
  // On one connection, which then tells the statistics what it did.
  const one = database('', 1)
  const turned = (await turnEventTables(one, EVENTS_DAYS).finally(() => { writing.atDrop = writing.events }))!
  await Promise.all(writers)
  await rows(one, sql`select pg_stat_force_next_flush()::text`)
  const [oldest] = closed
  t.match(turned, { dropped: oldest, isMore: true })
  t.notOk((await tables()).includes(oldest!), 'the table is gone')
  t.equal(await count(), 13 * A_MONTH + writing.events, 'its events alone, and each new one is there')
  t.equal(await deletedRows(), 0, 'no row was deleted')
  t.same(await query('select name from otp_event_table where dropped_at is not null order by name'), [{ name: oldest }])
  t.match(await turn(), { closed: null, dropped: null, counters: 0, isMore: false })
  t.same(await query('select name from otp_event_table where dropped_at is not null'), [], 'its counters are deleted: it is forgotten')
})

t.test('the log of a user goes on over all tables, page by page', async (t) => {
  const { clock, db, fill, turn } = await place(t, 'second_factor')
  for (let month = 0; month < 3; month++) {
    await clock.advance(MONTH)
    await fill(3000)
    await turn()
  }
  const times: number[] = []
  let cursor: string | null = null
  do {
    const page: EventPage = (await readEvents(db, 'u7', 2, cursor))!
    times.push(...page.events.map(({ at }) => at.getTime()))
    cursor = page.nextCursor
  } while (cursor !== null)
  t.equal(times.length, 9)
  t.same(times, [...times].sort((a, b) => b - a))
})

t.test('of replicas that turn at once one does; counters go with the events', async (t) => {
  const { clock, query, db, turn } = await place(t)
  await count.all(db, { userId: 'ada' })
  await count.all(db, { userId: 'ada' })
  t.same((await query('select events from otp_event_counter')), [{ events: 2 }])
  await clock.advance(MONTH)
  const turned = await Promise.all(Array.from({ length: 8 }, turn))
  t.equal(turned.filter((one) => one?.closed != null).length, 1)
  await clock.advance(EVENTS_DAYS * DAY)
  for (let i = 0; i < 3; i++) await turn()
  t.same(await query('select events from otp_event_counter'), [])
  t.equal((await query('select from otp_event')).length, 0)
})

t.test('a line that counts goes on when its table is closed, and no event is lost or counted twice', async (t) => {
  const { query, db, turn } = await place(t)
  const AT_ONCE = 30
  const due = () => query("update otp_event_table set closed_at = closed_at - interval '32 days'")
  for (let i = 0; i < 64; i++) await count.all(db, { userId: 'ada' })
  await due()
  const [turned] = await Promise.all([turn(), ...Array.from({ length: AT_ONCE }, () => count.all(db, { userId: 'ada' }))])
  t.ok(turned?.closed)
  for (let i = 0; i < 6; i++) await count.all(db, { userId: 'ada' })
  const [found] = await query<{ lines: number, counting: number, events: number }>(`
    select count(*)::int as lines, count(count)::int as counting, sum(coalesce(count, 1))::int as events from otp_event`)
  t.match(found, { counting: 1, events: 100 })
  t.ok(found!.lines <= 61 + AT_ONCE, 'those that found an empty table have a line')
})

t.test('events that wait for delivery keep their table', async (t) => {
  const { clock, query, db, turn, tables } = await place(t)
  await writeEvent({ ...db, compiled: new WeakMap(), destinations: ['webhook'] }, event('ada'))
  await clock.advance(MONTH)
  const { closed } = (await turn())!
  await clock.advance((EVENTS_DAYS + 1) * DAY)
  t.equal((await turn())!.dropped, 'otp_event_before')
  t.equal((await turn())!.dropped, null)
  t.ok((await tables()).includes(closed!))
  await query('delete from otp_delivery')
  t.equal((await turn())!.dropped, closed)
})

t.test('a delivery that nobody makes any more is deleted as late as its event, and then its table is dropped', async (t) => {
  const { clock, query, db, turn, tables } = await place(t)
  for (const destination of ['webhook', 'mail']) {
    await writeEvent({ ...db, compiled: new WeakMap(), destinations: [destination], hasAccounts: false }, event('ada'))
  }
  await clock.advance(MONTH)
  const { closed } = (await turn())!
  await clock.advance((EVENTS_DAYS - 1) * DAY)
  t.equal((await cleanUp(db, EVENTS_DAYS))!.rowsByKind['deliveries'], 0)
  await clock.advance(33 * DAY)
  t.match((await cleanUp(db, EVENTS_DAYS))!.rowsByKind, { deliveries: 2 })
  await turn()
  t.equal((await turn())!.dropped, closed)
  t.notOk((await tables()).includes(closed!))
  t.same(await query('select from otp_delivery'), [])
})

t.test('a long reading of the log puts the change off, and no event waits for it', async (t) => {
  const { url, clock, db, turn } = await place(t)
  await clock.advance(MONTH)
  const reader = new pg.Client(url)
  await reader.connect()
  await reader.query('begin; select from otp_event')
  const [refused] = await Promise.allSettled([turn(), ...Array.from({ length: 20 }, () => writeEvent(db, event('ada')))])
  t.match(refused, { status: 'rejected', reason: { code: 'UNAVAILABLE' } })
  await reader.query('commit')
  await reader.end()
  t.ok((await turn())!.closed)
})

t.test('a role that may not make tables deletes old events one by one', async (t) => {
  const { url, clock, query, count, fill, database } = await place(t)
  const role = new URL(url).pathname.slice(1)
  await query(`create role ${role}; grant pg_read_all_data, pg_write_all_data to ${role}`)
  try {
    const db = database(`-c role=${role}`, 1)
    await writeEvent(db, event('ada'))
    await clock.advance((EVENTS_DAYS + 33) * DAY)
    await fill(10)
    const error = await turnEventTables(db, EVENTS_DAYS).then(() => null, (error: unknown) => error)
    t.ok(isForbidden(error))
    t.equal((await cleanUp(db, EVENTS_DAYS))!.rowsByKind['events'], 1)
    t.equal(await count(), 10)
  } finally {
    await query(`drop role ${role}`)
  }
})

t.test('the table of the next month has the owner and the grants of the last one, and earlier versions may write', async (t) => {
  const { url, clock, query, turn, count } = await place(t)
  const role = new URL(url).pathname.slice(1)
  await query(`create role ${role}; grant create on schema public to ${role}; alter table otp_event_current owner to ${role};
    grant select on otp_event_current to public`)
  const rights = () => query("select relowner, relacl::text from pg_class where relname = 'otp_event_current'")
  try {
    const before = await rights()
    await clock.advance(MONTH)
    t.ok((await turn())!.closed)
    t.same(await rights(), before)
    await query(`insert into otp_event (user_id, at, id, kind, ip, agent)
      values ('ada', clock_timestamp(), gen_random_uuid(), 'logged_in', '', '')`)
    t.equal(await count(), 1)
  } finally {
    await query(`reassign owned by ${role} to current_user; drop owned by ${role}; drop role ${role}`)
  }
})
