import t from 'tap'
import { countOutcomes } from '../helpers/answers.js'
import { freshApp, type App, type Fresh } from '../helpers/app.js'
import { cheapHasher } from '../helpers/cheap-hasher.js'
import { emptied } from '../helpers/emptied.js'
import { floodedWorld, HOME, OWN_LOGINS, passedFlood } from '../helpers/flood.js'
import { address, behindProxy, logInFrom } from '../helpers/logins.js'
import { expect, signUp, type Person } from '../helpers/person.js'

interface World extends Fresh {
  ada: Person
  guess (from: string, name?: string): Promise<string>
  enter (from: string): Promise<number>
  /** Writes the guesses of `spent` strangers without hashing. password-guesses-are-counted-exactly makes real ones. */
  strangers (spent: number): Promise<unknown>
}

const app = await freshApp(t, behindProxy, { hasher: cheapHasher })

async function world (): Promise<World> {
  const fresh = await emptied(app)
  const ada = await signUp(fresh.app)
  return {
    ...fresh,
    ada,
    guess: async (from, name = 'ada') => (await logInFrom(fresh.app, from, name, 'a guess')).json<{ code: string }>().code,
    enter: async (from) => (await logInFrom(fresh.app, from, 'ada', ada.password)).statusCode,
    async strangers (spent) {
      await logInFrom(fresh.app, '192.0.2.200', 'ada', 'a guess')
      await fresh.db.query("update password_budget set spent = $1 where network = '*'", [spent])
    }
  }
}

/** Sends wrong passwords at once, each from its own network. */
async function storm (app: App, name: string, count: number, first = 0): Promise<Record<string, number>> {
  return countOutcomes(await Promise.all(Array.from({ length: count }, (_, i) => logInFrom(app, address(first + i), name, `guess ${i}`))))
}

t.test('P4 a network that logged in before has a budget of its own while strangers exhaust theirs', async (t) => {
  const { app, enter, guess, clock } = await world()
  t.equal(await enter(HOME), 200)
  t.same(await storm(app, 'ada', 110), { '401 CREDENTIALS_INVALID': 100, '429 RATE_LIMITED': 10 })
  t.equal(await enter('192.0.2.99'), 429, 'a new network is a stranger')
  for (let i = 0; i < 9; i++) t.equal(await guess(HOME), 'CREDENTIALS_INVALID', 'at home one may mistype')
  t.equal(await enter(HOME), 200)
  for (let i = 0; i < 10; i++) t.equal(await guess(HOME), 'CREDENTIALS_INVALID', 'and again')
  t.equal(await enter(HOME), 429, 'but not without end')
  await clock.advance(15 * 60)
  t.equal(await enter(HOME), 200)
})

t.test('P4 known networks have forty guesses an hour together, which strangers cannot use up', async (t) => {
  const { app, db, enter } = await world()
  const homes = Array.from({ length: 5 }, (_, i) => address(900 + i))
  for (const home of homes) t.equal(await enter(home), 200)
  t.same(await storm(app, 'ada', 120), { '401 CREDENTIALS_INVALID': 100, '429 RATE_LIMITED': 20 })
  const guesses = await Promise.all(Array.from({ length: 60 }, (_, i) => logInFrom(app, homes[i % 5]!, 'ada', `guess ${i}`)))
  t.same(countOutcomes(guesses), { '401 CREDENTIALS_INVALID': 40, '429 RATE_LIMITED': 20 })
  t.same(await db.query("select count(*)::int as n from otp_event where kind = 'login_failed'"), [{ n: 140 }], 'no more in an hour')
})

t.test('P4 a known network that was not used for thirty days is no longer known', async (t) => {
  const { enter, strangers, clock } = await world()
  t.equal(await enter(HOME), 200)
  await clock.advance(30 * 86_400 - 60)
  await strangers(100)
  t.equal(await enter(HOME), 200, 'just before')
  await clock.advance(30 * 86_400 + 60)
  await strangers(100)
  t.equal(await enter(HOME), 429)
})

t.test('P4 the factors and the budget of another account change nothing', async (t) => {
  const { app, db, enter, strangers } = await world()
  await (await signUp(app, 'bob')).enrol()
  await logInFrom(app, '192.0.2.201', 'bob', 'a guess')
  await db.query("update password_budget set spent = 100 where network = '*'")
  t.equal(await enter(HOME), 200, 'strangers have used up the guesses of the other account alone')
  await strangers(100)
  t.equal(await enter(HOME), 200, 'known by the password, since this account has no factor')
})

t.test('P4 of an account with a factor, a network is known by a verified session alone', async (t) => {
  const { ada, enter, strangers } = await world()
  t.equal(await enter('192.0.2.66'), 200, 'before there was a factor')
  await ada.enrol()
  t.equal(await enter('192.0.2.67'), 200, 'the password, without its code')
  await strangers(100)
  t.equal(await enter('192.0.2.67'), 429)
  t.equal(await enter('192.0.2.66'), 429)
})

