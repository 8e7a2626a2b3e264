import t, { type Test } from 'tap'
import { insideOf } from '../../src/attach/inside.js'
import { addSynchronousStandby, demote, IN_MEMORY, startPostgres, type PostgresServer } from '../chaos/postgres-server.js'
import { freshApp, type App } from '../helpers/app.js'
import { freshDatabase } from '../helpers/database.js'
import { need } from '../helpers/need.js'
import { expect, sessionsOf, signUp, type Person } from '../helpers/person.js'
import { untilReady } from '../helpers/readiness.js'
import { guarded } from '../helpers/replicas.js'
import { tcpProxy } from '../helpers/tcp-proxy.js'
import { until } from '../helpers/wait.js'

/*
 * Failover by DNS name: for some seconds the name still leads to the former primary, which refuses writes. A connection to
 * it works, so a replica read the live sessions there. It let a session in for a minute that had ended at the other replica,
 * answered writes with 503 for ever, and /readyz reported no fault.
 */

await need('initdb')
t.jobs = 1

/** REVOCATION_SECONDS. */
const BOUND_MS = 1_000
/** Longest time from the name's move to the first write. */
const BACK_MS = 2_000

type Demote = (primary: PostgresServer, standby: PostgresServer) => Promise<void>

/** [state of the former primary, function that demotes it] */
const demotions: ReadonlyArray<readonly [string, Demote]> = [
  ['restarted as a standby of the new one', async (primary, standby) => {
    await primary.stop('fast')
    await standby.query('select pg_promote()')
    await demote(primary, standby)
  }],
  ['read-only by a setting, with all its connections', async (primary, standby) => {
    await primary.query('alter system set default_transaction_read_only = on')
    await primary.query('select pg_reload_conf()')
    await until('it to be read-only', async () => (await primary.query('show transaction_read_only'))[0]!['transaction_read_only'] === 'on')
    await standby.query('select pg_promote()')
  }]
]

/** A replica of the service, and its resolver of the database's name. */
interface Named { app: App, name: { host: string, port: number } }

async function pair (t: Test): Promise<{ primary: PostgresServer, standby: PostgresServer, replicas: [Named, Named] }> {
  const primary = await startPostgres((undo) => t.teardown(undo as () => void), IN_MEMORY)
  const db = await freshDatabase(t, primary.url)
  const standby = await addSynchronousStandby((undo) => t.teardown(undo as () => void), primary)
  const names = [0, 1].map(() => ({ host: '127.0.0.1', port: primary.port }))
  const urls = []
  for (const name of names) urls.push((await tcpProxy(t, name)).url(db.url))
  // Without Redis: no message and no Redis cache may replace PostgreSQL's answer.
  const fresh = await freshApp(t, { DATABASE_URL: urls[0]!, REDIS_URL: '' }, { db })
  const replicas = [
    { app: fresh.app, name: names[0]! }, { app: await fresh.another({ DATABASE_URL: urls[1]! }), name: names[1]! }
  ] as [Named, Named]
  for (const { app } of replicas) await untilReady(app)
  return { primary, standby, replicas }
}

/** Returns milliseconds until that replica accepts a write. */
async function untilWritten ({ app }: Named, person: Person, fromMs: number): Promise<number> {
  const there = person.elsewhere(app)
  there.access = person.access
  await until('a write to be answered', async () => (await there.request('POST', '/token/revoke')).statusCode === 204)
  return performance.now() - fromMs
}

const statusOf = async ({ app }: Named, url: string): Promise<number> => (await app.inject(url)).statusCode

/** [where writes are forbidden, what is altered] for connections that are made after it */
const fences: ReadonlyArray<readonly [string, (database: string, role: string) => string]> = [
  ['the database', (database) => `database ${database}`],
  ['the role in the database', (database, role) => `role "${role}" in database ${database}`],
  ['all roles in the database', (database) => `role all in database ${database}`]
]

