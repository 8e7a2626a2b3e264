import { randomUUID } from 'node:crypto'
import t from 'tap'
import { bodyOf, outcome } from '../../helpers/answers.js'
import { freshApp } from '../../helpers/app.js'
import { expect, type Person, sessionsOf, signUp, userId } from '../../helpers/person.js'
import { countEvents, failuresOf } from '../../helpers/stored.js'
import { holding, withPhones } from '../../helpers/phones.js'

const { app, db, clock } = await freshApp(t)

interface Device { id: string, name: string, createdAt: string, lastUsedAt: string | null }
const devicesOf = async (person: Person) => expect(200, await person.request('GET', '/totp/devices')).json<Device[]>()
const alive = async (person: Person) => outcome(await person.request('GET', '/session'))
const versionOf = async (person: Person) =>
  (await db.query('select version from otp_user where user_id = $1', [userId(person)]))[0]!['version'] as number
const remove = async (person: Person, id: string) => await person.request('DELETE', `/totp/devices/${id}`)
/** Stores the tokens of an answer. */
const take = (person: Person, answer: { json: () => { access: string, refresh: string } }) => Object.assign(person, answer.json())

t.test('a list of what is confirmed, by name and time, without secrets', async (t) => {
  const nobody = await signUp(app, 'nobody')
  expect(200, await nobody.login())
  t.same(await devicesOf(nobody), [])
  const { person: ada, phones } = await withPhones(app, 'ada', 2)
  expect(201, await ada.create({ name: 'Pending' }))
  const before = (await clock.now()).toISOString()
  const listed = await devicesOf(ada)
  t.same(
    listed.map(({ id, name }) => [id, name]), [[phones[0]!.id, 'Authenticator'], [phones[1]!.id, 'Phone 2']],
    'the oldest first, nothing pending'
  )
  for (const device of listed) {
    t.same(Object.keys(device).sort(), ['createdAt', 'id', 'kind', 'lastUsedAt', 'name'])
    t.match(device.createdAt, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
  }
  await clock.advance(30)
  const [session] = await sessionsOf(holding(ada, phones[0]!), 1)
  t.equal(outcome(await session!.request('GET', '/totp/devices')), '403 OTP_REQUIRED')
  expect(200, await session!.verify())
  const [first] = await devicesOf(session!)
  t.ok(first!.lastUsedAt! > before, 'last used moves with each accepted code')
})

t.test('a code is tried against all devices, and counted once', async (t) => {
  const { person: bea, phones } = await withPhones(app, 'bea', 3)
  const [wrong] = await sessionsOf(bea, 1)
  expect(400, await wrong!.verify(await wrong!.wrongCode()))
  t.equal(await failuresOf(db, bea), 1)
  t.equal(await countEvents(db, bea, 'otp_refused'), 1)
  await clock.advance(60)
  for (const phone of phones) {
    const person = holding(bea, phone)
    expect(200, await person.login())
    expect(200, await person.verify())
    t.equal(person.claims()['otp_device_id'], phone.id, 'the device that it was of')
  }
})

t.test('a name may change by a fresh proof, and nothing else does', async (t) => {
  const { person: cas, phones: [phone] } = await withPhones(app, 'cas', 1)
  const [other] = await sessionsOf(cas, 1)
  const version = await versionOf(cas)
  const rename = async (id: string, body: object) => await cas.request('PATCH', `/totp/devices/${id}`, body)
  const renamed = expect(200, await rename(phone!.id, { name: 'Büro 📱' })).json<Device>()
  t.same([renamed.id, renamed.name, await devicesOf(cas)], [phone!.id, 'Büro 📱', [renamed]])
  t.equal(await versionOf(cas), version)
  t.equal(await alive(other!), '403 OTP_REQUIRED', 'nothing ended')
  t.same(await db.query("select device_name, session_id from otp_event where user_id = $1 and kind = 'otp_device_renamed'", [userId(cas)]),
    [{ device_name: 'Büro 📱', session_id: cas.claims()['sid'] }])

  for (const name of ['', 'x'.repeat(65), 'a\nb', 'a\u0000b', '\ud800', 7, null, ['x']]) {
    t.equal(outcome(await rename(phone!.id, { name })), '400 REQUEST_INVALID', JSON.stringify(name))
  }
  t.equal(outcome(await rename(phone!.id, { name: 'x', secret: 'y' })), '400 REQUEST_INVALID')
  expect(201, await cas.create({ name: 'Pending' }))
  t.equal(outcome(await rename(cas.deviceId!, { name: 'x' })), '404 NOT_FOUND', 'what is pending is none yet')
  t.equal(outcome(await remove(cas, cas.deviceId!)), '404 NOT_FOUND')
  t.equal(outcome(await rename('no-uuid', { name: 'x' })), '400 REQUEST_INVALID')
})

t.test('E6 another user\'s device is not there', async (t) => {
  const { phones: [theirs] } = await withPhones(app, 'dee', 1)
  const { person: eva } = await withPhones(app, 'eva', 2)
  for (const [method, body] of [['PATCH', { name: 'mine' }], ['DELETE', undefined]] as const) {
    const answers = []
    for (const id of [theirs!.id, randomUUID()]) answers.push(await eva.request(method, `/totp/devices/${id}`, body))
    t.equal(outcome(answers[0]!), '404 NOT_FOUND', method)
    t.equal(bodyOf(answers[0]!), bodyOf(answers[1]!))
  }
  t.equal((await db.query('select name from otp_device where id = $1', [theirs!.id]))[0]!['name'], 'Authenticator')
  t.equal((await devicesOf(eva)).length, 2)
})

t.test('T8 removing one of several: every session ends, the requester one for a new one that has proven as much', async (t) => {
  const { person: fay, phones: [first, second] } = await withPhones(app, 'fay', 2)
  await clock.advance(30)
  const [unverified] = await sessionsOf(fay, 1)
  const verified = holding(fay, first!)
  expect(200, await verified.login())
  expect(200, await verified.verify())
  const [loggedOut] = await sessionsOf(fay, 1)
  expect(204, await loggedOut!.request('POST', '/token/revoke'))
  const endOfLoggedOut = async () => await db.query(
    'select ended_at, end_reason from otp_session where user_id = $1 and id = $2', [userId(fay), loggedOut!.claims()['sid']]
  )
  const endBefore = await endOfLoggedOut()
  const version = await versionOf(fay)
  const before = fay.claims()
  const { access, refresh } = fay
  take(fay, expect(200, await remove(fay, first!.id)))
  t.same(await endOfLoggedOut(), endBefore, 'a session that had ended keeps its end')
  const { sid, otp_device_id: device, otp_time: time, amr, auth_time: auth, iat, exp } = fay.claims()
  t.not(sid, before['sid'])
  t.same(
    [device, time, amr, auth], [second!.id, before['otp_time'], before['amr'], before['auth_time']],
    'J4 it has proven what it had proven'
  )
  t.equal(Number(exp) - Number(iat), 300, 'J3')
  t.equal(await alive(fay), '200')
  t.equal(outcome(await fay.request('GET', '/session', undefined, access)), '401 SESSION_ENDED', 'its former tokens are refused')
  t.equal(outcome(await fay.request('POST', '/token/refresh', { refresh }, null)), '401 SESSION_ENDED')
  for (const person of [unverified!, verified]) t.equal(await alive(person), '401 SESSION_ENDED')
  t.equal(await versionOf(fay), version + 1)
  t.same((await devicesOf(fay)).map(({ id }) => id), [second!.id])
  t.match(expect(200, await fay.request('GET', '/totp/status')).json(), { isOtpEnabled: true, recoveryCodesLeft: 5 })
  t.same(
    await db.query("select device_name from otp_event where user_id = $1 and kind = 'otp_device_removed'", [userId(fay)]),
    [{ device_name: 'Authenticator' }]
  )
  await clock.advance(30)
  expect(200, await verified.login())
  t.equal(outcome(await verified.verify()), '400 OTP_INVALID', 'its codes open nothing any more')
  t.equal(outcome(await remove(fay, first!.id)), '404 NOT_FOUND')
})

t.test('no session lives on a proof whose device is gone: the requester one then owes a code', async (t) => {
  const { person: gus, phones: [first, second] } = await withPhones(app, 'gus', 2)
  const { access, refresh } = gus
  take(gus, expect(200, await remove(gus, second!.id)))
  const { otp_device_id: device, otp_required: required, otp_time: time, amr } = gus.claims()
  t.same([device, required, time, amr], [null, true, null, ['pwd']])
  t.equal(outcome(await gus.request('GET', '/session', undefined, access)), '401 SESSION_ENDED')
  t.equal(outcome(await gus.request('POST', '/token/refresh', { refresh }, null)), '401 SESSION_ENDED')
  t.equal(outcome(await gus.request('GET', '/account')), '403 OTP_REQUIRED')
  t.equal(Number(gus.claims(gus.refresh)['exp']) - Number(gus.claims()['iat']), 300, 'and lives no longer than such a session does')
  gus.phone.secret = first!.secret
  expect(200, await gus.verify())
  t.equal(await alive(gus), '200')
})

t.test('J4 the new session has proven what the requester token says, not what another tab proved meanwhile', async (t) => {
  const { person: kim, phones: [first, second] } = await withPhones(app, 'kim', 2)
  const tab = kim.elsewhere()
  Object.assign(tab, { access: kim.access, refresh: kim.refresh })
  const time = kim.claims()['otp_time']
  await clock.advance(60)
  expect(200, await Object.assign(holding(kim, first!), { access: kim.access }).verify())
  take(tab, expect(200, await remove(tab, first!.id)))
  t.same([tab.claims()['otp_device_id'], tab.claims()['otp_time']], [second!.id, time], 'by the second device, as long ago as before')
  t.match(await db.query(
    'select otp_device_id, floor(extract(epoch from otp_at))::int as time from otp_session where id = $1', [tab.claims()['sid']]
  ), [{ otp_device_id: second!.id, time }])
  t.equal(await alive(tab), '200')
})

t.test('removing the last one is switching off: everything is gone', async (t) => {
  const { person: hal, phones: [only] } = await withPhones(app, 'hal', 1)
  const { access } = hal
  take(hal, expect(200, await remove(hal, only!.id)))
  t.same([hal.claims()['otp_device_id'], hal.claims()['otp_required'], hal.claims()['amr']], [null, false, ['pwd']])
  t.equal(outcome(await hal.request('GET', '/session', undefined, access)), '401 SESSION_ENDED')
  t.match(expect(200, await hal.request('GET', '/totp/status')).json(), { isOtpEnabled: false, recoveryCodesLeft: 0 })
  t.same(await devicesOf(hal), [])
  t.equal(await countEvents(db, hal, 'otp_disabled'), 1)
  t.equal(await countEvents(db, hal, 'otp_device_removed'), 0)
  const [left] = await db.query(
    `select (select count(*) from otp_device where user_id = $1)::int as devices,
      (select count(*) from otp_recovery_code where user_id = $1)::int as codes`,
    [userId(hal)]
  )
  t.same(left, { devices: 0, codes: 0 })
})

t.test('T8 an old proof changes no device', async (t) => {
  const { person: ida, phones: [phone] } = await withPhones(app, 'ida', 1)
  await clock.advance(301)
  expect(200, await ida.refreshTokens())
  t.equal(outcome(await ida.request('PATCH', `/totp/devices/${phone!.id}`, { name: 'x' })), '403 OTP_STALE')
  t.equal(outcome(await remove(ida, phone!.id)), '403 OTP_STALE')
  t.same((await devicesOf(ida)).map(({ name }) => name), ['Authenticator'])
  const token = ida.access
  expect(200, await ida.verify())
  t.equal(
    outcome(await ida.request('DELETE', `/totp/devices/${phone!.id}`, undefined, token)), '403 OTP_STALE',
    'a token from before the step-up stays as old as it was'
  )
  t.equal(outcome(await remove(ida, phone!.id)), '200')
})
