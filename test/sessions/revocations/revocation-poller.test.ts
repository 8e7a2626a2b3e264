import { randomUUID } from 'node:crypto'
import pg from 'pg'
import t, { type Test } from 'tap'
import { serviceMigrations } from '../../../migrations/index.js'
import { readEnds } from '../../../src/sessions/revocations/revocations.js'
import { migrateUp } from '../../../src/postgres/migrator.js'
import { openPostgres } from '../../../src/postgres/server-pool.js'
import { createDb } from '../../../src/tables/db.js'
import { createRevocationPoller } from '../../../src/sessions/revocations/revocation-poller.js'
import { freshDatabase } from '../../helpers/database.js'
import { need } from '../../helpers/need.js'
import { explainAll, type Plan } from '../../helpers/plans.js'
import { targetOf, tcpProxy } from '../../helpers/tcp-proxy.js'
import { sized } from '../../helpers/thorough.js'
import { until } from '../../helpers/wait.js'

await need('postgres')

const END = 'update otp_session set ended_at = clock_timestamp(), ended_xid = pg_current_xact_id() where id = $1'
/** So long that no poll begins by itself during a test. */
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
  let others = 0
  const feed = createRevocationPoller({ ...db, kysely }, revocationSeconds, {
    onEnded: (_userId, sessionId) => { heard.push(sessionId) },
    onChanged: (_userId, sessionId) => { heard.push(`changed ${sessionId}`) },
    onMark: (endedBefore) => { heard.push(`mark ${endedBefore}`) },
    onGap: () => { gaps++ },
    onOtherServer: () => { others++ }
  }, () => {})
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
  /** Returns the sessions that the next reading names. */
  async function news (): Promise<string[]> {
    heard.length = 0
    await feed.poll()
    return [...heard]
  }
  /** Changes the answers of PostgreSQL to the poller. */
  const pretend = (answer: object): void => { pretended = answer }
  return { url, query, db, proxy, feed, heard, news, start, connection, pretend, gaps: () => gaps, others: () => others }
}

t.test('J5 by transaction order: what commits late is named late, and never missed', async (t) => {
  const { feed, news, start, connection, query, gaps } = await followed(t)
  const early = await connection()
  await start(['before', 'early', 'late', 'aborted'])
  await query(END, ['before'])
  t.same(await news(), [], 'the first reading names nothing')
  t.equal(gaps(), 1, 'and says that there is nothing to trust')

  await early.query('begin')
  await early.query(END, ['early'])
  const aborted = await connection()
  await aborted.query('begin')
  await aborted.query(END, ['aborted'])
  t.same(await news(), [], 'not committed')

  // Higher ids commit first, and are read, several times, also after another one has finished.
  await query(END, ['late'])
  t.same(await news(), ['late'])
  await aborted.query('rollback')
  const more = Array.from({ length: 50 }, (_, i) => `more ${i}`)
  await start(more)
  await Promise.all(more.map((id) => query(END, [id])))
  t.same((await news()).sort(), more.sort(), 'each once, while an older transaction is open')
  for (let i = 0; i < 5; i++) t.same(await news(), [])

  await early.query('commit')
  t.same(await news(), ['early'])
  t.same(await news(), [])
  t.equal(gaps(), 1)
  t.ok(feed.isFresh())
})

t.test('J5 a write transaction that stays open anywhere on the server: each end is named once, ' +
  'also more than one reading names', async (t) => {
  const { url, feed, news, start, query, gaps, connection } = await followed(t)
  await feed.poll()
  t.equal(feed.oldestWriteMs(), 0)
  const elsewhere = new pg.Client(new URL('/postgres', url).href)
  await elsewhere.connect()
  t.teardown(() => elsewhere.end())
  await elsewhere.query('begin')
  await elsewhere.query('select pg_current_xact_id()')

  const named: string[] = []
  const ids = Array.from({ length: 12_000 }, (_, i) => `one ${i}`)
  await start(ids)
  for (let from = 0; from < ids.length; from += 3_000) {
    const part = ids.slice(from, from + 3_000)
    await query('update otp_session set ended_at = clock_timestamp(), ended_xid = pg_current_xact_id() where id = any ($1)', [part])
    const found = await news()
    t.same([...found].sort(), [...part].sort())
    named.push(...found)
    t.same(await news(), [])
  }
  t.equal(named.length, ids.length)
  t.equal(gaps(), 1, 'only the first reading')
  const sinceMs = feed.oldestWriteMs()
  t.ok(sinceMs > 0, 'it is seen to be open')
  await feed.poll()
  t.ok(feed.oldestWriteMs() > sinceMs)

  // One commit of more sessions than a reading names: one gap.
  const many = Array.from({ length: sized(12_000, 50_000) }, (_, i) => `many ${i}`)
  await start(many)
  await (await connection()).query(
    'update otp_session set ended_at = clock_timestamp(), ended_xid = pg_current_xact_id() where ended_at is null')
  t.same(await news(), [])
  t.equal(gaps(), 2)
  await start(['after'])
  await query(END, ['after'])
  t.same(await news(), ['after'])
  t.same(await news(), [])
  t.equal(gaps(), 2)
  t.ok(feed.isFresh())

  await elsewhere.query('commit')
  await until('no write transaction to be open', async () => {
    await feed.poll()
    return feed.oldestWriteMs() === 0
  })
})

