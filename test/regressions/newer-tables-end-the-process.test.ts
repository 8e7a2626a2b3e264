import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import Fastify from 'fastify'
import t from 'tap'
import { secondFactorMigrations, serviceMigrations } from '../../migrations/index.js'
import countersign from '../../plugins/countersign.js'
import { command } from '../helpers/command.js'
import { freshDatabase, openPool } from '../helpers/database.js'
import { need } from '../helpers/need.js'
import { startServer } from '../helpers/server-process.js'
import { freshKeys } from '../helpers/settings.js'

await need('postgres')

const NEWER = '2999-01-01-01-newer'
const last = Object.keys(serviceMigrations).at(-1)!

t.test('O12 the service runs on the tables of a newer version, and says so in one line', async (t) => {
  const { url, query } = await freshDatabase(t)
  const settings = { ...freshKeys(), DATABASE_URL: url }
  t.match(await command(['migrate', 'up'], settings), { code: 0 })
  await query('insert into countersign_migration values ($1, $1)', [NEWER])
  for (const MIGRATE of ['on', 'off']) {
    const replicas = [1, 2].map(() => startServer(t, { ...settings, MIGRATE }))
    await Promise.all(replicas.map((one) => one.ready()))
    for (const one of replicas) {
      t.equal(await one.kill('SIGINT'), 0)
      t.equal(one.said().split('\n').filter((line) => line.includes(NEWER)).length, 1, `MIGRATE=${MIGRATE}`)
    }
  }
  const said = `The tables are up to date, and of a newer version: ${NEWER}.\n`
  t.same(await command(['migrate', 'up'], settings), { code: 0, stdout: said, stderr: '' })
  t.same(await command(['migrate', 'status'], settings), { code: 0, stdout: said, stderr: '' })
  t.same(JSON.parse((await command(['migrate', 'status', '--json'], settings)).stdout), { pending: [], unknown: [NEWER] })
  const script = spawnSync(process.execPath, [join(import.meta.dirname, '../../src/migrate.js')], {
    env: { DATABASE_URL: url }, encoding: 'utf8'
  })
  t.match(script, { status: 0, stdout: said, stderr: '' })
  t.match(await command(['migrate', 'down', '--yes'], settings), {
    code: 1, stdout: '', stderr: /^This version does not know 2999-01-01-01-newer: .*\n$/
  })
  t.same(await query('select name from countersign_migration where name = $1', [NEWER]), [{ name: NEWER }])

  await query('delete from countersign_migration where name = $1', [last])
  const line = /^The tables are of another version: they have 2999-01-01-01-newer, .* lack 2026[^\n]*\n$/
  t.match(
    await command(['migrate', 'up'], settings), { code: 1, stderr: line }, 'its own migrations are not run after those of a newer one'
  )
  t.match(await command(['migrate', 'status'], settings), { code: 1, stdout: `to do: ${last}\nof a newer version: ${NEWER}\n` })
  const refused = startServer(t, settings)
  t.equal(await refused.exited, 1)
  t.match(refused.said().split('\n').filter((text) => !text.startsWith('{')).join('\n'), line)
})

t.test('O12 a host starts on the tables of a newer version', async (t) => {
  const { url, query } = await freshDatabase(t)
  const pool = openPool(url)
  t.teardown(() => pool.end())
  await countersign.migrate(pool)
  await query('insert into countersign.countersign_migration values ($1, $1)', [NEWER])
  t.same(await countersign.migrate(pool), [])
  t.same(await countersign.tablesVersion(pool), { version: Object.keys(secondFactorMigrations).at(-1), pending: [], unknown: [NEWER] })
  const lines: string[] = []
  const app = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => { lines.push(line) } } } })
  await app.register(countersign, {
    issuer: 'Host',
    sealKeys: freshKeys()['SEAL_KEYS']!,
    database: pool,
    identify: () => null,
    label: () => '',
    checkPassword: async () => {},
    complete: () => ({ sessionId: '', answer: {} })
  })
  t.teardown(() => app.close())
  await app.ready()
  t.equal(lines.filter((line) => line.includes(NEWER)).length, 1)
  t.match(await command(['tables', 'status'], { DATABASE_URL: url }), {
    code: 0, stdout: /^at: 2026.*\nof a newer version: 2999-01-01-01-newer\n$/
  })
  t.match(await command(['tables', 'up'], { DATABASE_URL: url }), {
    code: 0, stdout: /^The tables are up to date, and of a newer version: 2999[^\n]*\n$/
  })
})
