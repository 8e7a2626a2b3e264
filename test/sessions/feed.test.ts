import { randomUUID } from 'node:crypto'
import pg from 'pg'
import t, { type Test } from 'tap'
import { serviceMigrations } from '../../migrations/index.js'
import { readEnds } from '../../src/db/ends.js'
import { migrateUp } from '../../src/db/migrate.js'
import { openPostgres } from '../../src/db/postgres.js'
import { createDb } from '../../src/db/tables.js'
import { createFeed } from '../../src/sessions/feed.js'
import { freshDatabase } from '../helpers/database.js'
import { need } from '../helpers/need.js'
import { targetOf, tcpProxy } from '../helpers/tcp-proxy.js'
import { until } from '../helpers/wait.js'

await need('postgres')

const END = 'update otp_session set ended_at = clock_timestamp(), ended_xid = pg_current_xact_id() where id = $1'
/** Never polls by itself within a test. */
const HOUR_SECONDS = 3_600

async function followed (t: Test, revocationSeconds = HOUR_SECONDS) {
  const { url, query } = await freshDatabase(t)
  const proxy = await tcpProxy(t, targetOf(url))
  const pool = openPostgres(proxy.url(url), 1, () => {})
  t.teardown(() => pool.close())
  await migrateUp(pool.dialect, serviceMigrations)
  const db = createDb(pool.dialect)
  let pretended: object = {}
  const kysely = db.kysely.withPlugin({
    transformQuery: ({ node }) => node,
    transformResult: async ({ result }) => ({ ...result, rows: result.rows.map((row) => ({ ...row, ...pretended })) })
  })
  const heard: string[] = []
  let gaps = 0
  const feed = createFeed({ ...db, kysely }, revocationSeconds, { onEnded: (_userId, sessionId) => { heard.push(sessionId) }, onChanged: (_userId, sessionId) => { heard.push(`changed ${sessionId}`) }, onGap: () => { gaps++ }, onOtherServer () {} }, () => {})
  t.teardown(() => feed.stop())

  async function start (ids: readonly string[]): Promise<void> {
    await query(`insert into otp_session (user_id, id, started_at, expires_at, auth_at, amr, otp_required, rotated_at, ip, agent)
      select 'ada', id, now(), now() + '1 day', now(), '{pwd}', false, now(), '', '' from unnest($1::text[]) id`, [ids])
  }
  async function connection (): Promise<pg.Client> {
    const client = new pg.Client(url)
    client.on('error', () => {})
    await client.connect()
    t.teardown(() => client.end())
    return client
  }
  /** Whoever's older transaction, in any database of the server, makes a reading name the same ends again: until there is none. */
  async function alone (): Promise<void> {
    await until('older transactions to end', async () => {
      const older = await query('select from otp_session where ended_xid >= pg_snapshot_xmin(pg_current_snapshot()) and ended_xid < pg_snapshot_xmax(pg_current_snapshot()) limit 1')
      return older.length === 0
    })
  }
  /** What the next reading names. */
  async function news (): Promise<string[]> {
    heard.length = 0
    await feed.poll()
    return [...heard]
  }
  /** Postgres' answers to the feed, altered. */
  const pretend = (answer: object): void => { pretended = answer }
  return { query, db, proxy, feed, heard, news, alone, start, connection, pretend, gaps: () => gaps }
}

t.test('J5 by transaction order: what commits late is named late, and never missed', async (t) => {
  const { feed, news, alone, start, connection, query, gaps } = await followed(t)
  const early = await connection()
  await start(['before', 'early', 'late', 'aborted'])
  await query(END, ['before'])
  await alone()
  t.same(await news(), [], 'the first reading names nothing')
  t.equal(gaps(), 1, 'and says that there is nothing to trust')

  await early.query('begin')
  await early.query(END, ['early'])
  const aborted = await connection()
  await aborted.query('begin')
  await aborted.query(END, ['aborted'])
  t.same(await news(), [], 'not committed')

  // Higher ids commit first, and are read, several times, also one after another has finished.
  await query(END, ['late'])
  t.same(await news(), ['late'])
  await aborted.query('rollback')
  const more = Array.from({ length: 50 }, (_, i) => `more ${i}`)
  await start(more)
  await Promise.all(more.map((id) => query(END, [id])))
  t.same(new Set(await news()), new Set(['late', ...more]), 'named again while an older transaction is open')
  for (let i = 0; i < 5; i++) t.notOk((await news()).includes('early'))

  await early.query('commit')
  await alone()
  t.ok((await news()).includes('early'))
  t.same(await news(), [], 'nothing twice once all have finished')
  t.equal(gaps(), 1)
  t.ok(feed.isFresh())
})

