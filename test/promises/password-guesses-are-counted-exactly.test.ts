import pg from 'pg'
import t from 'tap'
import { countOutcomes } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { cheapHasher } from '../helpers/cheap-hasher.js'
import { emptied } from '../helpers/emptied.js'
import { countLockWaits } from '../helpers/lock-waits.js'
import { address, behindProxy, logInFrom } from '../helpers/logins.js'
import { need } from '../helpers/need.js'
import { expect, signUp } from '../helpers/person.js'
import { until } from '../helpers/wait.js'

await need('postgres')

const shared = await freshApp(t, behindProxy, { hasher: cheapHasher })
const replicas = [shared.app, await shared.another()] as const

const failed = "select count(*)::int as n from otp_event where kind = 'login_failed'"

t.test('P4 sixty guesses at once over two replicas from one network: ten are judged', async (t) => {
  const { app, db } = await emptied(shared)
  const ada = await signUp(app)
  const answers = await Promise.all(
    Array.from({ length: 60 }, (_, i) => logInFrom(replicas[i % 2 as 0 | 1], '192.0.2.1', 'ada', `guess ${i}`))
  )
  t.same(countOutcomes(answers), { '401 CREDENTIALS_INVALID': 10, '429 RATE_LIMITED': 50 })
  t.same(await db.query(failed), [{ n: 10 }], 'hashes judged')
  for (const answer of answers.filter(({ statusCode }) => statusCode === 429)) {
    const seconds = Number(answer.headers['retry-after'])
    if (!(seconds > 880 && seconds <= 900)) t.fail(`seconds to wait: ${seconds}`)
  }
  t.equal((await logInFrom(app, '192.0.2.1', 'ada', ada.password)).statusCode, 429, 'the right one too: the answer must not tell')
  t.equal((await logInFrom(app, '192.0.2.2', 'ada', ada.password)).statusCode, 200, 'another network has its own budget')
})

t.test('P4 a hundred and thirty networks at once over two replicas: a hundred are judged', async (t) => {
  const { app, db } = await emptied(shared)
  await signUp(app)
  const answers = await Promise.all(
    Array.from({ length: 130 }, (_, i) => logInFrom(replicas[i % 2 as 0 | 1], address(i), 'ada', `guess ${i}`))
  )
  t.same(countOutcomes(answers), { '401 CREDENTIALS_INVALID': 100, '429 RATE_LIMITED': 30 })
  t.same(await db.query(failed), [{ n: 100 }])
  t.equal((await logInFrom(replicas[0], address(999), 'ada', 'a guess')).statusCode, 429)
  t.same(await db.query('select from password_budget where network = $1', [address(999)]), [], 'it does not count against its network')
})

t.test('P4 a guess that waits for the last one of all networks is refused', async (t) => {
  const { app, db } = await emptied(shared)
  await signUp(app)
  t.equal((await logInFrom(app, address(0), 'ada', 'a guess')).statusCode, 401)
  const other = new pg.Client({ connectionString: db.url })
  await other.connect()
  t.teardown(() => other.end())
  await other.query('begin')
  await other.query("update password_budget set spent = 100 where network = '*'")
  const guess = logInFrom(app, address(1), 'ada', 'a guess')
  await until('the guess to wait', async () => await countLockWaits(db.query) === 1)
  await other.query('commit')
  t.equal((await guess).statusCode, 429)
})

t.test('P4 one budget for all routes that check the password, also at once', async (t) => {
  const { db } = await emptied(shared)
  const [app, other] = replicas
  const ada = await signUp(app)
  expect(200, await ada.login())
  const guesses = Array.from({ length: 60 }, (_, i) => i % 2 === 0
    ? ada.elsewhere(i % 4 === 0 ? app : other).login(`guess ${i}`)
    : (i % 4 === 1 ? app : other).inject({
        method: 'POST', url: '/totp/create', headers: { authorization: `Bearer ${ada.access}` }, payload: { password: `guess ${i}` }
      }))
  const {
    '401 CREDENTIALS_INVALID': atToken = 0, '403 REAUTH_REQUIRED': atCreate = 0, '429 RATE_LIMITED': refused
  } = countOutcomes(await Promise.all(guesses))
  t.same([atToken + atCreate, refused], [10, 50])
  t.same(await db.query(failed), [{ n: 10 }])
  t.equal((await ada.create({ password: ada.password })).statusCode, 429)
  t.equal((await ada.login()).statusCode, 429)
  t.same(await db.query('select count(*)::int as n from otp_device'), [{ n: 0 }], 'no guess began a device')
})

t.test('P4 guesses that race the owner: the owner\'s success gives one guess back, no more', async (t) => {
  const { app, db } = await emptied(shared)
  const ada = await signUp(app)
  const answers = await Promise.all(
    Array.from({ length: 80 }, (_, i) => logInFrom(replicas[i % 2 as 0 | 1], '192.0.2.1', 'ada', i === 5 ? ada.password : `guess ${i}`))
  )
  const { 200: ok = 0, '401 CREDENTIALS_INVALID': judged = 0 } = countOutcomes(answers)
  t.ok(ok <= 1)
  t.ok(judged <= 10 + 10 * ok, `${judged} judged with ${ok} success`)
  t.same(await db.query(failed), [{ n: judged }])
})

t.test('P4 a right password outside the log-in clears the count of its user and network alone', async (t) => {
  const { app, db } = await emptied(shared)
  const ada = await signUp(app)
  await signUp(app, 'bob')
  expect(200, await ada.login())
  for (const name of ['ada', 'bob']) {
    for (const network of ['192.0.2.1', '192.0.2.2']) {
      for (let i = 0; i < 3; i++) t.equal((await logInFrom(app, network, name, 'a guess')).statusCode, 401)
    }
  }
  const counts = async () => (await db.query('select name_digest, network, spent from password_budget')).map((row) => JSON.stringify(row))
  const wrong = await counts()
  const headers = { authorization: `Bearer ${ada.access}`, 'x-forwarded-for': '192.0.2.1' }
  expect(201, await app.inject({ method: 'POST', url: '/totp/create', headers, payload: { password: ada.password } }))
  const right = await counts()
  const cleared = wrong.filter((row) => !right.includes(row))
  t.equal(cleared.length, 1)
  t.match(cleared[0], '"192.0.2.1"')
  t.same(right.filter((row) => !wrong.includes(row)), [], 'its own guess came back to the shared budget')
})
