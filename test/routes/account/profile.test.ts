import { randomUUID } from 'node:crypto'
import t from 'tap'
import { insideOf } from '../../../src/attach/inside.js'
import { bodyOf, outcome } from '../../helpers/answers.js'
import { freshApp } from '../../helpers/app.js'
import { expect, type Person, sessionsOf, signUp, userId } from '../../helpers/person.js'
import { countEvents } from '../../helpers/stored.js'
import { until } from '../../helpers/wait.js'

const { app, db, clock } = await freshApp(t)

const accountOf = async (person: Person) => expect(200, await person.request('GET', '/account')).json<Record<string, unknown>>()
const change = async (person: Person, body: object) => await person.request('PATCH', '/account', body)
const alive = async (person: Person) => outcome(await person.request('GET', '/session'))
const versionOf = async (person: Person) =>
  (await db.query('select version from otp_user where user_id = $1', [userId(person)]))[0]!['version'] as number
const PROFILE = {
  oauthServiceName: 'calendar',
  oauthUrl: 'https://calendar.example.org/oauth',
  oauthCredentials: '{"refresh_token":"s3cr3t-credential"}'
}
async function growOld (person: Person): Promise<void> {
  await clock.advance(301)
  expect(200, await person.refreshTokens())
}

t.test('what is given changes, what is not stays', async (t) => {
  const ada = await signUp(app, 'ada')
  expect(200, await ada.login())
  const { updatedAt: wasUpdatedAt, ...before } = await accountOf(ada)
  await clock.advance(1)
  const answer = expect(200, await change(ada, { firstName: 'Augusta Ada', phone: '+44 20 7946 0000' })).json()
  const { updatedAt, ...after } = answer
  t.same(after, { ...before, firstName: 'Augusta Ada', phone: '+44 20 7946 0000' })
  t.ok(updatedAt > String(wasUpdatedAt))
  t.same(await accountOf(ada), answer)
  expect(200, await change(ada, { phone: '' }))
  t.same([(await accountOf(ada))['phone'], (await accountOf(ada))['firstName']], ['', 'Augusta Ada'])
  t.same([before['powerAccountId'], before['powerContactId'], before['isOtpEnabled'], before['oauthProfiles']], [null, null, false, []])
})

t.test('E4 only the owner\'s own fields, and only text', async (t) => {
  const bea = await signUp(app, 'bea')
  expect(200, await bea.login())
  const before = await accountOf(bea)
  for (const body of [
    {}, { username: 'other' }, { powerAccountId: 7 }, { isStaff: true }, { isOtpEnabled: true }, { email: 'no address' },
    { email: null }, { firstName: 7 }, { lastName: ['x'] }, { phone: 'a\u0000' }, { firstName: 'a\nb' }, { lastName: '\ud800' },
    { firstName: 'x'.repeat(129) }, []
  ]) {
    t.equal(outcome(await change(bea, body as object)), '400 REQUEST_INVALID', JSON.stringify(body))
  }
  t.same(await accountOf(bea), before)
})

t.test('another e-mail address makes the links useless that were sent to the former one, and no others', async (t) => {
  const [lee, other] = [await signUp(app, 'lee'), await signUp(app, 'other')]
  for (const person of [lee, other]) {
    expect(200, await person.login())
    for (const purpose of ['verify_email', 'reset_password', 'reset_password_staff', 'undo_email_change']) {
      await db.query(`insert into account_link (user_id, purpose, slot, digest, email, version, created_at, expires_at)
        values ($1::text::uuid, $2, 0, sha256(convert_to($1 || $2, 'UTF8')), 'a@example.org', 0, now(), now() + interval '1 day')`,
      [userId(person), purpose])
    }
  }
  const links = async (person: Person) =>
    (await db.query('select purpose from account_link where user_id::text = $1', [userId(person)])).map(({ purpose }) => purpose)
  expect(200, await change(lee, { email: 'lee2@example.org' }))
  t.same(await links(lee), ['undo_email_change'])
  t.equal((await links(other)).length, 4)
})

