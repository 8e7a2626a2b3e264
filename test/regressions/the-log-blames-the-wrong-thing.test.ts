import { randomBytes } from 'node:crypto'
import Fastify, { type FastifyInstance } from 'fastify'
import type pg from 'pg'
import t, { type Test } from 'tap'
import countersign, { type CountersignOptions } from '../../plugins/countersign.js'
import { buildApp } from '../../src/app.js'
import { readConfig } from '../../src/config/config.js'
import { command } from '../helpers/command.js'
import { emptyDatabase, freshDatabase, onServer, openPool } from '../helpers/database.js'
import { fakePostgres } from '../helpers/fake-postgres.js'
import { freePort } from '../helpers/free-port.js'
import { call } from '../helpers/http-client.js'
import { need } from '../helpers/need.js'
import { startServer } from '../helpers/server-process.js'
import { freshKeys, freshSettings } from '../helpers/settings.js'
import { targetOf, tcpProxy } from '../helpers/tcp-proxy.js'
import { until } from '../helpers/wait.js'

const server = await need('postgres')

interface Line { level: number, reason?: string, msg: string, err?: object }
const linesOf = (said: string): Line[] => said.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line))
const SEAL_KEYS = freshKeys()['SEAL_KEYS']!

async function host (t: Test, pool: pg.Pool, options: Partial<CountersignOptions>): Promise<{ app: FastifyInstance, lines: Line[] }> {
  const lines: Line[] = []
  const app = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => { lines.push(JSON.parse(line)) } } } })
  t.teardown(() => app.close())
  await app.register(countersign, {
    issuer: 'Host',
    sealKeys: SEAL_KEYS,
    database: pool,
    identify: () => null,
    label: () => '',
    checkPassword: async () => {},
    complete: () => ({ sessionId: '', answer: {} }),
    ...options
  })
  return { app, lines }
}

t.test('a host with another namespace over existing data is refused at start by name, also with data of an earlier version', async (t) => {
  const { url, query } = await freshDatabase(t)
  const pool = openPool(url)
  t.teardown(() => pool.end())
  await countersign.migrate(pool)
  const first = await host(t, pool, {})
  await first.app.ready()
  t.same(await query('select namespace from countersign.otp_key'), [{ namespace: 'countersign' }])
  await first.app.close()
  for (const isOld of [false, true]) {
    if (isOld) await query('update countersign.otp_key set namespace = null')
    const other = await host(t, pool, { namespace: 'shop' })
    await t.rejects(
      async () => {
        await other.app.ready()
      },
      { name: 'SealedElsewhereError', message: /namespace "countersign", and "namespace" is "shop"/ }
    )
    await other.app.close()
    const again = await host(t, pool, {})
    await again.app.ready()
    t.equal(again.app.countersign.isReady() || await until('it to be ready', () => again.app.countersign.isReady()), true)
    await again.app.close()
  }
  t.same(await query('select namespace from countersign.otp_key'), [{ namespace: 'countersign' }], 'noted where it was not')
})

/** [SEAL_KEYS, pattern of the log line], over data that the key `old` sealed. */
const old = randomBytes(32)
const foreign = [
  [`new:${randomBytes(32).toString('base64url')}`, /they lack its key "old"/],
  [`old:${randomBytes(32).toString('base64url')}`, /its key "old" is another one of that name/]
] as const

t.test('SEAL_KEYS that do not fit: one line, and /readyz says so', async (t) => {
  const settings = { ...await freshSettings(t), SEAL_KEYS: `old:${old.toString('base64url')}` }
  const first = startServer(t, settings)
  await first.ready()
  await first.kill('SIGINT')
  for (const [SEAL_KEYS, words] of foreign) {
    const service = startServer(t, { ...settings, SEAL_KEYS })
    const base = await service.listening()
    const answer = await until('the true cause', async () => {
      const found = await call(base, 'GET', '/readyz')
      return found.json().message === 'SEAL_KEYS do not open what this database holds.' ? found : undefined
    })
    t.equal(answer.status, 503)
    t.match(answer.json(), { code: 'UNAVAILABLE', status: 'unavailable', postgres: 'up' })
    t.equal((await call(base, 'GET', '/livez')).status, 200)
    await service.kill('SIGINT')
    const bad = linesOf(service.said()).filter(({ level }) => level >= 50)
    t.match(bad, [{ level: 60, reason: words }])
    t.equal(bad.length, 1, 'one line')
    t.notOk(bad[0]?.err, 'no stack')
  }
})

