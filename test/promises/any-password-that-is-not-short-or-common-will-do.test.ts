import { randomUUID } from 'node:crypto'
import { hash } from '@node-rs/argon2'
import t from 'tap'
import { freshApp, type App } from '../helpers/app.js'
import { emptied } from '../helpers/emptied.js'
import { expect, signUp } from '../helpers/person.js'

const shared = await freshApp(t, {}, { hasher: 'dear' })

const register = async (app: App, username: string, password: unknown) =>
  await app.inject({ method: 'POST', url: '/users', payload: { username, email: 'x@example.org', password } })
const logIn = async (app: App, username: string, password: unknown) =>
  (await app.inject({ method: 'POST', url: '/token', payload: { username, password } })).statusCode

/** [username, password at sign-up, as it is typed at log-in, accepted?] */
const people = [
  ['composed', 'déjà-vu café', 'de\u0301ja\u0300-vu cafe\u0301', 200],
  ['decomposed', 'de\u0301ja\u0300-vu cafe\u0301', 'déjà-vu café', 200],
  ['ligature', 'a ﬁne password', 'a fine password', 401],
  ['spaces', '  kept as they are  ', 'kept as they are', 401],
  ['case', 'Kept As It Is', 'kept as it is', 401],
  ['nul', 'before\0after', 'before\0', 401],
  ['nul2', 'before\0after', 'before\0after', 200],
  ['emoji', '🦊🐙🦉🐳🦜🐢🦋🐝', '🦊🐙🦉🐳🦜🐢🦋🐝', 200],
  ['long', '🦊'.repeat(1023) + '🐙', '🦊'.repeat(1023) + '🐙', 200],
  ['long2', '🦊'.repeat(1023) + '🐙', '🦊'.repeat(1023) + '🦋', 401],
  ['long3', 'é'.repeat(1024), 'e\u0301'.repeat(512) + 'é'.repeat(512), 400],
  ['spaces-alone', '            ', '            ', 200]
] as const

t.test('P1 any characters, all of them, composed either way', async (t) => {
  const { app } = await emptied(shared)
  for (const [username, chosen, typed, status] of people) {
    t.equal((await register(app, username, chosen)).statusCode, 201, username)
    t.equal(await logIn(app, username, chosen), 200, `${username} as chosen`)
    t.equal(await logIn(app, username, typed), status, `${username} as typed`)
  }
})

t.test('P1 too short, too long, common, the username: refused, and no account is made', async (t) => {
  const { app, db } = await freshApp(t, { PASSWORD_MIN_LENGTH: '12' })
  for (const password of ['kwzjvqxpkwz', '🦊🐙🦉🐳🦜🐢', 'grace.hopper', 'GRACE.HOPPER', 'ｇｒａｃｅ.ｈｏｐｐｅｒ', 'password1234', 'PASSWORD1234']) {
    const answer = await register(app, 'Grace.Hopper', password)
    t.match([answer.statusCode, answer.json()], [400, { code: 'PASSWORD_UNACCEPTABLE' }], password)
    t.notMatch(answer.body, password)
  }
  for (const password of ['x'.repeat(1025), '', null, 123456789012, ['kwzjvqxpkwzjvqx'], { length: 12 }]) {
    t.match(
      (await register(app, 'Grace.Hopper', password)).json(),
      { statusCode: 400, code: 'REQUEST_INVALID' },
      String(password).slice(0, 20)
    )
  }
  t.same(await db.query('select count(*)::int as n from account'), [{ n: 0 }])
  t.equal((await register(app, 'Grace.Hopper', 'kwzjvqxpkwzjvqxp')).statusCode, 201)
})

t.test('P5 over 1024 characters or 16 KiB: refused before anything is counted or hashed, at every route', async (t) => {
  const { app, db } = await emptied(shared)
  const ada = await signUp(app)
  expect(200, await ada.login())
  const authorization = `Bearer ${ada.access}`
  const bodies = [
    ['x'.repeat(1025), 400, 'REQUEST_INVALID'],
    ['x'.repeat(15_000), 400, 'REQUEST_INVALID'],
    ['🦊'.repeat(1025), 400, 'REQUEST_INVALID'],
    ['x'.repeat(16_384), 413, 'BODY_TOO_LARGE'],
    ['x'.repeat(1_000_000), 413, 'BODY_TOO_LARGE']
  ] as const
  for (const [password, status, code] of bodies) {
    const doors = [
      ['/token', { username: 'ada', password }],
      ['/users', { username: 'bob', email: 'b@example.org', password }],
      ['/totp/create', { password }]
    ] as const
    for (const [url, payload] of doors) {
      const answer = await app.inject({ method: 'POST', url, headers: { authorization }, payload })
      t.match([answer.statusCode, answer.json()], [status, { code }], `${url} ${password.length}`)
    }
  }
  t.same(await db.query('select * from password_budget where spent > 0'), [], 'no guess was spent')
  t.same(await db.query("select * from otp_event where kind = 'login_failed'"), [], 'none was judged')
})

t.test('P2 a hash under older parameters is renewed by a log-in, and only by a right one', async (t) => {
  const { app, db } = await emptied(shared)
  const ada = await signUp(app)
  const stored = async () => (await db.query<{ password_hash: string }>('select password_hash from account'))[0]!.password_hash
  t.match(await stored(), /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
  const older = await hash(ada.password, { memoryCost: 8192, timeCost: 1, parallelism: 1 })
  await db.query('update account set password_hash = $1', [older])

  t.equal((await ada.login(randomUUID())).statusCode, 401)
  t.equal(await stored(), older)
  t.equal((await ada.login()).statusCode, 200)
  const renewed = await stored()
  t.match(renewed, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
  t.equal((await ada.login()).statusCode, 200, 'the same password')
  t.equal(await stored(), renewed, 'once')
})