t.test('J5 ends of subtransactions, prepared transactions and changes in place are named when they commit, and once', async (t) => {
  const { feed, news, start, connection, query, url } = await followed(t)
  await start(['sub', 'rolled back', 'prepared', 'host', 'later'])
  await feed.poll()
  const [first, second] = [await connection(), await connection()]
  await first.query('begin')
  await first.query('savepoint one')
  await first.query(END, ['sub'])
  await first.query('release savepoint one')
  await first.query('savepoint two')
  await first.query(END, ['rolled back'])
  await first.query('rollback to savepoint two')
  t.same(await news(), [])
  // The id of its subtransaction is below this one's, and both are below the end of the next snapshot.
  await query(END, ['later'])
  t.same(await news(), ['later'])
  await first.query('commit')
  t.same(await news(), ['sub'], 'a savepoint that was taken back ends nothing')

  await query("update otp_session set ended_xid = pg_current_xact_id() where id = 'host'")
  await second.query('begin')
  await second.query(END, ['host'])
  t.same(await news(), ['changed host'])
  await second.query('commit')
  t.same(await news(), ['host'])
  t.same(await news(), [])

  const [setting] = await query<{ most: string }>("select current_setting('max_prepared_transactions') as most")
  if (setting!.most === '0') return
  await second.query('begin')
  await second.query(END, ['prepared'])
  await second.query(`prepare transaction '${new URL(url).pathname}'`)
  // A snapshot lists it as open only once a later transaction has finished: on a quiet server there would be none.
  await query('select pg_current_xact_id()')
  for (let i = 0; i < 3; i++) t.same(await news(), [])
  t.ok(feed.oldestWriteMs() > 0)
  await query(`commit prepared '${new URL(url).pathname}'`)
  t.same(await news(), ['prepared'])
})

t.test('J5 a reading is a scan of the index that touches what is new, whatever the statistics say', async (t) => {
  const { db, query, connection } = await followed(t)
  const open = await Promise.all(Array.from({ length: 10 }, connection))
  for (const client of open) {
    await client.query('begin')
    await client.query('select pg_current_xact_id()')
  }
  const insert = (name: string, from: number, to: number) => query(`
    insert into otp_session (user_id, id, started_at, expires_at, auth_at, amr, otp_required, rotated_at, ip, agent, ended_at, ended_xid)
    select 'ada', '${name} ' || i, now(), now(), now(), '{pwd}', false, now(), '', '', now(), pg_current_xact_id()
    from generate_series(${from}, ${to}) i`)
  const explaining = explainAll()
  t.teardown(explaining.stop)
  const ways = [
    ['none', ''],
    ['all of one transaction', 'analyze otp_session'],
    ['all of one transaction, vacuumed', 'vacuum analyze otp_session']
  ] as const
  for (const [i, [statistics, gather]] of ways.entries()) {
    await insert(`old ${i}`, 1, 20_000)
    if (gather !== '') await query(gather)
    const { snapshot } = await readEnds(db, null)
    await insert(`new ${i}`, 1, 3)
    t.equal((await readEnds(db, snapshot)).named.length, 3)
    for (const plans of [explaining.plans, explaining.generic]) {
      const [[, { nodes }]] = [...plans].filter(([text]) => text.includes('pg_snapshot_xip')) as [[string, Plan]]
      const shown = `${statistics}: ${nodes.map(({ what, pages }) => `${what} (${pages})`).join(', ')}`
      t.same(nodes.filter(({ what }) => what === 'Seq Scan otp_session'), [], shown)
      t.ok(nodes[0]!.pages < 100, shown)
    }
  }
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
  t.same([...heard].sort(), [...ids].sort(), 'each of them once')
})

