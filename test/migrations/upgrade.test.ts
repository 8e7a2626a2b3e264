import t, { type Test } from 'tap'
import { secondFactorMigrations, serviceMigrations } from '../../migrations/index.js'
import { migrateDown, migrateUp } from '../../src/postgres/migrator.js'
import { openPostgres } from '../../src/postgres/server-pool.js'
import { readEvents } from '../../src/events/log.js'
import { insideOf } from '../../src/attach/inside.js'
import { outcome } from '../helpers/answers.js'
import { clockOf, freshApp, freshHost, type App } from '../helpers/app.js'
import type { Query } from '../helpers/clock.js'
import { need } from '../helpers/need.js'
import { expect, type Person } from '../helpers/person.js'
import { fixture, personOf, restored } from '../helpers/upgraded.js'

await need('postgres')

const isAlive = async (person: Person) => outcome(await person.request('GET', '/session'))

/** Logs in with the password and a code, or a recovery code, in a session of its own. */
async function logsIn (person: Person, app: App, recoveryCode?: string): Promise<Person> {
  const again = person.elsewhere(app)
  expect(200, await again.login())
  expect(200, recoveryCode === undefined ? await again.verify() : await again.recover(recoveryCode))
  return again
}

async function goesOn (t: Test, place: 'service' | 'host', app: App): Promise<void> {
  const { people } = fixture[place]
  const [ada, recovered, unverified, ended, ben, cyd, dee, guesser, eve] = ([
    'ada', 'recovered', 'unverified', 'ended', 'ben', 'cyd', 'dee', 'guesser', 'eve'
  ] as const).map((name) => personOf(app, people[name])) as [Person, Person, Person, Person, Person, Person, Person, Person, Person]
  const isHost = place === 'host'
  // Until its first reading, a process goes by its own clock, by which the tokens of then have expired.
  await insideOf(app).sessions.poll()

  // A lock stays, and spares the verified session.
  t.equal(outcome(await guesser.verify(await dee.nextCode())), '429 OTP_LOCKED')
  t.equal(await isAlive(dee), '200')

  // Live sessions go on, and the ended one does not.
  for (const person of [ada, recovered, ben, cyd, dee, eve]) t.equal(await isAlive(person), '200', person.username)
  t.equal(await isAlive(ended), isHost ? '401 TOKEN_INVALID' : '401 SESSION_ENDED')
  t.equal(await isAlive(unverified), '403 OTP_REQUIRED')
  if (!isHost) for (const person of [ada, recovered, ben, cyd, dee, eve]) expect(200, await person.refreshTokens())
  t.match((await ada.request('GET', '/totp/status')).json(), { isOtpEnabled: true, recoveryCodesLeft: ada.recoveryCodes.length })

  // A used recovery code is refused, a wrong code too; an unused one and a code verify.
  // The phones of then may have used the code of this step, or of the next one.
  await clockOf(app).advance(60)
  const asking = ada.elsewhere()
  expect(200, await asking.login())
  t.equal(outcome(await asking.recover(people.usedCode)), '400 RECOVERY_CODE_INVALID')
  t.equal(outcome(await asking.verify(await asking.wrongCode())), '400 OTP_INVALID')
  expect(200, await asking.verify())
  const code = ada.recoveryCodes.shift()!
  await logsIn(ada, app, code)
  const twice = ada.elsewhere()
  expect(200, await twice.login())
  t.equal(outcome(await twice.recover(code)), '400 RECOVERY_CODE_INVALID')

  // A user with a password alone; one that confirms the pending device of then; both phones of another one.
  const benAgain = ben.elsewhere()
  expect(200, await benAgain.login())
  t.equal(await isAlive(benAgain), '200')
  expect(200, await cyd.confirm())
  t.equal(await isAlive(await logsIn(cyd, app)), '200')
  t.equal(await isAlive(await logsIn(eve, app)), '200')
  const first = personOf(app, { ...people.eve, secret: people.eve.firstSecret })
  t.equal(await isAlive(await logsIn(first, app)), '200')
  t.equal(await isAlive(await logsIn(dee, app, dee.recoveryCodes.shift())), '200')
}

