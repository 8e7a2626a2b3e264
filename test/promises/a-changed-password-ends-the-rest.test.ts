import t from 'tap'
import { outcome, countOutcomes } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { holdStatement } from '../helpers/held-statement.js'
import { need } from '../helpers/need.js'
import { expect, type Person, sessionsOf, signUp, userId } from '../helpers/person.js'
import { countEvents } from '../helpers/stored.js'

await need('postgres')
const { app, db, clock, another } = await freshApp(t, { TRUSTED_PROXIES: '127.0.0.1' })
const apps = [app, await another()]

const NEXT = 'a stapler, a horse, a battery'
const change = async (person: Person, next = NEXT, current = person.password) =>
  await person.request('POST', '/account/password', { current, next })
const at = (person: Person, replica: number) => person.at(apps[replica % 2]!)
const alive = async (person: Person) => outcome(await person.request('GET', '/session'))
const living = async (person: Person) =>
  (await db.query('select id from otp_session where user_id = $1 and ended_at is null', [userId(person)])).map(({ id }) => id)

t.test('T8 J4 the requester gets a new session with the same proof; every other session ends', async (t) => {
  const ada = await (await signUp(app, 'ada')).enrol()
  const [verified, unverified] = await sessionsOf(ada, 2)
  expect(200, await verified!.verify())
  const { iat: before, exp: until, jti: last, sid: former, ...proven } = ada.claims()
  const { access, refresh } = ada
  await clock.advance(5)
  Object.assign(ada, expect(200, await change(ada)).json())
  const { iat, exp, jti, sid, ...after } = ada.claims()
  t.same(after, proven)
  t.not(jti, last)
  t.not(sid, former)
  t.ok(Number(iat) > Number(before) && Number(exp) > Number(until))
  t.equal(Number(exp) - Number(iat), 300, 'J3')
  t.equal(await alive(ada), '200')
  for (const person of [verified!, unverified!]) t.equal(await alive(person), '401 SESSION_ENDED')
  t.equal(outcome(await ada.elsewhere().login()), '401 CREDENTIALS_INVALID', 'the old password is none any more')
  t.equal(outcome(await ada.elsewhere().login(NEXT)), '200')
  t.equal(await countEvents(db, ada, 'password_changed'), 1)
  t.equal(outcome(await ada.request('POST', '/token/refresh', { refresh }, null)), '401 SESSION_ENDED', 'its former tokens are refused')
  t.equal(outcome(await ada.request('GET', '/session', undefined, access)), '401 SESSION_ENDED')
  const ends = 'select expires_at, failures from otp_session where id = $1'
  t.same(await db.query(ends, [sid]), await db.query(ends, [former]), 'J7 it lives no longer')
})

t.test('J4 a tab that did not step up gets a pair as old as its own', async (t) => {
  const bea = await (await signUp(app, 'bea')).enrol()
  const { access } = bea
  const time = bea.claims()['otp_time']
  await clock.advance(60)
  expect(200, await bea.verify())
  t.ok(Number(bea.claims()['otp_time']) > Number(time))
  const answer = expect(200, await bea.request('POST', '/account/password', { current: bea.password, next: NEXT }, access)).json()
  t.equal(bea.claims(answer.access)['otp_time'], time)
  t.equal(bea.claims(answer.refresh)['otp_time'], time)
})

t.test('T9 R6 the change needs a verified, fresh session and the current password; it proves no second factor', async (t) => {
  const cas = await (await signUp(app, 'cas')).enrol()
  const [unverified] = await sessionsOf(cas, 1)
  t.equal(outcome(await change(unverified!)), '403 OTP_REQUIRED')
  t.equal(outcome(await change(cas, NEXT, 'not this one')), '403 REAUTH_REQUIRED')
  await clock.advance(301)
  expect(200, await cas.refreshTokens())
  t.equal(outcome(await change(cas)), '403 OTP_STALE')
  expect(200, await cas.verify())
  Object.assign(cas, expect(200, await change(cas)).json())
  const session = cas.elsewhere()
  expect(200, await session.login(NEXT))
  t.equal(await alive(session), '403 OTP_REQUIRED')
  t.equal(await countEvents(db, cas, 'login_failed'), 1, 'the wrong one is in the log')
})

