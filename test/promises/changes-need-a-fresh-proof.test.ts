import t from 'tap'
import { outcome } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { doorOf } from '../helpers/door.js'
import { expect, sessionsOf, signUp, userId, type Person } from '../helpers/person.js'
import { serviceTest } from '../helpers/service-test.js'
import { countEvents } from '../helpers/stored.js'

const { app, db, clock } = await freshApp(t)
const { isHost, making } = doorOf(app)

/** Lets the proof and the access token of a session grow old, then refreshes the access token. */
async function growOld (person: Person, seconds = 301): Promise<void> {
  await clock.advance(seconds)
  expect(200, await person.refreshTokens())
}
const alive = async (person: Person) => outcome(await person.request('GET', '/session'))

t.test('T8 the first device needs the password, given within 300 s or given again', async (t) => {
  const ada = await signUp(app, 'ada')
  expect(200, await ada.login())
  await growOld(ada)
  t.equal(outcome(await ada.create()), '403 REAUTH_REQUIRED')
  t.equal(outcome(await ada.create({ password: 'not this one' })), '403 REAUTH_REQUIRED')
  for (const method of making) t.equal(outcome(await ada.request(method, '/totp/create')), '403 REAUTH_REQUIRED')
  t.equal(outcome(await ada.create({ password: ada.password })), '201')
  t.equal(outcome(await ada.confirm()), '200')
})

t.test('T8 adding, regenerating and switching off need a code of the last 300 s', async (t) => {
  const bob = await (await signUp(app, 'bob')).enrol()
  const [unverified] = await sessionsOf(bob, 1)
  const makes = ['/totp/create', '/totp/recovery_code/create'].flatMap((url) => making.map((method) => [method, url] as const))
  const changes = [...makes, ['DELETE', '/totp/delete']] as const
  for (const [method, url] of changes) t.equal(outcome(await unverified!.request(method, url)), '403 OTP_REQUIRED', `${method} ${url}`)
  await growOld(bob)
  for (const [method, url] of changes) {
    const answer = await bob.request(method, url)
    t.equal(outcome(answer), '403 OTP_STALE', `${method} ${url}`)
    t.equal(answer.json().maxAgeSeconds, 300)
    t.match(answer.headers['www-authenticate'], /insufficient_user_authentication.*max_age="300"/)
  }
  t.equal(
    outcome(await bob.request('POST', '/totp/create', { password: bob.password })),
    '403 OTP_STALE',
    'the password renews no second factor'
  )
  t.equal(outcome(await bob.elsewhere().login()), '200')
  t.equal(outcome(await bob.request('POST', '/totp/create')), '403 OTP_STALE', 'nor does a login elsewhere')
  expect(200, await bob.verify())
  for (const [method, url] of makes) t.equal(outcome(await bob.request(method, url)), '201', `${method} ${url}`)
})

// Only the service: at a host the session decides, not the age of its cookie.
serviceTest('T8 a token from before a step-up stays as old as it was', async (t) => {
  const cyd = await (await signUp(app, 'cyd')).enrol()
  await growOld(cyd)
  const { access, refresh } = cyd
  expect(200, await cyd.verify())
  t.equal(outcome(await cyd.request('DELETE', '/totp/delete', undefined, access)), '403 OTP_STALE')
  const child = await cyd.request('POST', '/token/refresh', { refresh }, null)
  if (child.statusCode === 200) {
    t.equal(
      outcome(await cyd.request('DELETE', '/totp/delete', undefined, child.json().access)),
      '403 OTP_STALE',
      'nor does refreshing it help'
    )
  }
  t.equal(outcome(await cyd.request('GET', '/account')), '200', 'the session lives on')
})

t.test('T8 a further device: its code confirms it, every session ends, and the requester gets a new one', async (t) => {
  const dan = await (await signUp(app, 'dan')).enrol()
  const first = { secret: dan.phone.secret!, id: dan.deviceId! }
  const [other] = await sessionsOf(dan, 1)
  expect(200, await other!.verify())
  const sid = dan.claims()['sid']
  t.same(expect(201, await dan.create({ name: 'Second' })).json().recoveryCodes, [])
  t.equal(await alive(other!), '200', 'a pending device changes nothing')
  expect(200, await dan.confirm())
  t.not(dan.claims()['sid'], sid)
  t.equal(dan.claims()['otp_device_id'], dan.deviceId)
  t.equal(await alive(other!), '401 SESSION_ENDED')
  t.equal(await countEvents(db, dan, 'otp_device_added'), 1)
  const [session] = await sessionsOf(dan, 1)
  dan.phone.secret = first.secret
  await clock.advance(60)
  expect(200, await session!.verify(await dan.code()))
  t.equal(session!.claims()['otp_device_id'], first.id, 'the first one still works')
})

