import Fastify from 'fastify'
import { Kysely, PostgresDialect } from 'kysely'
import t from 'tap'
import countersign, { type CountersignOptions } from '../../plugins/countersign.js'
import { freshDatabase, openPool } from '../helpers/database.js'
import { need } from '../helpers/need.js'
import { freshKeys } from '../helpers/settings.js'
import { targetOf, tcpProxy } from '../helpers/tcp-proxy.js'
import { until } from '../helpers/wait.js'

/*
 * At start a host checks that the tables are up to date. Like a migration, the check had no time limit: while PostgreSQL was
 * paused or its connection half-open, the host did not start, and did not answer 503 until PostgreSQL came back.
 */

await need('postgres')
const { url } = await freshDatabase(t)
await countersign.migrate(url)
const sealKeys = freshKeys()['SEAL_KEYS']!
const proxy = await tcpProxy(t, targetOf(url))

const newPool = () => {
  const pool = openPool(proxy.url(url))
  t.teardown(() => pool.end())
  return pool
}

/** [kind of database option] */
const databases: ReadonlyArray<readonly [string, () => CountersignOptions['database']]> = [
  ['a pool', newPool],
  ['a Kysely instance', () => new Kysely({ dialect: new PostgresDialect({ pool: newPool() }) })],
  ['an address', () => proxy.url(url)]
]

for (const [name, handIn] of databases) {
  t.test(`O3 a host with ${name} starts while PostgreSQL is paused, and serves when PostgreSQL goes on`, async (t) => {
    proxy.pause()
    const app = Fastify({ pluginTimeout: 5_000 })
    t.teardown(() => app.close())
    await app.register(countersign, {
      issuer: 'Acme',
      sealKeys,
      database: handIn(),
      identify: () => ({ userId: 'ada', sessionId: name }),
      label: () => 'ada',
      complete: (_request, _reply, { sessionId }) => ({ sessionId, answer: {} })
    })
    await t.resolves(async () => { await app.ready() })
    t.match((await app.inject('/totp/status')).json(), { statusCode: 503, code: 'UNAVAILABLE' })
    proxy.resume()
    await until('it to serve', async () => (await app.inject('/totp/status')).statusCode === 200)
  })
}
