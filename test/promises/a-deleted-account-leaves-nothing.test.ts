import t from 'tap'
import { outcome, countOutcomes } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { cleanUp } from '../helpers/cleanup.js'
import { need } from '../helpers/need.js'
import { addPasskey } from '../helpers/passkeys.js'
import { expect, Person, sessionsOf, signUp, userId } from '../helpers/person.js'
import { until } from '../helpers/wait.js'

await need('postgres')
const { app, db, clock, another } = await freshApp(t)
const replica = await another()

const TABLES = [
  'otp_user', 'otp_device', 'otp_totp', 'otp_passkey', 'otp_challenge', 'otp_recovery_code', 'otp_session', 'otp_event',
  'account_oauth_profile', 'account_network', 'account_link', 'account_notice'
]
/** Rows of mails: what waits in the outbox, links, and notices that are counted. */
const MAILS = [
  `insert into otp_delivery (user_id, id, destination, due_at, payload, created_at)
    values ($1, gen_random_uuid(), 'mail', now() + interval '1 day', 'sealed', now())`,
  `insert into account_link (user_id, purpose, slot, digest, email, version, created_at, expires_at)
    values ($1::text::uuid, 'undo_email_change', 0, sha256(convert_to($1, 'UTF8')), 'old@example.org', 0, now(), now() + interval '1 day')`,
  'insert into account_notice (user_id, kind, sent_at, delivery_id) values ($1::uuid, \'otp_locked\', now(), gen_random_uuid())'
]
const CHALLENGE = `insert into otp_challenge (user_id, session_id, purpose, challenge, expires_at, created_at)
  values ($1, 'any', 'verify', '', now(), now())`
/** Returns the number of a user's rows by table, without the tables that have none. */
async function rowsOf (id: string): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const table of TABLES) {
    counts[table] = (await db.query<{ n: number }>(`select count(*)::int as n from ${table} where user_id::text = $1`, [id]))[0]!.n
  }
  counts['account'] = (await db.query<{ n: number }>('select count(*)::int as n from account where id::text = $1', [id]))[0]!.n
  return Object.fromEntries(Object.entries(counts).filter(([, n]) => n > 0))
}
const PROFILE = { oauthServiceName: 'calendar', oauthUrl: 'https://calendar.example.org', oauthCredentials: 'x' }

/** Cleans up, past the cleanup of the app itself, which the clock may have begun. */
async function afterAWeek (): Promise<void> {
  await clock.advance(8 * 24 * 3600)
  await cleanUp(app.database, 400)
}