t.test('T8 ten devices, not eleven', async (t) => {
  const eve = await (await signUp(app, 'eve')).enrol()
  for (let i = 2; i <= 10; i++) {
    expect(201, await eve.create({ name: `No. ${i}` }))
    await clock.advance(30)
    expect(200, await eve.confirm())
  }
  t.equal(outcome(await eve.create()), '409 OTP_DEVICE_LIMIT')
  const [count] = await db.query('select count(*)::int as devices from otp_device where user_id = $1', [userId(eve)])
  t.same(count, { devices: 10 })
})

t.test('T8 ten passkeys leave room for an app', async (t) => {
  const kim = await (await signUp(app, 'kim')).enrol()
  await db.query(`insert into otp_device (user_id, id, kind, name, created_at, confirmed_at)
    select $1, gen_random_uuid(), 'passkey', 'Key', now(), now() from generate_series(1, 10)`, [userId(kim)])
  t.equal(outcome(await kim.create()), '201')
  await clock.advance(30)
  t.equal(outcome(await kim.confirm()), '200')
})

t.test('T8 regenerating and switching off end the user\'s other sessions', async (t) => {
  const fay = await (await signUp(app, 'fay')).enrol()
  const [verified, unverified] = await sessionsOf(fay, 2)
  expect(200, await verified!.verify())
  expect(201, await fay.request('POST', '/totp/recovery_code/create'))
  t.same(
    [await alive(fay), outcome(await verified!.request('GET', '/totp/status')), outcome(await unverified!.request('GET', '/totp/status'))],
    ['200', '401 SESSION_ENDED', '401 SESSION_ENDED']
  )

  const [again] = await sessionsOf(fay, 1)
  expect(200, await again!.verify())
  const before = fay.access!
  const answer = expect(200, await fay.request('DELETE', '/totp/delete')).json<{ access: string }>()
  t.equal(await alive(again!), '401 SESSION_ENDED')
  t.equal(outcome(await fay.request('GET', '/session', undefined, before)), '401 SESSION_ENDED', 'the requester gets a new one')
  const { otp_device_id: device, amr } = fay.claims(answer.access)
  t.same([device, amr], [null, ['pwd']], 'that has proven the password alone')
  t.equal(outcome(await fay.request('GET', '/account', undefined, answer.access)), '200')
  t.equal(outcome(await fay.request('DELETE', '/totp/delete', undefined, answer.access)), '400 OTP_NOT_SET_UP')
  t.equal(outcome(await fay.request('POST', '/totp/recovery_code/create', undefined, answer.access)), '400 OTP_NOT_SET_UP')
})

t.test('T9 an unverified session and its tokens never become verified: not by refresh, nor by another\'s code', async (t) => {
  const guy = await (await signUp(app, 'guy')).enrol()
  const [session, other] = await sessionsOf(guy, 2)
  const { access, refresh } = session!
  for (let i = 0; i < 3; i++) {
    expect(200, await session!.refreshTokens())
    t.same([session!.claims()['otp_device_id'], session!.claims()['otp_time'], session!.claims()['amr']], [null, null, ['pwd']])
    t.equal(await alive(session!), '403 OTP_REQUIRED')
  }
  expect(200, await other!.verify())
  t.equal(await alive(session!), '403 OTP_REQUIRED', 'while another session is verified')
  const parent = session!.refresh
  expect(200, await session!.verify())
  t.equal(await alive(session!), '200')
  for (const token of [access, parent]) {
    t.equal(outcome(await guy.request('GET', '/session', undefined, token)).slice(0, 3), '401', 'no token from before opens anything')
  }
  // A host has no such tokens, and decides how long its session lives.
  if (!isHost) {
    for (const token of [refresh, parent]) {
      t.equal(outcome(await guy.request('POST', '/token/refresh', { refresh: token }, null)), '401 SESSION_ENDED')
    }
    await clock.advance(299)
    const [late] = await sessionsOf(guy, 1)
    await clock.advance(301)
    t.equal(outcome(await late!.refreshTokens()).slice(0, 3), '401', 'and it lives five minutes, refresh or not')
  }
})