t.test('J5 a hundred transactions in any order, read all the while', async (t) => {
  const { feed, heard, start, connection } = await followed(t)
  const ids = Array.from({ length: 100 }, () => randomUUID())
  await start(ids)
  await feed.poll()
  const clients = await Promise.all(Array.from({ length: 10 }, connection))
  const over = new AbortController()
  const reader = (async () => { while (!over.signal.aborted) await feed.poll() })()
  await Promise.all(clients.map(async (client, k) => {
    for (const [i, id] of ids.entries()) {
      if (i % clients.length !== k) continue
      await client.query('begin')
      await client.query(END, [id])
      for (let n = 0; n < (i * 7) % 11; n++) await client.query('select 1')
      await client.query('commit')
    }
  }))
  over.abort()
  await reader
  await feed.poll()
  t.same(new Set(heard), new Set(ids))
})

t.test('J5 another server, one that went back in time, more ends than one reading names: a gap', async (t) => {
  const { feed, db, query, start, connection, gaps, news, alone, pretend } = await followed(t)
  await feed.poll()
  const { cursor, server } = await readEnds(db, null)

  // Rows of a dump of a server that was further on: not of this order, and not named for ever.
  await start(['restored'])
  await query("update otp_session set ended_at = now(), ended_xid = '99999999999'::xid8 where id = 'restored'")
  t.same(await news(), [])
  t.same((await readEnds(db, cursor)).named, [])

  // The same server gives the same name, whoever asks and in whatever time zone.
  const client = await connection()
  await client.query("set timezone = 'Asia/Kathmandu'")
  t.same((await client.query('select extract(epoch from pg_postmaster_start_time())::text as server')).rows, [{ server }])

  await query(`insert into otp_session (user_id, id, started_at, expires_at, auth_at, amr, otp_required, rotated_at, ip, agent, ended_at, ended_xid)
    select 'ada', 'many ' || i, now(), now(), now(), '{pwd}', false, now(), '', '', now(), pg_current_xact_id() from generate_series(1, 10001) i`)
  await alone()
  const { tooMany, named } = await readEnds(db, cursor)
  t.ok(tooMany)
  t.same(named, [])
  const coveredSinceMs = feed.coveredSinceMs() ?? NaN
  await feed.poll()
  t.equal(gaps(), 2)
  t.ok((feed.coveredSinceMs() ?? NaN) > coveredSinceMs, 'followed from now on only')
  t.same(await news(), [], 'and it is not read again')
  t.equal(gaps(), 2)

  pretend({ server: 'another' })
  await feed.poll()
  t.equal(gaps(), 3, 'another server, although its transactions are not behind')
  await feed.poll()
  t.equal(gaps(), 3)
  pretend({ server: 'another', cursor: '3' })
  await feed.poll()
  t.equal(gaps(), 4, 'back in time: the cursor falls')
})

t.test('J5 news is read soon, and a stream of it does not put the reading off', async (t) => {
  const { feed, heard, start, query, proxy } = await followed(t, 60)
  feed.start()
  await until('the first reading', () => feed.coveredSinceMs())
  await start(['one', 'two'])
  await query(END, ['one'])
  feed.nudge()
  await until('the end to be heard', () => heard.includes('one'), 2_000)

  proxy.resetCounts()
  const beganAtMs = performance.now()
  await query(END, ['two'])
  const messages = setInterval(() => feed.nudge(), 5)
  t.teardown(() => clearInterval(messages))
  await until('the end to be heard in a stream of messages', () => heard.includes('two'), 2_000)
  await until('some polls', () => (proxy.postgresMessages['E'] ?? 0) >= 5)
  const polls = proxy.postgresMessages['E'] ?? 0
  const tookMs = performance.now() - beganAtMs
  t.ok(polls <= tookMs / 100 + 2, `${polls} polls in ${tookMs} ms, whoever writes to Redis`)
})

t.test('J5 who asks during a reading gets the next one; freshness counts from the question', async (t) => {
  const { feed, proxy, heard, start, query } = await followed(t, 1)
  await feed.poll()
  await start(['one'])
  const hold = proxy.holdNext((bytes) => bytes.includes('nowMs'))
  const running = feed.poll()
  await hold.held
  await query(END, ['one'])
  const waiting = [feed.poll(), feed.poll()]
  hold.release()
  await running
  t.same(heard, [], 'it had been answered before the end')
  await Promise.all(waiting)
  t.same(heard, ['one'])

  proxy.delayMs = 1_100
  await feed.poll()
  t.notOk(feed.isFresh(), 'an answer that took longer than the bound makes nothing fresh')
  proxy.delayMs = 0
  await feed.poll()
  t.ok(feed.isFresh())
  await proxy.cut()
  await t.rejects(feed.poll())
  await until('it to be stale', () => !feed.isFresh(), 2_000)
  await proxy.restore()
  await until('it to be fresh', async () => {
    await feed.poll().catch(() => {})
    return feed.isFresh()
  })
})