t.test('J5 another server, one that went back in time, more ends than one reading names: a gap', async (t) => {
  const { feed, db, query, start, connection, gaps, others, news, pretend } = await followed(t)
  await feed.poll()
  const { snapshot, server } = await readEnds(db, null)

  // Rows from a dump of a server with higher transaction ids: they have no place in this order and are never named.
  await start(['restored'])
  await query("update otp_session set ended_at = now(), ended_xid = '99999999999'::xid8 where id = 'restored'")
  t.same(await news(), [])
  t.same((await readEnds(db, snapshot)).named, [])

  // The same server gives the same name to each client, in each time zone.
  const client = await connection()
  await client.query("set timezone = 'Asia/Kathmandu'")
  t.same((await client.query('select extract(epoch from pg_postmaster_start_time())::text as server')).rows, [{ server }])

  await query(`
    insert into otp_session (user_id, id, started_at, expires_at, auth_at, amr, otp_required, rotated_at, ip, agent, ended_at, ended_xid)
    select 'ada', 'many ' || i, now(), now(), now(), '{pwd}', false, now(), '', '', now(), pg_current_xact_id()
    from generate_series(1, 10001) i`)
  const { tooMany, named } = await readEnds(db, snapshot)
  t.ok(tooMany)
  t.same(named, [])
  const coveredSinceMs = feed.coveredSinceMs() ?? NaN
  await feed.poll()
  t.equal(gaps(), 2)
  t.ok((feed.coveredSinceMs() ?? NaN) > coveredSinceMs, 'followed from now on only')
  t.same(await news(), [], 'and it is not read again')
  t.equal(gaps(), 2)
  t.equal(others(), 0)

  pretend({ server: 'another' })
  await feed.poll()
  t.equal(gaps(), 3, 'another server, although its transactions are not behind')
  t.equal(others(), 1)
  await feed.poll()
  t.equal(gaps(), 3)
  pretend({ server: 'another', timeline: 2 })
  await feed.poll()
  t.equal(gaps(), 4, 'another history of the same server')
  pretend({ server: 'another', timeline: 2, snapshot: '3:3:' })
  await feed.poll()
  t.equal(gaps(), 5, 'back in time')
  t.equal(others(), 3)
})

t.test('J5 a reading that finds another setting of writes makes nothing fresh: its connection may lead to a demoted server', async (t) => {
  const { feed, pretend, others } = await followed(t, 1)
  await feed.poll()
  t.ok(feed.isFresh())
  await until('the bound to pass', () => !feed.isFresh())
  pretend({ readOnlySettings: '0 0 default_transaction_read_only=on' })
  await feed.poll()
  t.equal(others(), 1, 'the connections are replaced')
  t.notOk(feed.isFresh())
  await feed.poll()
  t.ok(feed.isFresh(), 'by a new connection')
})

t.test('J5 a mark of all is part of each reading, the first one included, and is named once for each value', async (t) => {
  const { feed, news, query } = await followed(t)
  t.equal(feed.endedBefore(), -Infinity)
  await query("insert into otp_revocation (user_id, ended_before) values ('', to_timestamp(1000)), ('ada', to_timestamp(5000))")
  t.same(await news(), ['mark 1000'])
  t.equal(feed.endedBefore(), 1000)
  t.same(await news(), [])
  await query("update otp_revocation set ended_before = to_timestamp(2000) where user_id = ''")
  t.same(await news(), ['mark 2000'])
  t.equal(feed.endedBefore(), 2000)
})

t.test('J5 a mark of a user is named once for each time that it is put, by the order of transactions', async (t) => {
  const { feed, news, start, connection, query, gaps } = await followed(t)
  const marked: string[] = []
  feed.onReading((reading) => { marked.push(...reading.marked.map(({ userId, endedBefore }) => `${userId} ${endedBefore}`)) })
  const MARK = `insert into otp_revocation (user_id, ended_before, ended_xid) values ($1, to_timestamp($2), pg_current_xact_id())
    on conflict (user_id) do update set ended_before = excluded.ended_before, ended_xid = excluded.ended_xid`
  async function marks (): Promise<string[]> {
    marked.length = 0
    await news()
    return [...marked].sort()
  }
  await query(MARK, ['before', 1])
  t.same(await marks(), [], 'the first reading names nothing')
  const early = await connection()
  await early.query('begin')
  await early.query(MARK, ['early', 2])
  await query(MARK, ['late', 3])
  t.same(await marks(), ['late 3'])
  await start(['one'])
  await query(END, ['one'])
  t.same(await news(), ['one'], 'sessions are no marks')
  t.same(await marks(), [])
  await early.query('commit')
  t.same(await marks(), ['early 2'])
  await query(MARK, ['late', 4])
  t.same(await marks(), ['late 4'])
  t.same(await marks(), [])
  await query(`insert into otp_revocation (user_id, ended_before, ended_xid)
    select 'many ' || i, now(), pg_current_xact_id() from generate_series(1, 10001) i`)
  t.same(await marks(), [])
  t.equal(gaps(), 2, 'too many for one reading are a gap, as too many sessions')
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