t.test('all rows of the user are deleted in one transaction; sessions end at every replica; the name is free', async (t) => {
  const bystander = await (await signUp(app, 'bystander')).enrol()
  for (const row of [CHALLENGE, ...MAILS]) await db.query(row, [userId(bystander)])
  const others = await rowsOf(userId(bystander))
  const mailsOf = async (id: string) =>
    (await db.query("select from otp_delivery where user_id = $1 and destination = 'mail'", [id])).length
  const ada = await (await signUp(app, 'ada')).enrol()
  const id = userId(ada)
  await addPasskey(ada)
  expect(201, await ada.request('POST', '/account/oauth-profiles', PROFILE))
  expect(201, await ada.create({ name: 'Pending' }))
  for (const row of [CHALLENGE, ...MAILS]) await db.query(row, [id])
  const [unverified] = await sessionsOf(ada, 1)
  const elsewhere = ada.elsewhere(replica)
  expect(200, await elsewhere.login())
  const { access, refresh } = elsewhere
  t.equal(outcome(await elsewhere.request('GET', '/totp/status')), '200', 'the replica knows it as alive')
  t.same(
    Object.keys(await rowsOf(id)).sort(),
    [...TABLES, 'account'].sort(),
    'so that the check below shows something'
  )

  t.equal(outcome(await ada.request('DELETE', '/account')), '204')
  for (const person of [ada, unverified!]) {
    t.equal(outcome(await person.request('GET', '/totp/status')), '401 SESSION_ENDED', 'here at once')
  }
  await until(
    'the replica to know', async () => (await elsewhere.request('GET', '/totp/status', undefined, access)).statusCode === 401, 2_000
  )
  t.equal(outcome(await replica.inject({ method: 'POST', url: '/token/refresh', payload: { refresh } })), '401 SESSION_ENDED')

  const left = await rowsOf(id)
  t.same(Object.keys(left), ['otp_session', 'otp_event'])
  t.same([await mailsOf(id), await mailsOf(userId(bystander))], [0, 1], 'no mail waits, and those of others do')
  t.same(
    await db.query("select 1 from otp_session where user_id = $1 and (ended_at is null or ended_xid is null or ip <> '' or agent <> '')", [
      id
    ]),
    [],
    'ended, and emptied'
  )
  t.same(await db.query("select kind, session_id, ip <> '' as has_ip from otp_event where user_id = $1", [id]), [
    { kind: 'account_deleted', session_id: ada.claims()['sid'], has_ip: true }
  ])
  t.same(await rowsOf(userId(bystander)), others, 'no other user lost anything')

  t.equal(outcome(await ada.login()), '401 CREDENTIALS_INVALID')
  const again = await signUp(app, 'ADA')
  expect(200, await again.login())
  t.not(userId(again), id)
  t.same((await again.request('GET', '/totp/status')).json().isOtpEnabled, false)
  t.equal(outcome(await ada.request('GET', '/account')), '401 SESSION_ENDED', 'old tokens belong to no user')

  await afterAWeek()
  t.same(Object.keys(await rowsOf(id)), ['otp_event'])
})

t.test('no other table names the user, except the one that stops a second import from Django', async (t) => {
  const cay = await signUp(app, 'cay')
  expect(200, await cay.login())
  const id = userId(cay)
  await db.query(
    "insert into account_import (source, external_id, user_id, fingerprint, imported_at) values ('django', '7', $1, 'f', now())", [id]
  )
  t.equal(outcome(await cay.request('DELETE', '/account')), '204')
  const tables = await db.query<{ name: string }>(
    "select table_name as name from information_schema.columns where table_schema = 'public' and column_name = 'user_id' order by 1"
  )
  async function naming (): Promise<string[]> {
    const names: string[] = []
    for (const { name } of tables) if ((await db.query(`select 1 from ${name} where user_id = $1`, [id])).length > 0) names.push(name)
    return names
  }
  t.same(await naming(), ['account_import', 'otp_event', 'otp_event_current', 'otp_revocation', 'otp_session'])
  await afterAWeek()
  t.same(await naming(), ['account_import', 'otp_event', 'otp_event_current'], 'its sessions, and the mark that ends them, are gone')
})

const putDelivery = async (id: string, kind: string) => await db.query(`
  insert into otp_delivery (user_id, id, event_at, event_id, destination, due_at, expires_at, created_at)
  select user_id, gen_random_uuid(), at, id, 'webhook', clock_timestamp(), at + interval '1 day', at
  from otp_event where user_id = $1 and kind = $2`, [id, kind])

t.test('an event that an outside consumer has not received stays until it is delivered', async (t) => {
  const bob = await signUp(app, 'bob')
  expect(200, await bob.login())
  const id = userId(bob)
  await putDelivery(id, 'logged_in')
  // Deliveries of other events, each of which has all but one part of the key of an event of the user.
  const others = [["'another'", 'at', 'id'], ['user_id', "at + interval '1 s'", 'id'], ['user_id', 'at', 'gen_random_uuid()']]
  for (const [user, at, event] of others) {
    const { length } = await db.query(`
      insert into otp_delivery (user_id, id, event_at, event_id, destination, due_at, expires_at, created_at)
      select ${user}, gen_random_uuid(), ${at}, ${event}, 'webhook', clock_timestamp(), at + interval '1 day', at
      from otp_event where user_id = $1 and kind <> 'logged_in' returning 1`, [id])
    t.ok(length > 0)
  }
  t.equal(outcome(await bob.request('DELETE', '/account')), '204')
  t.same(await db.query('select kind from otp_event where user_id = $1 order by at', [id]), [
    { kind: 'logged_in' }, { kind: 'account_deleted' }
  ])
  await clock.advance(8 * 24 * 3600)
  await cleanUp(app.database, 400)
  t.equal((await db.query('select 1 from otp_event where user_id = $1', [id])).length, 2, 'however long that takes')
})

