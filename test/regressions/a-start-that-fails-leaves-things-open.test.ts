import Fastify from 'fastify'
import pg from 'pg'
import t, { type Test } from 'tap'
import countersign from '../../plugins/countersign.js'
import { buildApp } from '../../src/app.js'
import { readConfig } from '../../src/config/config.js'
import { takeLock } from '../../src/postgres/embedded/lock.js'
import { freshDatabase } from '../helpers/database.js'
import { embeddedDataDir } from '../helpers/embedded-data.js'
import { freePort } from '../helpers/free-port.js'
import { need } from '../helpers/need.js'
import { startServer } from '../helpers/server-process.js'
import { freshKeys, freshSettings, type Settings } from '../helpers/settings.js'
import { until } from '../helpers/wait.js'

await need('postgres')

type Fault = { name: string } | { code: string } | { message: RegExp }

const sockets = () => process.getActiveResourcesInfo().filter((name) => /TCP|Pipe|Server/.test(name)).length

/** Checks that nothing that the start opened is left. */
async function leavesNothing (t: Test, url: string, start: () => Promise<unknown>, error: Fault): Promise<void> {
  const before = sockets()
  await t.rejects(start(), error as { name: string })
  const watch = new pg.Client({ connectionString: url })
  await watch.connect()
  const others = 'select 1 from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and application_name = $1'
  await until('its connections to be gone', async () => (await watch.query(others, ['countersign'])).rows.length === 0)
  await watch.end()
  await until('its sockets to be closed', () => sockets() <= before)
}

/** [the step, settings that make it fail, the namespace, the error] */
const steps: ReadonlyArray<readonly [step: string, settings: Settings, namespace: string, error: Fault]> = [
  ['the tables', { MIGRATE: 'on' }, 'countersign', { code: '42P07' }],
  ['the plugin, on the database, Redis and tokens', {}, 'not a namespace', { name: 'TypeError' }]
]

for (const [step, settings, namespace, error] of steps) {
  t.test(`a start that fails at ${step}`, async (t) => {
    const { url, query } = await freshDatabase(t)
    if (step === 'the tables') await query('create table otp_user ()')
    const config = readConfig({ ...await freshSettings(t), LOG_LEVEL: 'silent', DATABASE_URL: url, ...settings })
    await leavesNothing(t, url, () => buildApp(config, { namespace }), error)
  })
}

t.test('a start that fails on the embedded database releases its folder', async (t) => {
  const folder = await embeddedDataDir(t)
  const config = readConfig({ LOG_LEVEL: 'silent', DATA_DIR: folder, ...freshKeys() })
  await t.rejects(buildApp(config, { namespace: 'not a namespace' }), { name: 'TypeError' })
  const lock = await takeLock(folder)
  await lock.release()
})

t.test('a host that starts on tables that are not there closes the connections of its address', async (t) => {
  const { url } = await freshDatabase(t)
  const app = Fastify()
  await app.register(countersign, {
    issuer: 'Host',
    sealKeys: freshKeys()['SEAL_KEYS']!,
    database: url,
    identify: () => null,
    label: () => '',
    complete: () => ({ sessionId: '', answer: {} })
  })
  await leavesNothing(t, url, async () => { await app.ready() }, { message: /not up to date/ })
  await app.close()
})

t.test('OPS_PORT is taken: the process ends with 1 and one line', async (t) => {
  const [settings, opsPort] = [await freshSettings(t), String(await freePort())]
  const first = startServer(t, { ...settings, OPS_PORT: opsPort })
  await first.ready()
  const second = startServer(t, { ...settings, OPS_PORT: opsPort })
  t.equal(await second.exited, 1)
  t.match(second.said(), /^OPS_PORT must be one that nobody listens on\.$/m)
})