t.test('T8 another e-mail address needs a fresh proof, and ends the other sessions', async (t) => {
  const cas = await (await signUp(app, 'cas')).enrol()
  const [other, unverified] = await sessionsOf(cas, 2)
  expect(200, await other!.verify())
  await growOld(cas)
  expect(200, await other!.refreshTokens())
  const version = await versionOf(cas)
  const stale = await change(cas, { email: 'new@example.org', phone: '1' })
  t.equal(outcome(stale), '403 OTP_STALE')
  t.match(stale.headers['www-authenticate'], /insufficient_user_authentication.*max_age="300"/)
  t.match(await accountOf(cas), { email: 'cas@example.org', phone: '' }, 'nothing of it was done')
  t.equal(
    outcome(await change(cas, { email: 'cas@example.org', phone: '', firstName: 'Caspar' })), '200',
    'what is there already is no change'
  )
  t.equal(await versionOf(cas), version)
  t.equal(outcome(await change(unverified!, { phone: '3' })).slice(0, 3), '401', 'expired meanwhile')

  const { access } = cas
  expect(200, await cas.verify())
  t.equal(
    outcome(await cas.request('PATCH', '/account', { email: 'new@example.org' }, access)), '403 OTP_STALE',
    'with a token from before the step-up'
  )
  t.match(expect(200, await change(cas, { email: 'new@example.org' })).json(), { email: 'new@example.org', phone: '' })
  t.equal(await alive(other!), '401 SESSION_ENDED')
  t.equal(await alive(cas), '200', 'the requester one stays')
  t.equal(await versionOf(cas), version + 1)
  t.equal(await countEvents(db, cas, 'email_changed'), 1)
  t.same(
    await db.query("select distinct end_reason from otp_session where user_id = $1 and end_reason = 'email_changed'", [userId(cas)]),
    [{ end_reason: 'email_changed' }]
  )
})

t.test('T8 another telephone number needs a fresh proof, and leaves an event; names do not', async (t) => {
  for (const hasFactor of [true, false]) {
    const hal = await signUp(app, hasFactor ? 'hal' : 'ivy')
    if (hasFactor) await hal.enrol()
    else expect(200, await hal.login())
    const stale = hal.elsewhere()
    Object.assign(stale, { access: hal.access, refresh: hal.refresh })
    const twice = await Promise.all([change(hal, { phone: '+44 20 7946 0000' }), change(hal, { phone: '+44 20 7946 0000' })])
    t.same(twice.map(outcome), ['200', '200'])
    t.equal(await countEvents(db, hal, 'phone_changed'), 1, 'twice at once is one change')
    expect(200, await change(hal, { email: `${hal.username}@example.net`, phone: '+44 20 7946 0001' }))
    t.equal(await countEvents(db, hal, 'phone_changed', 'email_changed'), 3, 'both in one request: an event for each')
    await growOld(hal)
    for (const body of [{ phone: '1' }, { phone: '' }, { firstName: 'Ada', phone: '1' }]) {
      t.equal(outcome(await change(hal, body)), '403 OTP_STALE', JSON.stringify(body))
    }
    t.equal(outcome(await change(hal, { firstName: 'Harold', lastName: 'Abelson', phone: '+44 20 7946 0001' })), '200')
    t.match(await accountOf(hal), { phone: '+44 20 7946 0001', firstName: 'Harold' })
    t.equal(await countEvents(db, hal, 'phone_changed'), 2)
    t.match(
      await db.query("select session_id, detail from otp_event where user_id = $1 and kind = 'phone_changed'", [userId(hal)]),
      [{ session_id: hal.claims()['sid'], detail: null }], 'E3 without the number'
    )
  }
})

