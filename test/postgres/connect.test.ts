/** Addresses of sockets and of several hosts, with servers of this test. */
import { spawnSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'kysely'
import t from 'tap'
import { serversFault, serversOf } from '../../src/postgres/connect.js'
import { openDjango } from '../../src/imports/django/source.js'
import { inspect, openPostgres } from '../../src/postgres/server-pool.js'
import { createDb } from '../../src/tables/db.js'
import { startPostgres } from '../chaos/postgres-server.js'
import type { Undo } from '../chaos/stage.js'
import { need } from '../helpers/need.js'
import type { Owner } from '../helpers/teardown.js'
import { until } from '../helpers/wait.js'

await need('initdb')

const undo: Undo = (work) => { t.teardown(work) }
const sockets = ['fsync=off', 'unix_socket_directories=/tmp']
const primary = await startPostgres(undo, sockets)
const standby = await startPostgres(undo, sockets)
await standby.stop('fast')
await writeFile(join(standby.data, 'standby.signal'), '')
await standby.start()
const PASSWORD = 'a/b#c?d%20&é'
await primary.query(`set password_encryption = 'scram-sha-256'; create role guarded login password '${PASSWORD}'`)

/** Returns the port of the server that answers. */
async function answering (t: Owner, url: string): Promise<number> {
  const pool = openPostgres(url, 3, () => {})
  t.teardown(() => pool.close())
  const { rows: [row] } = await sql<{ port: number }>`select current_setting('port')::int as port`.execute(createDb(pool.dialect).kysely)
  return row!.port
}

t.test('the same server by every spelling of its place', async (t) => {
  const { port } = primary
  for (const url of [
    primary.url, `postgres://postgres@/postgres?host=/tmp&port=${port}`, `postgres://postgres@%2Ftmp:${port}/postgres`,
    `postgresql:///postgres?host=/tmp&port=${port}&user=postgres`,
    `postgres://postgres@:${port}/?host=/tmp&dbname=postgres`, `postgres://postgres@/postgres?host=127.0.0.1&port=${port}`,
    `postgres://postgres:x#y/z@127.0.0.1:${port}/postgres`
  ]) {
    t.equal(await answering(t, url), port, url)
    t.equal((await inspect(url)).isPooled, false, url)
    await t.rejects(openDjango(url, async () => '', 1), { name: 'SourceError', message: /has no auth_user/ }, url)
  }
})

t.test('a database whose name wants encoding', async (t) => {
  await primary.query('create database "d#b/ c"')
  for (const name of [
    'd%23b%2F%20c', 'd#b/ c'
  ]) {
    t.equal(await answering(t, `postgres://postgres@127.0.0.1:${primary.port}/${name}`), primary.port, name)
  }
})

t.test('a password of special characters, encoded and as it is', async (t) => {
  const file = join(primary.data, 'pg_hba.conf')
  t.match(await readFile(file, 'utf8'), /trust/)
  t.equal(spawnSync('sed', ['-i', '1i host all guarded all scram-sha-256', file]).status, 0)
  await primary.query('select pg_reload_conf()')
  const address = (password: string) => `postgres://guarded:${password}@127.0.0.1:${primary.port}/postgres`
  await until('the server to ask for passwords', () => answering(t, address('wrong')).then(() => false, () => true))
  for (const spelled of [
    encodeURIComponent(PASSWORD), 'a/b#c?d%2520&é', 'a%2Fb#c?d%2520&%C3%A9'
  ]) {
    t.equal(await answering(t, address(spelled)), primary.port, spelled)
  }
})

t.test('of several hosts the first that takes writes, whatever their order', async (t) => {
  const [writes, reads] = [`127.0.0.1:${primary.port}`, `127.0.0.1:${standby.port}`]
  const dead = '127.0.0.1:1'
  for (const hosts of [
    `${writes},${reads}`, `${reads},${writes}`, `${dead},${writes}`, `${dead},${reads},${writes}`, `${writes},${dead}`
  ]) {
    for (const attributes of ['', '?target_session_attrs=read-write', '?target_session_attrs=any']) {
      t.equal(await answering(t, `postgres://postgres@${hosts}/postgres${attributes}`), primary.port, hosts + attributes)
    }
    t.equal((await inspect(`postgres://postgres@${hosts}/postgres`)).isPooled, false, hosts)
  }
  for (const hosts of [reads, `${dead},${reads}`]) {
    await t.rejects(answering(t, `postgres://postgres@${hosts}/postgres?target_session_attrs=read-write`), { code: 'UNAVAILABLE' }, hosts)
  }
  await t.rejects(answering(t, `postgres://postgres@${reads}/postgres`), { code: 'UNAVAILABLE', cause: { code: '25006' } },
    'nor a single one that takes no writes')
})

t.test('fifty at once while the first host goes away: all of them are answered by the next', async (t) => {
  const second = await startPostgres(undo, ['fsync=off'])
  const pool = openPostgres(`postgres://postgres@127.0.0.1:${second.port},127.0.0.1:${primary.port}/postgres`, 5, () => {})
  t.teardown(() => pool.close())
  const { kysely } = createDb(pool.dialect)
  const ask = async () => (await sql<{ port: number }>`select current_setting('port')::int as port`.execute(kysely)).rows[0]!.port
  t.same(new Set(await Promise.all(Array.from({ length: 50 }, ask))), new Set([second.port]))
  await second.kill()
  await until('the next host to answer', () => ask().then((port) => port === primary.port, () => false), 5_000)
  t.same(new Set(await Promise.all(Array.from({ length: 50 }, ask))), new Set([primary.port]))
})

t.test('TLS as pg reads it, and for --from as psql does', async (t) => {
  const tls = (parameters: string, whose?: 'libpq') => serversOf(`postgres://h/d${parameters}`, whose).configs[0]!.ssl
  t.equal(tls(''), undefined, 'left to PGSSLMODE')
  t.equal(tls('?sslmode=disable'), false)
  t.strictSame(tls('?sslmode=verify-full'), {})
  t.strictSame(tls('?sslmode=no-verify'), { rejectUnauthorized: false })
  t.strictSame(tls('?sslmode=require', 'libpq'), { rejectUnauthorized: false })
  t.equal(tls('?sslmode=prefer', 'libpq'), false)
  t.strictSame(tls('?sslmode=verify-full', 'libpq'), {})
  t.match(serversFault('postgres://h/d?sslrootcert=/not/there/hunter2'), /certificates .*\(ENOENT\)$/)
  t.notMatch(serversFault('postgres://h/d?sslrootcert=/not/there/hunter2'), 'hunter2')
})
