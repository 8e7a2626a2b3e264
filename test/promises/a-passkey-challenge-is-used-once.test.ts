import t from 'tap'
import { bodyOf, countOutcomes } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { need } from '../helpers/need.js'
import { addPasskey, answer, challenge, confirm, creation, newPasskey, use } from '../helpers/passkeys.js'
import { expect, signUp, userId, type Person } from '../helpers/person.js'
import { countEvents } from '../helpers/stored.js'

await need('postgres')

const { app, db, clock, another } = await freshApp(t)
const replica = await another()
const RACERS = 50

function spread (person: Person): Person[] {
  return Array.from({ length: RACERS }, (_, i) => {
    const twin = person.elsewhere(i % 2 === 0 ? app : replica)
    return Object.assign(twin, { access: person.access, refresh: person.refresh })
  })
}

t.test('K1 one answer, fifty requests at once over two replicas, to confirm: one winner', async (t) => {
  const ada = await signUp(app, 'ada')
  expect(200, await ada.login())
  const response = newPasskey().register((await creation(ada)).options)
  const answers = await Promise.all(spread(ada).map((racer) => confirm(racer, response)))
  t.equal(countOutcomes(answers)['200'], 1, JSON.stringify(countOutcomes(answers)))
  t.equal(await countEvents(db, ada, 'otp_enabled'), 1)
})

t.test('K1 one answer, fifty requests at once over two replicas, to log in and to step up: one winner', async (t) => {
  const bob = await signUp(app, 'bob')
  expect(200, await bob.login())
  // Its counter stays 0, so that nothing but the challenge makes an answer single use.
  const passkey = await addPasskey(bob, newPasskey({ synced: true }))
  const unverified = bob.elsewhere()
  expect(200, await unverified.login())
  for (const who of [unverified, bob]) {
    const response = passkey.authenticate(await challenge(who))
    const answers = await Promise.all(spread(who).map((racer) => answer(racer, response)))
    t.equal(countOutcomes(answers)['200'], 1, JSON.stringify(countOutcomes(answers)))
  }
  t.equal(await countEvents(db, bob, 'otp_verified'), 2)
})

t.test('K1 a wrong answer uses the challenge up, a body that is no WebAuthn JSON does not', async (t) => {
  const cyd = await signUp(app, 'cyd')
  expect(200, await cyd.login())
  const passkey = await addPasskey(cyd)
  const options = await challenge(cyd)
  for (const body of [{}, { response: null }, { response: {} }, { response: { ...passkey.authenticate(options), id: '%' } }]) {
    t.match((await cyd.request('POST', '/totp/passkeys/login', body)).json(), { code: 'REQUEST_INVALID' })
  }
  const wrong = await answer(cyd, passkey.authenticate(options, { challenge: 'AAAA' }))
  t.match(wrong.json(), { code: 'PASSKEY_INVALID' })
  const late = await answer(cyd, passkey.authenticate(options))
  t.equal(late.statusCode, 400)
  t.equal(bodyOf(late), bodyOf(wrong), 'one body')
  expect(200, await use(cyd, passkey))
})

t.test('K1 a challenge expires after 300 s, and the next one replaces it', async (t) => {
  const dee = await signUp(app, 'dee')
  expect(200, await dee.login())
  const passkey = await addPasskey(dee)
  const options = await challenge(dee)
  await clock.advance(301)
  expect(200, await dee.refreshTokens())
  t.match((await answer(dee, passkey.authenticate(options))).json(), { code: 'PASSKEY_INVALID' })
  const first = await challenge(dee)
  const second = await challenge(dee)
  t.match((await answer(dee, passkey.authenticate(first))).json(), { code: 'PASSKEY_INVALID' })
  t.match((await answer(dee, passkey.authenticate(second))).json(), { code: 'PASSKEY_INVALID' }, 'the wrong answer used it up')
})

t.test('K1 a session gets twenty challenges in a minute, of both purposes together', async (t) => {
  const eve = await signUp(app, 'eve')
  expect(200, await eve.login())
  await addPasskey(eve)
  // The session began with the confirmation.
  const ask = (i: number) => eve.request('POST', `/totp/passkeys/${i % 2 === 0 ? 'challenge' : 'create'}`, {})
  for (let i = 0; i < 18; i++) t.equal((await ask(i)).statusCode, i % 2 === 0 ? 200 : 201)
  const last = await Promise.all([0, 1, 0, 1, 0, 1].map(ask))
  t.same(countOutcomes(last)['429 RATE_LIMITED'], 4, JSON.stringify(countOutcomes(last)))
  for (const i of [0, 1]) t.match((await ask(i)).json(), { code: 'RATE_LIMITED' })
  const other = eve.elsewhere()
  expect(200, await other.login())
  await challenge(other)
  await clock.advance(60)
  await challenge(eve)
  // The minute begins with its first challenge.
  await db.query("update otp_session set challenges = 19, challenges_since = clock_timestamp() - interval '58 seconds' where user_id = $1",
    [userId(eve)])
  await challenge(eve)
  await clock.advance(2)
  await challenge(eve)
})