t.test('PostgreSQL away at start: one line for each reason, and one when it is back', async (t) => {
  const db = await freshDatabase(t)
  const proxy = await tcpProxy(t, targetOf(db.url))
  await proxy.cut()
  const service = startServer(t, { ...await freshSettings(t), DATABASE_URL: proxy.url(db.url) })
  const base = await service.listening()
  t.match((await call(base, 'GET', '/readyz')).json(), { statusCode: 503, message: 'PostgreSQL does not answer.', postgres: 'down' })
  const endAtMs = performance.now() + 2_500
  await until('some more tries', () => performance.now() > endAtMs)
  await proxy.restore()
  await service.ready()
  await service.kill('SIGINT')
  const lines = linesOf(service.said())
  t.same(lines.filter(({ err }) => err !== undefined), [], 'no stack')
  t.equal(
    lines.filter(({ reason }) => reason !== undefined && /ECONNREFUSED|terminated|closed|reset/i.test(reason)).length, 1, service.said()
  )
  t.equal(lines.filter(({ msg }) => msg === 'PostgreSQL can be used').length, 1)
})

t.test('MIGRATE=off before the tables are up to date: 503, /readyz says why, and 200 once they are', async (t) => {
  const settings = await freshSettings(t)
  t.match(await command(['migrate', 'up'], settings), { code: 0 })
  t.match(await command(['migrate', 'down', '--yes'], settings), { code: 0 })
  const service = startServer(t, { ...settings, MIGRATE: 'off' })
  const base = await service.listening()
  const answer = await until('the true cause', async () => {
    const found = (await call(base, 'GET', '/readyz')).json()
    return /tables are not up to date/.test(found.message) ? found : undefined
  })
  t.match(answer, { statusCode: 503, postgres: 'up' })
  t.equal((await call(base, 'POST', '/token', { body: { username: 'ada', password: 'correct horse battery' } })).status, 503)
  t.match(await command(['migrate', 'up'], settings), { code: 0 })
  await service.ready()
  await service.kill('SIGINT')
  const lines = linesOf(service.said())
  t.equal(lines.filter(({ msg, reason }) => /cannot be used yet/.test(msg) && /tables are not up to date/.test(reason ?? '')).length, 1)
  t.same(lines.filter(({ err }) => err !== undefined), [], 'no stack')
})

/** [answer of the server to a new connection, pattern of the one line] */
const refusals = [
  [{ error: 'password authentication failed for user "app"', code: '28P01' }, /user or the password/],
  [
    { error: 'no pg_hba.conf entry for host "10.0.0.1", user "app", database "app", no encryption', code: '28000' },
    /does not let this user or this machine in/
  ]
] as const

t.test('a connection that is refused for good: one line, exit 1, for the service, its commands and npm run migrate', async (t) => {
  for (const [greet, words] of refusals) {
    const DATABASE_URL = await fakePostgres(t, () => ({}), greet)
    const settings = { ...freshKeys(), DATABASE_URL }
    const service = startServer(t, settings)
    t.equal(await service.exited, 1)
    t.match(service.said(), words)
    t.equal(service.said().split('\n').length, 2, service.said())
    const listed = await command(['user', 'list'], settings)
    t.match(listed, { code: 1, stdout: '', stderr: words })
    t.equal(listed.stderr.split('\n').length, 2, listed.stderr)
  }
})

t.test('TLS that the server does not speak: one line', async (t) => {
  const url = new URL(await emptyDatabase(t, server))
  url.searchParams.set('sslmode', 'require')
  const config = readConfig({ DATABASE_URL: url.href, LOG_LEVEL: 'silent', ...freshKeys() })
  await t.rejects(buildApp(config), { name: 'UnusableDatabaseError', message: /takes no TLS connections/ })
})

t.test('a database that is not there yet is waited for', async (t) => {
  const url = new URL(await emptyDatabase(t, server))
  const name = url.pathname.slice(1)
  await onServer(server, `drop database ${name}`)
  const service = startServer(t, { ...await freshSettings(t), DATABASE_URL: url.href, OPS_PORT: String(await freePort()) })
  const base = await service.listening()
  t.match(await call(base, 'GET', '/readyz'), { status: 503 })
  await onServer(server, `create database ${name} template template0 encoding 'UTF8'`)
  await service.ready()
  await service.kill('SIGINT')
  const lines = linesOf(service.said())
  t.equal(lines.filter(({ reason }) => reason !== undefined && /does not exist/.test(reason)).length, 1)
  t.same(lines.filter(({ err }) => err !== undefined), [], 'no stack')
})