t.test('O3 J5 writes are forbidden by a setting that holds for new connections alone: the open ones are given up', async (t) => {
  for (const [where, altered] of fences) {
    const { app, db, another } = await freshApp(t, { REDIS_URL: '' })
    const replicas = [app, await another()]
    for (const replica of replicas) await untilReady(replica)
    const ada = await signUp(app)
    for (const replica of replicas) expect(200, await ada.elsewhere(replica).login())
    const [names] = await db.query('select current_database() as database, session_user::text as role')
    const object = altered(String(names!['database']), String(names!['role']))
    const rows = async () => await db.query(
      'select (select count(*) from otp_session) as sessions, (select count(*) from otp_event) as events')

    await db.query(`alter ${object} set default_transaction_read_only = on`)
    for (const replica of replicas) await until('it not to be ready', async () => (await replica.inject('/readyz')).statusCode === 503)
    const before = await rows()
    for (const replica of replicas) {
      const answers = await Promise.all(Array.from({ length: 12 }, () => ada.elsewhere(replica).login()))
      t.same(new Set(answers.map(({ statusCode }) => statusCode)), new Set([503]), where)
      t.match((await replica.inject('/readyz')).json(), { statusCode: 503, postgres: 'up' })
    }
    t.same(await rows(), before, `${where}: nothing was written`)

    await db.query(`alter ${object} reset default_transaction_read_only`)
    for (const replica of replicas) {
      await untilReady(replica)
      expect(200, await ada.elsewhere(replica).login())
    }
  }
})

for (const [how, demotePrimary] of demotions) {
  t.test(`J5 O3 a failover by name; the former primary is ${how}`, async (t) => {
    const { primary, standby, replicas: [a, b] } = await pair(t)
    const ada = await signUp(a.app)
    const [ended, writer, second, alive] = await sessionsOf(ada, 4) as [Person, Person, Person, Person]
    for (const person of [ended, writer, second, alive]) t.equal(await guarded(b, person), 200)

    await demotePrimary(primary, standby)
    a.name.port = standby.port
    t.comment(`writes at the replica whose name moved at once: after ${await untilWritten(a, second, performance.now())} ms`)
    await until('the end to be committed', async () => {
      const answer = await ended.request('POST', '/token/revoke')
      return answer.statusCode === 204 || answer.statusCode === 401
    })

    // The other replica's name leads to the former primary, which does not have the ended session, now or ever.
    const endedAtMs = performance.now()
    const answers = new Set<number>()
    await until('four bounds to pass', async () => {
      const askedAtMs = performance.now()
      const status = await guarded(b, ended)
      if (askedAtMs - endedAtMs > BOUND_MS) answers.add(status)
      return performance.now() - endedAtMs > 4 * BOUND_MS
    })
    t.notOk(answers.has(200), `it answered ${[...answers].join(', ')}`)
    t.ok(answers.size > 0)
    const readiness = await b.app.inject('/readyz')
    t.equal(readiness.statusCode, 503)
    t.equal(readiness.json().postgres, 'up', 'it answers, and is not the primary')
    t.equal(await statusOf(a, '/readyz'), 200)
    t.equal(await guarded(b, alive), 503, 'a session that it cannot read is not served')
    t.equal(
      insideOf(b.app).sessions.known(String(alive.claims()['sub']), String(alive.claims()['sid'])),
      undefined,
      'nothing is remembered as alive'
    )

    const movedAtMs = performance.now()
    b.name.port = standby.port
    const backMs = await untilWritten(b, writer, movedAtMs)
    t.ok(backMs <= BACK_MS, `writes are back ${backMs} ms after the name moved`)
    t.equal(await guarded(b, ended), 401)
    await untilReady(b.app)
    t.equal(await guarded(b, alive), 200)
    t.equal(await guarded(a, writer), 401, 'a session that ended there is refused here')
    for (let i = 0; i < 20; i++) expect(204, await (await sessionsOf(ada, 1))[0]!.request('POST', '/token/revoke'))
  })
}
