import type { LightMyRequestResponse } from 'fastify'
import t from 'tap'
import { insideOf } from '../../../src/attach/inside.js'
import { freshApp } from '../../helpers/app.js'
import { hotp, PERIOD_SECONDS, stepAt } from '../../helpers/authenticator.js'
import { bringOver, djangoDump, onePersonOfEachKind, people, type DjangoPerson } from '../../helpers/django.js'
import { need } from '../../helpers/need.js'
import { expect, Person } from '../../helpers/person.js'
import { sized } from '../../helpers/thorough.js'

await need('postgres')

const { app, db, clock } = await freshApp(t)
const dump = await djangoDump(t)
const { report, notes } = await bringOver(app, dump.url)

const as = ({ username, password }: DjangoPerson, typed = password ?? ''): Person =>
  new Person({ app, username, password: typed, phone: { lastStep: 0 } })

/** Code that an app shows, with any number of digits, from the secret in the dump (RFC 4226). */
async function codeOf ({ hex, digits }: DjangoPerson['devices'][number], offset = 0): Promise<string> {
  return hotp(Buffer.from(hex, 'hex'), stepAt(await clock.now()) + offset, digits)
}

const verified = (answer: LightMyRequestResponse) => answer.statusCode === 200

t.test('the report says all of it', (t) => {
  t.same(notes, [])
  t.match(report, {
    users: { found: 14, brought: 14, leftOut: 0 },
    passwords: { brought: 13, none: 1, leftOut: 0 },
    profiles: { brought: 12, made: 2 },
    oauthProfiles: { brought: 5 },
    devices: { brought: 10, pendingLeftBehind: 2, leftOut: 0 },
    recoveryCodes: { brought: 34, leftBehind: 20, loneDevicesLeftBehind: 4 }
  })
  t.end()
})

for (const person of sized(onePersonOfEachKind, people)) {
  const confirmed = person.devices.filter((device) => device.confirmed)
  const canLogIn = person.active && person.password !== null

  const facts = canLogIn ? `${confirmed.length} devices, ${person.recoveryCodes.length} codes` : 'cannot log in'
  t.test(`${person.username} (${facts})`, async (t) => {
    const [row] = await db.query<{ id: string, hash: string }>(
      'select id, password_hash as hash from account where username = $1', [person.username]
    )
    if (!canLogIn) {
      for (const typed of [person.password ?? 'x', '!', row!.hash]) t.equal((await as(person, typed).login()).statusCode, 401)
      return
    }

    t.equal((await as(person, `${person.password} `).login()).statusCode, 401, 'a wrong password')
    const first = as(person)
    const answer = expect(200, await first.login())
    t.match(row!.hash, /^django:pbkdf2_/)
    const [after] = await db.query<{ hash: string }>('select password_hash as hash from account where username = $1', [person.username])
    t.match(after!.hash, /^\$argon2id\$/, 'P2 the hash is today\'s from now on')
    const upper = new Person({ app, username: person.username.toUpperCase(), password: person.password!, phone: { lastStep: 0 } })
    expect(200, await upper.login())
    t.equal(answer.json().otpRequired, confirmed.length > 0)
    t.equal((await first.request('GET', '/session')).statusCode, confirmed.length > 0 ? 403 : 200)
    t.match((await first.request('GET', '/totp/status')).json(), {
      isOtpEnabled: confirmed.length > 0,
      isPending: false,
      recoveryCodesLeft: confirmed.length > 0 ? person.recoveryCodes.length : 0,
      recoveryCodesWeak: confirmed.length > 0
    })

    for (const device of person.devices) {
      const session = as(person)
      expect(200, await session.login())
      const code = await codeOf(device)
      if (!device.confirmed) {
        t.equal((await session.verify(code)).json().code, 'OTP_NOT_SET_UP', 'what was pending is gone')
        continue
      }
      t.equal((await session.verify(await codeOf(device, 3))).statusCode, 400, 'a code of another time')
      t.ok(verified(await session.verify(code)), `device ${device.id}`)
      t.equal((await session.request('GET', '/session?required')).statusCode, 200)
      const again = as(person)
      expect(200, await again.login())
      t.equal((await again.verify(code)).statusCode, 400, 'T2 once')
    }

    for (const [i, code] of person.recoveryCodes.entries()) {
      const session = as(person)
      expect(200, await session.login())
      const spelled = [code, code.toUpperCase(), ` ${code.slice(0, 4)}-${code.slice(4)} `][i % 3]!
      const recovered = await session.recover(spelled)
      if (confirmed.length === 0) {
        t.equal(recovered.json().code, 'RECOVERY_CODE_INVALID', 'R4 a code without a device opens nothing')
        continue
      }
      t.match(recovered.json(), { recoveryCodesLeft: person.recoveryCodes.length - i - 1 })
      t.equal((await session.request('GET', '/session?required')).statusCode, 200)
      const again = as(person)
      expect(200, await again.login())
      t.equal((await again.recover(code)).json().code, 'RECOVERY_CODE_INVALID', 'R2 once')
    }
    await clock.advance(PERIOD_SECONDS)
  })
}

t.test('profiles, staff and accounts elsewhere are as they were', async (t) => {
  const [grace] = await db.query('select * from account where username = $1', ['user001'])
  t.match(grace, {
    is_staff: true,
    email: 'user001@example.org',
    phone: '+4740000001',
    first_name: 'Grace',
    last_name: 'Last1',
    power_account_id: 101,
    power_contact_id: 201
  })
  t.equal((grace!['created_at'] as Date).toISOString(), '2026-11-23T03:13:46.244Z')
  t.equal((await db.query('select 1 from account where is_staff')).length, 1)
  const [oauth] = await db.query<{ user_id: string, id: string, credentials: string }>(
    "select o.* from account_oauth_profile o join account a on a.id::text = o.user_id where a.username = 'Mixed.Case+0'")
  const place = { table: 'account_oauth_profile', row: oauth!.id, userId: oauth!.user_id }
  t.equal(insideOf(app).seal.open(oauth!.credentials, place).plain.toString(), '{"access_token": "tok-0", "scope": "repo"}')
})

t.test('T6 no secret, code or credential of the source stands in the target', async (t) => {
  const all: string[] = []
  for (const { name } of await db.query<{ name: string }>("select tablename as name from pg_tables where schemaname = 'public'")) {
    all.push(JSON.stringify(await db.query(`select * from ${name}`)))
  }
  const text = all.join('\n')
  t.match(text, 'user001')
  for (const { devices, recoveryCodes } of people) {
    for (const { hex } of devices) t.notMatch(text, hex)
    for (const code of recoveryCodes) t.notMatch(text, code)
  }
  t.notMatch(text, /tok-\d/)
})

t.test('each has an event that says so', async (t) => {
  const events = await db.query("select distinct user_id, actor_id from otp_event where kind = 'imported'")
  t.equal(events.length, 14)
  t.match(events[0], { actor_id: 'command line' })
})
