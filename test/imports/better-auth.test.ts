/** People of fixtures/better-auth/people.json, which better-auth made (make.mjs beside it). */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parseSecrets } from '../../src/imports/better-auth/decrypt.js'
import { openBetterAuth } from '../../src/imports/better-auth/source.js'
import { fromBase32 } from '../../src/factors/moving/secrets.js'
import { freshApp } from '../helpers/app.js'
import { freshDatabase } from '../helpers/database.js'
import { importInto } from '../helpers/imports.js'
import { mover, shown } from '../helpers/moving.js'
import { need } from '../helpers/need.js'
import { expect } from '../helpers/person.js'

await need('postgres')

interface Fixture {
  secret: string
  secrets: string
  people: Array<{ username: string, email: string, password: string, secret: string | null, backupCodes: string[], kind: string }>
  tables: Record<string, { columns: Array<{ name: string, type: string }>, rows: object[] }>
}
const file = join(import.meta.dirname, '..', '..', '..', 'test', 'fixtures', 'better-auth', 'people.json')
const { people, tables, ...keys } = JSON.parse(readFileSync(file, 'utf8')) as Fixture

const source = await freshDatabase(t)
for (const [table, { columns, rows }] of Object.entries(tables)) {
  const list = columns.map(({ name, type }) => `"${name}" ${type}`).join(', ')
  await source.query(`create table "${table}" (${list})`)
  await source.query(`insert into "${table}" select * from jsonb_to_recordset($1::jsonb) as r(${list})`, [JSON.stringify(rows)])
}
const { app, db, clock } = await freshApp(t)
const open = async (secrets = { plain: keys.secret as string | null, versions: parseSecrets(keys.secrets)! }) =>
  await openBetterAuth(source.url, async () => '', { secrets, digits: 6, periodSeconds: 30, now: await clock.now() })

const nameOf = ({ username, email }: Fixture['people'][number]) => username === 'totp' ? 'TOTPUSER' : email
const isApp = ({ kind }: Fixture['people'][number]) => ['totp', 'base32', 'both'].includes(kind)

t.test('the report says all of it', async (t) => {
  const { report, notes } = await importInto(app, await open())
  t.match(report, {
    users: { found: 9, brought: 9, owing: 1 },
    passwords: { brought: 9 },
    devices: { brought: 4, pendingLeftBehind: 1, leftOut: 0 },
    recoveryCodes: { brought: 40, weak: 40, leftBehind: 0 }
  })
  t.match(notes, [{ kind: 'user', username: 'mail@example.org' }], 'codes by mail are owed')
  const again = await importInto(app, await open())
  t.match(again, { notes: [], report: { users: { brought: 0, alreadyHere: 9, changedThereSince: 0 } } })
})

for (const person of people) {
  t.test(`${person.username} (${person.kind})`, async (t) => {
    const name = nameOf(person)
    const enter = async () => {
      const session = mover(app, name, person.password)
      return { session, answer: await session.login() }
    }
    t.equal((await mover(app, name, `${person.password}x`).login()).statusCode, 401)
    const { session, answer } = await enter()
    if (person.kind === 'banned' || person.kind === 'otp') {
      t.equal(answer.json().code, person.kind === 'otp' ? 'SETUP_CODE_REQUIRED' : 'CREDENTIALS_INVALID')
      return
    }
    t.equal(expect(200, answer).json().otpRequired, isApp(person))
    if (!isApp(person)) return
    await clock.advance(90)
    // The fixture's secret is that of the QR code, or the base32 of the other provider.
    const key = fromBase32(person.secret!)!
    t.equal((await session.verify(shown({ key }, await clock.now(), 7))).statusCode, 400)
    expect(200, await session.verify(shown({ key }, await clock.now())))
    if (person.kind === 'both') {
      const rows = await db.query('select 1 from otp_totp where other_secret is not null')
      t.same(rows, [], 'the first accepted code has decided')
      await clock.advance(90)
      const later = (await enter()).session
      const other = shown({ key: Buffer.from(person.secret!) }, await clock.now())
      t.equal((await later.verify(other)).statusCode, 400, 'the other reading is gone')
    }
    for (const [i, code] of person.backupCodes.entries()) {
      t.match((await (await enter()).session.recover(code)).json(), { recoveryCodesLeft: 9 - i }, code)
    }
    t.equal((await (await enter()).session.recover(person.backupCodes[0]!)).json().code, 'RECOVERY_CODE_INVALID')
  })
}

t.test('R6 without the secret of that deployment, factors are owed and not just gone', async (t) => {
  const { app } = await freshApp(t)
  const { report, notes } = await importInto(app, await open({ plain: 'another secret', versions: new Map() }))
  t.match(report, { users: { brought: 9, owing: 5 }, devices: { brought: 0, leftOut: 4 } })
  t.equal(notes.filter(({ kind }) => kind === 'device').length, 4)
  const person = people.find(({ kind }) => kind === 'both')!
  t.equal((await mover(app, nameOf(person), person.password).login()).json().code, 'SETUP_CODE_REQUIRED')
})

t.test('--since is in UTC, whatever the time zone of the source', async (t) => {
  const { url, query } = await freshDatabase(t)
  await query('create table "user" (id text, email text, "createdAt" timestamp, "updatedAt" timestamp)')
  await query('create table account ("userId" text)')
  await query('create table "twoFactor" ("userId" text)')
  await query(`insert into "user" select name, name, '2026-01-01', at::timestamp
    from (values ('before@example.org', '2026-06-01 09:59'), ('after@example.org', '2026-06-01 10:01')) as v (name, at)`)
  for (const zone of ['Asia/Tokyo', 'America/Los_Angeles']) {
    await query(`alter database ${new URL(url).pathname.slice(1)} set timezone = '${zone}'`)
    const secrets = { plain: keys.secret, versions: new Map<number, string>() }
    const people = await openBetterAuth(url, async () => '', { secrets, digits: 6, periodSeconds: 30, now: new Date() })
    const found: string[] = []
    for await (const { entries } of people.pages(new Date('2026-06-01T10:00:00Z'))) {
      found.push(...entries.map((entry) => 'person' in entry ? entry.person.email : ''))
    }
    await people.close()
    t.same(found, ['after@example.org'], zone)
  }
})