t.test('the service on the tables of an earlier release: logins, sessions, locks and events go on', async (t) => {
  const db = await restored(t, 'service')
  const waiting = await db.query('select id from otp_event where notify_after is not null order by id')
  t.ok(waiting.length > 0)
  const { app } = await freshApp(t, { ...fixture.keys, REDIS_URL: '' }, { db, namespace: fixture.namespace })
  t.same(await db.query("select event_id as id from otp_delivery where destination = 'webhook' order by event_id"), waiting)
  await goesOn(t, 'service', app)
  const gus = personOf(app, fixture.service.people.gus!)
  t.match((await gus.request('GET', '/admin/users')).json(), { users: Array.from({ length: 6 }, () => ({})) })
  const ada = personOf(app, fixture.service.people.ada)
  const { events } = (await ada.request('GET', '/account/security-events')).json<{ events: { kind: string }[] }>()
  for (const kind of ['signed_up', 'logged_in', 'otp_enabled', 'otp_verified', 'recovery_used', 'logged_out']) {
    t.ok(events.some((event) => event.kind === kind), kind)
  }
})

t.test('an attached host on the tables of an earlier release', async (t) => {
  const db = await restored(t, 'host')
  const { app } = await freshHost(t, { ...fixture.keys, REDIS_URL: '' }, { db, namespace: fixture.namespace })
  const ada = personOf(app, fixture.host.people.ada)
  const [user] = await db.query<{ id: number }>("select id from host_user where name = 'ada'")
  const page = await readEvents(insideOf(app).db, String(user!.id), 100, null)
  for (const kind of ['otp_enabled', 'recovery_used']) t.ok(page!.events.some((event) => event.kind === kind), kind)
  t.equal(await isAlive(ada), '200')
  await goesOn(t, 'host', app)
})

/** Reads the rows that going back must keep. Known networks are made anew; a delivery is given an id. */
async function rowsOf (query: Query, schema: string): Promise<Record<string, unknown[]>> {
  const found: Record<string, unknown[]> = {}
  const tables = await query<{ name: string }>(`
    select table_name as name from information_schema.tables
    where table_schema = $1 and table_name ~ '^(otp_|account)' order by 1`, [schema])
  for (const { name } of tables) {
    if (name === 'account_network') continue
    found[name] = await query(`select to_jsonb(row) as row from ${schema}.${name} row order by row::text collate "C"`)
  }
  return found
}

for (const [place, migrations, schema] of [
  ['service', serviceMigrations, undefined], ['host', secondFactorMigrations, 'countersign']
] as const) {
  t.test(`up and down again, at the ${place}: every row is as before; and up once more`, async (t) => {
    const db = await restored(t, place)
    const before = await rowsOf(db.query, schema ?? 'public')
    // The tables of a host are not in the search path.
    const pool = openPostgres(`${db.url}?options=${encodeURIComponent('-c search_path=public')}`, 2, () => {}, 0)
    t.teardown(() => pool.close())
    const newer = Object.keys(migrations).filter((name) => name > '2026-11-30')
    t.same((await migrateUp(pool.dialect, migrations, schema)).map(({ name }) => name), newer)
    for (const name of newer.toReversed()) t.same(await migrateDown(pool.dialect, migrations, schema), [{ name, direction: 'Down' }])
    t.same(await rowsOf(db.query, schema ?? 'public'), before)
    await migrateUp(pool.dialect, migrations, schema)
    const { app } = place === 'service'
      ? await freshApp(t, { ...fixture.keys, REDIS_URL: '' }, { db, namespace: fixture.namespace })
      : await freshHost(t, { ...fixture.keys, REDIS_URL: '' }, { db, namespace: fixture.namespace })
    const ada = personOf(app, fixture[place].people.ada)
    // Her last code may be of this step.
    await db.clock.advance(60)
    t.equal(await isAlive(await logsIn(ada, app)), '200')
    t.equal(await isAlive(await logsIn(ada, app, ada.recoveryCodes[0])), '200')
  })
}