t.test('linked accounts: sealed at rest, shown without their credentials', async (t) => {
  const dee = await (await signUp(app, 'dee')).enrol()
  const added = expect(201, await dee.request('POST', '/account/oauth-profiles', PROFILE))
  const { id, ...shown } = added.json()
  t.same({ ...shown, createdAt: null }, { oauthServiceName: 'calendar', oauthUrl: PROFILE.oauthUrl, createdAt: null })
  const listed = expect(200, await dee.request('GET', '/account/oauth-profiles'))
  const account = expect(200, await dee.request('GET', '/account'))
  t.same(listed.json(), [added.json()])
  t.same(account.json().oauthProfiles, [added.json()])
  const patched = expect(200, await change(dee, { phone: '1' }))
  const rows = await db.query<{ credentials: string }>('select * from account_oauth_profile where user_id = $1', [userId(dee)])
  const events = await db.query('select * from otp_event where user_id = $1', [userId(dee)])
  for (const text of [added.body, listed.body, account.body, patched.body, JSON.stringify(rows), JSON.stringify(events)]) {
    t.notMatch(text, /s3cr3t|refresh_token/)
  }
  t.same(events.filter(({ kind }) => kind === 'oauth_profile_added').map(({ detail }) => detail), ['calendar'])

  const { seal } = insideOf(app)
  const place = { table: 'account_oauth_profile', row: id, userId: userId(dee) }
  t.equal(seal.open(rows[0]!.credentials, place).plain.toString(), PROFILE.oauthCredentials)
  t.throws(() => seal.open(rows[0]!.credentials, { ...place, userId: randomUUID() }), 'T6 not in another user\'s row')
  t.throws(() => seal.open(rows[0]!.credentials, { ...place, row: randomUUID() }), 'nor in another row')

  const eva = await (await signUp(app, 'eva')).enrol()
  const answers = [
    await eva.request('DELETE', `/account/oauth-profiles/${id}`), await eva.request('DELETE', `/account/oauth-profiles/${randomUUID()}`)
  ]
  t.equal(outcome(answers[0]!), '404 NOT_FOUND', 'E6')
  t.equal(bodyOf(answers[0]!), bodyOf(answers[1]!))
  t.equal(outcome(await dee.request('DELETE', `/account/oauth-profiles/${id}`)), '204')
  t.equal(outcome(await dee.request('DELETE', `/account/oauth-profiles/${id}`)), '404 NOT_FOUND')
  t.same((await accountOf(dee))['oauthProfiles'], [])
  t.equal(await countEvents(db, dee, 'oauth_profile_removed'), 1)
})

t.test('T8 E4 linking needs a fresh proof and something that is a link', async (t) => {
  const fay = await (await signUp(app, 'fay')).enrol()
  const [unverified] = await sessionsOf(fay, 1)
  const add = async (body: object, person = fay) => outcome(await person.request('POST', '/account/oauth-profiles', body))
  t.equal(await add(PROFILE, unverified), '403 OTP_REQUIRED')
  for (const wrong of [
    { oauthUrl: 'javascript:alert(1)' }, { oauthUrl: 'https://a b' }, { oauthUrl: '' }, { oauthServiceName: '' },
    { oauthServiceName: 'a\u0007' }, { oauthCredentials: '' }, { oauthCredentials: { token: 'x' } }, { oauthCredentials: '\udfff' },
    { oauthCredentials: 'a\u0000b' }, { oauthCredentials: 'x'.repeat(8193) }, { id: randomUUID() }
  ]) {
    t.equal(await add({ ...PROFILE, ...wrong }), '400 REQUEST_INVALID', JSON.stringify(wrong).slice(0, 60))
  }
  expect(201, await fay.request('POST', '/account/oauth-profiles', PROFILE))
  const [{ id }] = expect(200, await fay.request('GET', '/account/oauth-profiles')).json()
  await growOld(fay)
  t.equal(await add(PROFILE), '403 OTP_STALE')
  t.equal(outcome(await fay.request('DELETE', `/account/oauth-profiles/${id}`)), '403 OTP_STALE')
  t.equal(outcome(await fay.request('DELETE', '/account')), '403 OTP_STALE')
  t.equal(outcome(await fay.request('GET', '/account/oauth-profiles')), '200')
})

t.test('twenty linked accounts, not one more, fifty at once', async (t) => {
  const gus = await signUp(app, 'gus')
  expect(200, await gus.login())
  // A busy machine answers 503, without an effect.
  const decided = () => until('an answer that decides', async () => {
    const answer = await gus.request('POST', '/account/oauth-profiles', PROFILE)
    return outcome(answer) === '503 UNAVAILABLE' ? null : answer
  })
  const answers = await Promise.all(Array.from({ length: 50 }, decided))
  t.equal(answers.filter(({ statusCode }) => statusCode === 201).length, 20)
  t.ok(answers.every((answer) => ['201', '409 OAUTH_PROFILE_LIMIT'].includes(outcome(answer))))
  t.equal(((await accountOf(gus))['oauthProfiles'] as unknown[]).length, 20)
})
