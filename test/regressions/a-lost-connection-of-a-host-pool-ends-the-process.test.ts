import Fastify, { type FastifyInstance } from 'fastify'
import pg from 'pg'
import t from 'tap'
import countersign, { otpVerified } from '../../plugins/countersign.js'
import { appDatabase } from '../helpers/database.js'
import { fromHeaders } from '../helpers/header-host.js'
import { need } from '../helpers/need.js'
import { freshKeys } from '../helpers/settings.js'
import { until } from '../helpers/wait.js'

/*
 * A pg pool without a listener for 'error', as in the examples of the documentation, ends the process when an idle connection is lost:
 * a restart of PostgreSQL stopped each host. Here, an uncaught exception fails the file.
 */

await need('postgres')
const { url, query } = await appDatabase(t, 'host')
// A connection that is never lent again stays idle.
// eslint-disable-next-line no-restricted-syntax -- without a listener, as hosts have it
const pool = new pg.Pool({ connectionString: url, idleTimeoutMillis: 0 })

const guarded = async (host: FastifyInstance) =>
  (await host.inject({ url: '/guarded', headers: { user: 'ada', session: 'a' } })).statusCode
const hostWith = async (lines: string[]) => {
  const host = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => { lines.push(line) } } } })
  host.get('/guarded', { onRequest: otpVerified() }, async () => ({}))
  await host.register(countersign, { ...fromHeaders, issuer: 'Acme', sealKeys: freshKeys()['SEAL_KEYS']!, database: pool })
  return host
}
const lossesIn = (lines: string[]) => lines.filter((line) => line.includes('"a connection to PostgreSQL was lost"')).length
const loseIdle = () => query('select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and ' +
  "pid <> pg_backend_pid() and state = 'idle'")
const connect = async () => { (await pool.connect()).release() }

t.test('O3 a host survives the loss of its idle connections, and logs each', async (t) => {
  const lines: string[] = []
  const host = await hostWith(lines)
  t.equal(await guarded(host), 200)
  await loseIdle()
  await until('the loss is logged', async () => lossesIn(lines) > 0)
  await until('a new connection', async () => await guarded(host) === 200)
  await host.close()
})

t.test('a second registration over the same pool, and no registration at all', async (t) => {
  const lines: string[] = []
  const host = await hostWith(lines)
  t.equal(pool.listenerCount('error'), 1, 'one listener for all registrations')
  await host.close()
  const before = lossesIn(lines)
  await connect()
  await loseIdle()
  await until('the pool has lost its connections', async () => pool.totalCount === 0)
  t.equal(lossesIn(lines), before, 'a closed app logs nothing')
  await pool.end()
})
