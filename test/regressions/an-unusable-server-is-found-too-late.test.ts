import Fastify from 'fastify'
import { Kysely, PostgresDialect } from 'kysely'
import t, { type Test } from 'tap'
import countersign from '../../plugins/countersign.js'
import { buildApp } from '../../src/app.js'
import { migrateStatusCommand } from '../../src/commands/migrate.js'
import { readConfig } from '../../src/config/config.js'
import { worked } from '../helpers/command.js'
import { emptyDatabase, onServer, openPool } from '../helpers/database.js'
import { fakePostgres, type FakeAnswer } from '../helpers/fake-postgres.js'
import { fromHeaders } from '../helpers/header-host.js'
import { need } from '../helpers/need.js'
import { startServer } from '../helpers/server-process.js'
import { freshKeys } from '../helpers/settings.js'

const server = await need('postgres')

const MISSING = { error: 'function pg_current_xact_id() does not exist', code: '42883' }
const is = (version: string, rest: FakeAnswer = MISSING) => (statement: string): FakeAnswer =>
  /version\(\)/.test(statement) ? { version } : rest

/** [answers of the server, pattern of the one line] */
const fakes: ReadonlyArray<readonly [answer: (statement: string) => FakeAnswer, named: RegExp]> = [
  [is('CockroachDB CCL v23.1.11 (x86_64-pc-linux-gnu, built 2023/09/27 01:53:43, go1.19.10)'), /CockroachDB/],
  [is('PostgreSQL 15.2-YB-2.25.1.0-b0 on x86_64-pc-linux-gnu, compiled by clang version 17.0.6, 64-bit'), /YugabyteDB/],
  [
    is('PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2 20041017 (Red Hat 3.4.2-6.fc3), Redshift 1.0.61678'),
    /Redshift/
  ],
  [is('PostgreSQL 16'), /missing in the database \(PostgreSQL 16\): .*pg_current_xact_id/],
  [
    is('PostgreSQL 14.9 on x86_64-pc-linux-gnu', { number: '140009', encoding: 'UTF8', pid: '7' }),
    /is PostgreSQL 14\.9: PostgreSQL 15 or later/
  ],
  [is('PostgreSQL 17.2', { number: '170002', encoding: 'SQL_ASCII', pid: '7' }), /SQL_ASCII, and must be UTF8/],
  [() => ({ error: 'syntax error at or near "version"', code: '42601' }), /version/]
]

async function isRefused (t: Test, url: string, named: RegExp): Promise<void> {
  const one = { name: 'UnusableDatabaseError', message: named }
  const config = readConfig({ DATABASE_URL: url, LOG_LEVEL: 'silent', ...freshKeys() })
  await t.rejects(buildApp(config), one, 'the service')
  await t.rejects(worked((io) => migrateStatusCommand(io, config)), one, 'a command')
  const pool = openPool(url)
  t.teardown(() => pool.end())
  for (const database of [url, pool, new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) })]) {
    await t.rejects(countersign.migrate(database), one, 'a host that migrates')
    const app = Fastify()
    await app.register(countersign, { ...fromHeaders, issuer: 'Host', sealKeys: freshKeys()['SEAL_KEYS']!, database })
    await t.rejects(async () => { await app.ready() }, one, 'a host that starts')
    await app.close()
  }
}

t.test('a server that only speaks the protocol, or is too old, is refused at start by name', async (t) => {
  for (const [answer, named] of fakes) await t.test(String(named), async (t) => isRefused(t, await fakePostgres(t, answer), named))
})

t.test('a database with another encoding', async (t) => {
  const url = await emptyDatabase(t, server)
  const name = new URL(url).pathname.slice(1)
  await onServer(server, `drop database ${name}`)
  await onServer(server, `create database ${name} template template0 encoding 'LATIN1' lc_collate 'C' lc_ctype 'C'`)
  await isRefused(t, url, /LATIN1, and must be UTF8/)
})

t.test('one line, exit 1, and no password in it', async (t) => {
  const [answer, named] = fakes[0]!
  const refused = startServer(t, { DATABASE_URL: await fakePostgres(t, answer), ...freshKeys() })
  t.equal(await refused.exited, 1)
  t.match(refused.said(), named)
  t.equal(refused.said().split('\n').length, 2, refused.said())
  t.notMatch(refused.said(), /s3cret/)
})

t.test('a role that may not make tables, and a search path that leads nowhere: one line', async (t) => {
  const url = new URL(await emptyDatabase(t, server))
  const name = url.pathname.slice(1)
  await onServer(server, `create role ${name}_poor login`)
  t.teardown(() => onServer(server, `drop role ${name}_poor`))
  url.username = `${name}_poor`
  const config = () => readConfig({ DATABASE_URL: url.href, LOG_LEVEL: 'silent', ...freshKeys() })
  await t.rejects(buildApp(config()), { name: 'UnusableDatabaseError', message: /permission denied for schema public/ })
  await onServer(server, `alter database ${name} set search_path = 'nowhere'`)
  await t.rejects(buildApp(config()), { name: 'UnusableDatabaseError', message: /search_path/ })
  await t.rejects(countersign.migrate(url.href), { name: 'UnusableDatabaseError', message: /permission denied for database/ })
})
