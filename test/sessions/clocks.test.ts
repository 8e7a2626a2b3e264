import fc from 'fast-check'
import t, { type Test } from 'tap'
import { secondFactorMigrations } from '../../migrations/index.js'
import { migrateUp } from '../../src/postgres/migrator.js'
import { openPostgres } from '../../src/postgres/server-pool.js'
import { readSessionContext } from '../../src/sessions/statements.js'
import { createDb, type Db } from '../../src/tables/db.js'
import { createRevocationPoller } from '../../src/sessions/revocations/revocation-poller.js'
import { createSessions, type Sessions } from '../../src/sessions/liveness.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { need } from '../helpers/need.js'
import { entries } from '../helpers/redis-entries.js'
import { targetOf, tcpProxy, type TcpProxy } from '../helpers/tcp-proxy.js'

/*
 * Three clocks take part: PostgreSQL's, and the monotonic clock of each process. Their difference is known only as exactly as
 * the newest reading was quick. So a time of one clock is never compared with a time of another one.
 */

await need('postgres')

/** So long that no poll begins by itself during a test. */
const HOUR_SECONDS = 3_600
const RUNS = 12
/** Delays of answers, in milliseconds. */
const delay = fc.constantFrom(0, 0, 20, 100, 300, 400)

interface Place { db: TestDatabase & { url: string }, proxy: TcpProxy, pool: () => Db }

async function place (t: Test): Promise<Place> {
  const db = await freshDatabase(t)
  const proxy = await tcpProxy(t, targetOf(db.url))
  const pool = () => {
    const opened = openPostgres(proxy.url(db.url), 2, () => {})
    t.teardown(() => opened.close())
    return createDb(opened.dialect)
  }
  const own = openPostgres(db.url, 2, () => {}, 0)
  await migrateUp(own.dialect, secondFactorMigrations).finally(() => own.close())
  return { db, proxy, pool }
}

async function twoReplicas (t: Test) {
  const { db, proxy, pool } = await place(t)
  const redis = entries().link(() => true)
  const open = (own: Db) => createSessions({
    db: own,
    pollerDb: own,
    redis,
    namespace: 'clocks',
    macKeys: [Buffer.alloc(32)],
    readingKeys: [Buffer.alloc(32)],
    revocationSeconds: HOUR_SECONDS,
    report: () => {}
  })
  const direct = openPostgres(db.url, 2, () => {})
  t.teardown(() => direct.close())
  const here = createDb(direct.dialect)
  const [one, two] = [open(here), open(pool())]
  for (const sessions of [one, two]) await sessions.poll()
  // After the time in which Redis copies may be older than the first reading.
  await db.clock.advance(3)
  for (const sessions of [one, two]) await sessions.poll()
  return { db, here, proxy, one, two }
}

let count = 0

async function begin ({ query }: TestDatabase): Promise<string> {
  const id = `session ${count++}`
  await query(`
    insert into otp_session
      (user_id, id, started_at, expires_at, auth_at, amr, otp_required, otp_device_id, otp_at, rotated_at, ip, agent)
    select 'ada', $1, at, at + interval '1 day', at, '{pwd}', true, 'phone', at, at, '', '' from (select clock_timestamp() at) now`, [id])
  return id
}

/** Change by a host that keeps its session id and disables 2FA: the session lives on, with fewer proofs. */
const change = ({ query }: TestDatabase, id: string) =>
  query('update otp_session set otp_device_id = null, otp_at = null, ended_xid = pg_current_xact_id() where id = $1', [id])

const deviceAt = async (sessions: Sessions, id: string) => {
  const known = sessions.known('ada', id)
  return (known === undefined ? await sessions.find('ada', id, null) : known)?.otpDeviceId
}

t.test('J5 a copy from before a change is not used by a replica that heard of the change, however late its readings come', async (t) => {
  const { db, proxy, one, two } = await twoReplicas(t)
  await fc.assert(fc.asyncProperty(delay, delay, delay, fc.boolean(), async (first, second, third, isRead) => {
    const id = await begin(db)
    if (isRead) t.equal(await deviceAt(two, id), 'phone')
    t.equal(await deviceAt(one, id), 'phone', 'this replica makes a copy')
    await change(db, id)
    for (const delayMs of [first, second, third]) {
      proxy.delayMs = delayMs
      await two.poll()
    }
    proxy.delayMs = 0
    return await deviceAt(two, id) === null
  }), { numRuns: RUNS, examples: [[0, 300, 0, false], [0, 0, 300, false]] })
  t.ok(two.state().copy === 0 || two.state().postgres > 0)
})

t.test('J5 copies are still used for what did not change', async (t) => {
  const { db, proxy, one, two } = await twoReplicas(t)
  const id = await begin(db)
  t.equal(await deviceAt(one, id), 'phone')
  proxy.delayMs = 300
  await two.poll()
  t.equal(await deviceAt(two, id), 'phone')
  t.equal(two.state().copy, 1)
})

t.test('J5 an answer that comes late is not remembered over a change or an end that was heard of meanwhile', async (t) => {
  const { db, here, one, two } = await twoReplicas(t)
  await fc.assert(fc.asyncProperty(fc.constantFrom('changed', 'ended'), fc.boolean(), async (what, isHeardHere) => {
    const id = await begin(db)
    const { reading } = await readSessionContext(here, 'ada', id)
    if (what === 'changed') await change(db, id)
    else await db.query('update otp_session set ended_at = clock_timestamp(), ended_xid = pg_current_xact_id() where id = $1', [id])
    if (!isHeardHere) await two.poll()
    else if (what === 'changed') two.changed('ada', id)
    else two.ended('ada', [id])
    // The same as after a commit whose answer is late.
    two.started(reading!)
    const device = await deviceAt(two, id)
    return what === 'changed' ? device === null : device === undefined
  }), { numRuns: RUNS })
  t.ok(one.state().areRevocationsFresh)
})

t.test('J5 a request that comes after a change was heard of does not join a question from before', async (t) => {
  const { db, proxy, two } = await twoReplicas(t)
  const id = await begin(db)
  const answer = proxy.holdNext((bytes) => bytes.includes(id))
  const early = two.find('ada', id, null)
  await answer.held
  await change(db, id)
  two.changed('ada', id)
  const late = two.find('ada', id, null)
  answer.release()
  t.equal((await late)?.otpDeviceId, null)
  await early
})

t.test('J5 the clock of PostgreSQL, as a process keeps it, is never behind and never ahead of it, ' +
  'wherever it stands and however late it is told', async (t) => {
  const { db: { clock }, proxy, pool } = await place(t)
  const silent = { onEnded () {}, onChanged () {}, onMark () {}, onGap () {}, onOtherServer () {} }
  const feed = createRevocationPoller(pool(), HOUR_SECONDS, silent, () => {})
  await fc.assert(fc.asyncProperty(delay, fc.integer({ min: -86_400, max: 86_400 }), async (delayMs, seconds) => {
    await clock.advance(seconds)
    proxy.delayMs = delayMs
    const askedAtMs = performance.now()
    await feed.poll()
    const tookMs = performance.now() - askedAtMs
    const before = (await clock.now()).getTime()
    const [earliest, latest] = [feed.earliestNowMs(), feed.nowMs()]
    const after = (await clock.now()).getTime()
    // `now()` of a test clock has whole milliseconds.
    return latest >= before - 1 && earliest <= after + 1 && latest - earliest <= tookMs + 1
  }), { numRuns: RUNS, examples: [[400, 0], [400, -3_600]] })
})