t.test('P4 the windows end by the database\'s clock', async (t) => {
  const { enter, guess, strangers, clock } = await world()
  await clock.freeze()
  for (let i = 0; i < 10; i++) await guess('192.0.2.1')
  await clock.advance(15 * 60 - 1)
  t.equal(await enter('192.0.2.1'), 429)
  await clock.advance(1)
  t.equal(await guess('192.0.2.1'), 'CREDENTIALS_INVALID')
  t.equal(await enter('192.0.2.1'), 200)

  await clock.advance(3600)
  await strangers(100)
  t.equal(await guess('192.0.2.50'), 'RATE_LIMITED')
  await clock.advance(3599)
  t.equal(await enter('192.0.2.50'), 429)
  await clock.advance(1)
  t.equal(await enter('192.0.2.50'), 200)
})

t.test('P4 another user\'s success clears nothing; the owner\'s clears that network and gives one shared guess back', async (t) => {
  const { app, ada, enter, guess, strangers } = await world()
  const mallory = await signUp(app, 'mallory')
  const asMallory = async (from: string) => expect(200, await logInFrom(app, from, 'mallory', mallory.password))

  for (let i = 0; i < 10; i++) {
    t.equal(await guess('192.0.2.1'), 'CREDENTIALS_INVALID')
    await asMallory('192.0.2.1')
  }
  t.equal(await guess('192.0.2.1'), 'RATE_LIMITED', 'his own log-ins in between gained him nothing')
  t.equal(await enter('192.0.2.2'), 200)
  t.equal(await guess('192.0.2.1'), 'RATE_LIMITED', 'nor did hers elsewhere')

  await ada.login()
  await strangers(99)
  t.equal(await enter(HOME), 200)
  t.equal(await guess(address(500)), 'CREDENTIALS_INVALID', 'her own one was given back')
  t.equal(await guess(address(501)), 'RATE_LIMITED', 'the 99 of strangers stay consumed after a success')
})

t.test('P4 an unknown name behaves the same', async (t) => {
  const { app, guess } = await world()
  const [known, unknown] = [[], []] as string[][]
  for (let i = 0; i < 12; i++) {
    known!.push(await guess('192.0.2.1'))
    unknown!.push(await guess('192.0.2.1', 'nobody'))
  }
  t.same(known, unknown)
  t.same(known!.slice(9), ['CREDENTIALS_INVALID', 'RATE_LIMITED', 'RATE_LIMITED'])
  t.same(await storm(app, 'nobody', 95, 300), { '401 CREDENTIALS_INVALID': 90, '429 RATE_LIMITED': 5 })
})

t.test('P4 L1 one person in any spelling, one network in any spelling', async (t) => {
  const { guess } = await world()
  const names = ['ada', 'ADA', 'ａｄａ', 'Ada']
  for (let i = 0; i < 10; i++) t.equal(await guess(i % 2 === 0 ? '192.0.2.1' : '::ffff:192.0.2.1', names[i % 4]), 'CREDENTIALS_INVALID')
  for (const name of names) t.equal(await guess('192.0.2.1', name), 'RATE_LIMITED', name)
  for (let i = 0; i < 10; i++) t.equal(await guess(`2001:db8:1:2:${i}::1`), 'CREDENTIALS_INVALID')
  t.equal(await guess('2001:db8:1:2:ffff::1'), 'RATE_LIMITED')
  t.equal(await guess('2001:db8:1:3::1'), 'CREDENTIALS_INVALID', 'the neighbour')
})

t.test('P4 a right password at another route gives its guess back and clears its own network', async (t) => {
  const { ada, db } = await world()
  expect(200, await ada.login())
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 9; i++) t.equal((await ada.create({ password: 'a guess' })).json<{ code: string }>().code, 'REAUTH_REQUIRED')
    t.equal((await ada.create({ password: ada.password })).statusCode, 201)
  }
  t.same(
    await db.query('select network, spent from password_budget where spent > 0'),
    [{ network: 'known', spent: 27 }],
    'the wrong ones stay counted for all known networks'
  )
})

t.test('P2 P4 300 log-ins in flight from 300 sites leave a known network its turns', async (t) => {
  const place = await floodedWorld(t, { TRUSTED_PROXIES: '127.0.0.1', NETWORK_LIMITS: 'on' })
  expect(200, await logInFrom(place.app, HOME, 'ada', place.ada.password))
  t.equal(await passedFlood(t, place, (i) => logInFrom(place.app, `10.${i >> 8}.${i & 255}.1`, `nobody${i}`, 'a guess')), OWN_LOGINS)
})
