import t from 'tap'
import { freshApp } from '../helpers/app.js'
import { expect, sessionsOf, signUp, type Person } from '../helpers/person.js'

// J5, with any stores: the replica that ends a session, in each of the ways, refuses it as soon as it has answered.
t.test('J5 the replica that ends a session refuses it from then on', async (t) => {
  const { app, clock } = await freshApp(t)
  const ada = await signUp(app)
  const guarded = async (token: string | null) =>
    (await app.inject({ url: '/session', headers: { authorization: `Bearer ${token}` } })).statusCode
  const [loggedOut, reuser, enrolling, bystander] = await sessionsOf(ada, 4) as [Person, Person, Person, Person]

  for (const person of [loggedOut, reuser, enrolling, bystander]) t.equal(await guarded(person.access), 200)
  expect(204, await loggedOut.request('POST', '/token/revoke'))
  t.equal(await guarded(loggedOut.access), 401, 'logged out')
  t.equal((await loggedOut.refreshTokens()).statusCode, 401)
  t.equal((await loggedOut.request('POST', '/token/revoke')).statusCode, 401)

  const first = reuser.refresh
  expect(200, await reuser.refreshTokens())
  expect(200, await reuser.refreshTokens())
  expect(401, await reuser.refreshTokens(first))
  t.equal(await guarded(reuser.access), 401, 'a refresh token shown again')

  const unproven = enrolling.access
  expect(201, await enrolling.create())
  expect(200, await enrolling.confirm())
  t.equal(await guarded(unproven), 401, 'the session that confirmed was replaced')
  t.equal(await guarded(bystander.access), 401, 'and the other ones ended')
  t.equal(await guarded(enrolling.access), 200)

  const [later] = await sessionsOf(enrolling, 1) as [Person]
  const pending = later.access
  t.equal(await guarded(pending), 403)
  expect(200, await later.verify())
  t.equal(await guarded(pending), 401, 'verified: replaced')
  t.equal((await later.refreshTokens()).statusCode, 200)

  // Five different codes: a code that was judged already is refused and consumes no attempt.
  const near = new Set(await Promise.all([-2, -1, 0, 1, 2].map((offset) => later.code(offset))))
  const wrong = Array.from({ length: 10 }, (_, i) => `${i}`.repeat(6)).filter((code) => !near.has(code)).slice(0, 5)
  for (const code of wrong) await later.verify(code)
  t.equal(await guarded(later.access), 401, 'a verified session that guessed too often')
  t.equal(await guarded(enrolling.access), 200, 'alone')

  const [recovering] = await sessionsOf(enrolling, 1) as [Person]
  const unrecovered = recovering.access
  recovering.recoveryCodes.push(...enrolling.recoveryCodes)
  expect(200, await recovering.recover())
  t.equal(await guarded(unrecovered), 401, 'recovered: replaced')

  await clock.advance(1)
  const [expiring] = await sessionsOf(enrolling, 1) as [Person]
  t.equal(await guarded(expiring.access), 403)
  await clock.advance(301)
  t.equal(await guarded(expiring.access), 401, 'OTP_PENDING_SECONDS are over')
})
