import { once } from 'node:events'
import t from 'tap'
import { openPostgres } from '../../../src/postgres/server-pool.js'
import { createDb, type Db } from '../../../src/tables/db.js'
import { freshApp } from '../../helpers/app.js'
import { start } from '../../helpers/command.js'
import { freshDatabase, type TestDatabase } from '../../helpers/database.js'
import { bringOver, generateDjango } from '../../helpers/django.js'
import { need } from '../../helpers/need.js'
import type { Settings } from '../../helpers/settings.js'
import type { Owner } from '../../helpers/teardown.js'
import { until } from '../../helpers/wait.js'

await need('postgres')

const countOf = async (query: TestDatabase['query'], name: string) =>
  (await query<{ count: number }>(`select count(*)::int as count from ${name}`))[0]!.count

/** A command's statements have no time limit: an import waits for the page of another one. */
async function databaseOfCommand (t: Owner, settings: Settings): Promise<Db> {
  const pool = openPostgres(settings['DATABASE_URL']!, 2, () => {}, 0)
  t.teardown(() => pool.close())
  return createDb(pool.dialect)
}

t.test('two importers at once bring everybody over once', async (t) => {
  const { app, db, settings } = await freshApp(t)
  const source = await freshDatabase(t)
  await generateDjango(source.url, 1200)
  const both = await Promise.all([1, 2].map(async () => await bringOver(app, source.url, { db: await databaseOfCommand(t, settings) })))
  t.equal(both[0]!.report.users.brought + both[1]!.report.users.brought, 1200)
  t.same(both.flatMap(({ notes }) => notes), [])
  t.equal(await countOf(db.query, 'account'), 1200)
  t.equal(await countOf(db.query, 'otp_device'), 840)
  t.equal(await countOf(db.query, 'otp_recovery_code'), 4200)
})

t.test('killed half-way it goes on', async (t) => {
  const { db, settings } = await freshApp(t, {}, { namespace: 'countersign' })
  const source = await freshDatabase(t)
  const users = 6000
  await generateDjango(source.url, users)
  const killed = start(['import', 'django', '--from', source.url], settings)
  await until('the first batches', async () => await countOf(db.query, 'account') > 0, 60_000)
  killed.kill('SIGKILL')
  await once(killed, 'close')
  const half = await countOf(db.query, 'account')
  t.ok(half > 0 && half < users, `${half} of ${users}`)
  t.equal(await countOf(db.query, 'otp_user'), half, 'nobody by halves')
  const again = start(['import', 'django', '--from', source.url, '--json'], settings)
  let text = ''
  again.stdout.setEncoding('utf8').on('data', (more: string) => { text += more })
  const [code] = await once(again, 'close')
  t.equal(code, 0)
  const { report } = JSON.parse(text)
  t.match(report.users, { found: users, leftOut: 0 })
  t.equal(report.users.brought + report.users.alreadyHere, users)
  t.equal(await countOf(db.query, 'account'), users)
  t.equal(await countOf(db.query, 'otp_device'), users * 0.7)
})