t.test('a delivered event is deleted with the sessions', async (t) => {
  const eve = await signUp(app, 'eve')
  expect(200, await eve.login())
  const id = userId(eve)
  await putDelivery(id, 'logged_in')
  t.equal(outcome(await eve.request('DELETE', '/account')), '204')
  await db.query('delete from otp_delivery where user_id = $1', [id])
  await clock.advance(8 * 24 * 3600)
  await cleanUp(app.database, 400)
  t.same(await db.query('select kind from otp_event where user_id = $1', [id]), [{ kind: 'account_deleted' }])
})

t.test('T8 fifty deletions and other requests at once: one deletes, no request is let in, no row is left', async (t) => {
  const cyd = await (await signUp(app, 'cyd')).enrol()
  const id = userId(cyd)
  await clock.advance(30)
  const sessions = [...await sessionsOf(cyd, 3, [app, replica]), cyd]
  const code = await cyd.nextCode()
  const codes = [...cyd.recoveryCodes]
  const there = cyd.at(replica)
  const [deletions, ...rest] = await Promise.all([
    Promise.all(Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? cyd : there).request('DELETE', '/account'))),
    Promise.all(Array.from({ length: 8 }, (_, i) => cyd.elsewhere(i % 2 === 0 ? app : replica).login())),
    Promise.all(Array.from({ length: 20 }, (_, i) => sessions[i % 4]!.request('POST', '/totp/login', { token: code }))),
    Promise.all(codes.map((token, i) => sessions[i % 3]!.request('POST', '/totp/recovery_code/login', { token }))),
    Promise.all(Array.from({ length: 10 }, (_, i) => (i % 2 === 0 ? cyd : there).request('POST', '/totp/create', { name: 'Second' }))),
    Promise.all(Array.from({ length: 10 }, (_, i) => (i % 2 === 0 ? cyd : there).request('POST', '/account/oauth-profiles', PROFILE))),
    Promise.all(Array.from({ length: 10 }, (_, i) => (i % 2 === 0 ? cyd : there).request('PATCH', '/account', { phone: String(i) })))
  ])
  t.equal(countOutcomes(deletions)['204'], 1, JSON.stringify(countOutcomes(deletions)))
  // A request that waits too long for the user's lock is refused and has changed nothing.
  t.ok(deletions.every((answer) => ['204', '401 SESSION_ENDED', '503 UNAVAILABLE'].includes(outcome(answer))))
  for (const answers of rest) {
    t.ok(
      answers.every(({ statusCode }) => statusCode < 500 || statusCode === 503), JSON.stringify(countOutcomes(answers))
    )
  }
  const { otp_event: events, otp_session: ended, otp_user: lock = 0, ...left } = await rowsOf(id)
  t.same(left, {})
  t.ok(events! >= 1 && ended! >= 1 && lock <= 1)
  t.same(await db.query('select 1 from otp_session where user_id = $1 and ended_at is null', [id]), [])

  const revived = new Person({ app, username: cyd.username, password: cyd.password, phone: cyd.phone })
  t.equal(outcome(await revived.login()), '401 CREDENTIALS_INVALID')
  await clock.advance(8 * 24 * 3600)
  await cleanUp(app.database, 400)
  t.same(Object.keys(await rowsOf(id)), ['otp_event'], 'the cleanUp takes the lock that a late request left')
})

t.test('T9 the deletion needs a verified session', async (t) => {
  const dan = await (await signUp(app, 'dan')).enrol()
  const [unverified] = await sessionsOf(dan, 1)
  t.equal(outcome(await unverified!.request('DELETE', '/account')), '403 OTP_REQUIRED')
  t.equal(outcome(await dan.request('GET', '/account')), '200')
})