t.test('P1 the rules of a new password; P5 a password that is too long is refused before hashing', async (t) => {
  const dee = await signUp(app, 'dee.longname')
  expect(200, await dee.login())
  for (const next of ['short', 'password123', 'DEE.LONGNAME', 'x'.repeat(7)]) {
    t.equal(outcome(await change(dee, next)), '400 PASSWORD_UNACCEPTABLE', next)
  }
  for (const next of ['', 'x'.repeat(1025), '\ud800longenough', 7, null]) {
    t.equal(outcome(await change(dee, next as string)), '400 REQUEST_INVALID')
  }
  t.equal(outcome(await dee.request('POST', '/account/password', { next: NEXT })), '400 REQUEST_INVALID')
  t.equal(await countEvents(db, dee, 'login_failed'), 0, 'none of these was a guess')
  const composed = 'Übergrößenträger'
  Object.assign(dee, expect(200, await change(dee, composed.normalize('NFD'))).json())
  t.equal(outcome(await dee.elsewhere().login(composed.normalize('NFC'))), '200')
  Object.assign(dee, expect(200, await change(dee, 'x'.repeat(1024), composed)).json())
  t.equal(outcome(await dee.elsewhere().login('x'.repeat(1023))), '401 CREDENTIALS_INVALID', 'all of it counts')
})

t.test('P4 one budget for three routes, exact with sixty guesses at once on two replicas', async (t) => {
  const eva = await signUp(app, 'eva')
  expect(200, await eva.login())
  const answers = await Promise.all(Array.from({ length: 60 }, (_, i) => {
    const person = at(eva, i)
    if (i % 3 === 0) return person.login('wrong')
    return i % 3 === 1 ? person.create({ password: 'wrong' }) : change(person, NEXT, 'wrong')
  }))
  const counts = countOutcomes(answers)
  t.equal((counts['401 CREDENTIALS_INVALID'] ?? 0) + (counts['403 REAUTH_REQUIRED'] ?? 0), 10, JSON.stringify(counts))
  t.equal(counts['429 RATE_LIMITED'], 50)
  const locked = [await eva.elsewhere().login(), await eva.create({ password: eva.password }), await change(eva)]
  t.same(locked.map(outcome), Array(3).fill('429 RATE_LIMITED'), 'the right one too, at each route')
  await clock.advance(15 * 60 + 1)
  t.equal(outcome(await eva.elsewhere().login()), '200')
})

t.test('T8 fifty changes at once: one succeeds', async (t) => {
  const fay = await signUp(app, 'fay')
  expect(200, await fay.login())
  const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => change(at(fay, i), `${NEXT} ${i}`)))
  const won = answers.findIndex(({ statusCode }) => statusCode === 200)
  t.equal(countOutcomes(answers)['200'], 1, JSON.stringify(countOutcomes(answers)))
  t.ok(
    Object.keys(countOutcomes(answers)).every((one) =>
      ['200', '409 CONFLICT', '403 REAUTH_REQUIRED', '429 RATE_LIMITED', '503 UNAVAILABLE'].includes(one)
    )
  )
  await clock.advance(3601)
  t.equal(outcome(await fay.elsewhere().login(`${NEXT} ${won}`)), '200')
  t.equal(await countEvents(db, fay, 'password_changed'), 1)
})

t.test('T8 a login that waited in the queue while the password changed gives nothing', async (t) => {
  const gus = await signUp(app, 'gus')
  expect(200, await gus.login())
  // Each log-in comes from its own network: one network has only ten guesses.
  const logins = Array.from({ length: 50 }, (_, i) => apps[i % 2]!.inject({
    method: 'POST',
    url: '/token',
    headers: { 'x-forwarded-for': `198.51.100.${i + 1}` },
    payload: { username: gus.username, password: gus.password }
  }))
  Object.assign(gus, expect(200, await change(gus)).json())
  const answers = await Promise.all(logins)
  t.ok(
    Object.keys(countOutcomes(answers)).every((one) => ['200', '401 CREDENTIALS_INVALID', '503 UNAVAILABLE'].includes(one)),
    JSON.stringify(countOutcomes(answers))
  )
  t.same(await living(gus), [gus.claims()['sid']], 'only the session that changed it lives')
})

t.test('T8 the user changes after the current password was checked: the new one is not set', async (t) => {
  const changes = [
    'update otp_user set version = version + 1 where user_id = $1', 'update account set is_active = false where id::text = $1'
  ]
  for (const [i, text] of changes.entries()) {
    const person = await signUp(app, `overtaken${i}`)
    expect(200, await person.login())
    const networks = async () => await db.query('select network from account_network where user_id = $1 order by 1', [userId(person)])
    await db.query("insert into account_network (user_id, network, last_login_at) values ($1, '192.0.2.9', now())", [userId(person)])
    const known = await networks()
    const held = holdStatement('insert into "otp_user"')
    const sent = change(person)
    await held.reached
    await db.query(text, [userId(person)])
    held.release()
    t.equal(outcome(await sent), '409 CONFLICT', text)
    t.same(await networks(), known)
    t.equal((await living(person)).length, 1)
  }
})
