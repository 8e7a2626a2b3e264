import { hash } from '@node-rs/argon2'
import pg from 'pg'
import t from 'tap'
import { freshApp } from '../helpers/app.js'
import { holdStatement } from '../helpers/held-statement.js'
import { countLockWaits } from '../helpers/lock-waits.js'
import { need } from '../helpers/need.js'
import { logInFrom } from '../helpers/logins.js'
import { expect, signUp, type Person } from '../helpers/person.js'
import { idOf, staffAt } from '../helpers/staff.js'
import { rowsOf, twinOf } from '../helpers/twin.js'
import { until } from '../helpers/wait.js'

/* The statement of a log-in changes rows of its own user alone, beside a user in the same state. */

await need('postgres')
const { app, db } = await freshApp(t)

/** Sessions of a user without a second factor. */
const MOST_SESSIONS = 100

async function two (name: string): Promise<[Person, Person]> {
  return [await signUp(app, `${name}-one`), await signUp(app, `${name}-other`)]
}

/** Gives a user so many more sessions without a second factor, each idle a second longer than the one before. */
const crowd = async (person: Person, count: number, ended = false) => await db.query(`
  insert into otp_session (user_id, id, started_at, expires_at, auth_at, amr, otp_required, rotated_at, ip, agent, ended_at, end_reason)
  select user_id, gen_random_uuid(), started_at, expires_at, auth_at, amr, otp_required, rotated_at - i * interval '1 s', ip, agent,
    case when $3 then rotated_at end, case when $3 then 'logged_out' end
  from otp_session, generate_series(1, $2) i where user_id = $1 and ended_at is null`, [idOf(person), count, ended])

const countEvicted = async (person: Person) => (await db.query<{ n: number }>(
  "select count(*)::int as n from otp_session where user_id = $1 and end_reason = 'session_evicted'", [idOf(person)]))[0]!.n

t.test('a hash of former parameters is replaced for the user who logs in', async (t) => {
  const [one, other] = await two('rehashed')
  const hashes = async () => (await db.query<{ hash: string }>(
    'select password_hash as hash from account where username = any($1) order by username = $2 desc',
    [[one.username, other.username], one.username]
  )).map((row) => row.hash)
  for (const { username, password } of [one, other]) {
    const former = await hash(password, { memoryCost: 8_192, timeCost: 1, parallelism: 1 })
    await db.query('update account set password_hash = $2 where username = $1', [username, former])
  }
  const before = await hashes()
  expect(200, await one.login())
  const after = await hashes()
  t.not(after[0], before[0])
  t.equal(after[1], before[1])
  expect(200, await other.login())
})

t.test('a set-up code is used up by its user', async (t) => {
  const grace = await staffAt({ app, db })
  const people = await two('set-up')
  const codes: string[] = []
  for (const person of people) {
    await person.enrol()
    const reset = await grace.request('POST', `/admin/users/${idOf(person)}/reset-otp`, { reason: 'lost phone, came to the desk' })
    codes.push(expect(200, reset).json().setupCode)
  }
  const login = async (i: number) => await app.inject({
    method: 'POST', url: '/token', payload: { username: people[i]!.username, password: people[i]!.password, setupCode: codes[i] }
  })
  t.equal((await login(0)).statusCode, 200)
  t.equal((await login(0)).json().code, 'SETUP_CODE_REQUIRED', 'once')
  t.equal((await login(1)).statusCode, 200)
})

t.test('a log-in too many ends the session of its user that idled longest', async (t) => {
  const people = await two('surplus')
  const ids: string[] = []
  for (const person of people) {
    expect(200, await person.login())
    ids.push(idOf(person))
    await crowd(person, MOST_SESSIONS - 1)
  }
  const living = async () => await Promise.all(ids.map(async (id) => (await db.query<{ n: number }>(
    'select count(*)::int as n from otp_session where user_id = $1 and ended_at is null', [id]
  ))[0]!.n))
  t.same(await living(), [MOST_SESSIONS, MOST_SESSIONS])
  expect(200, await people[0]!.login())
  t.same(await living(), [MOST_SESSIONS, MOST_SESSIONS])
  const ended = await db.query<{ id: string, kept: boolean }>(`
    select user_id as id, rotated_at > (select min(rotated_at) from otp_session where user_id = s.user_id) as kept
    from otp_session s where user_id = any($1) and ended_at is not null`, [ids])
  t.same(ended, [{ id: ids[0], kept: false }])
})

t.test('sessions that have ended take no place of living ones', async (t) => {
  const person = await signUp(app, 'ended')
  expect(200, await person.login())
  await crowd(person, MOST_SESSIONS, true)
  await db.query("update otp_session set rotated_at = rotated_at - interval '1 hour' where user_id = $1 and ended_at is null",
    [idOf(person)])
  expect(200, await person.elsewhere().login())
  t.equal(await countEvicted(person), 0)
})

t.test('a log-in too many ends no session of another user, also not one with the same id', async (t) => {
  const person = await signUp(app, 'surplus-alone')
  expect(200, await person.login())
  await crowd(person, MOST_SESSIONS - 1)
  const twin = await twinOf(db.query, idOf(person))
  const before = await rowsOf(db.query, twin)
  expect(200, await person.elsewhere().login())
  t.equal(await countEvicted(person), 1)
  t.same(await rowsOf(db.query, twin), before)
})

t.test('a session that ends while a log-in would evict it keeps the reason of its end', async (t) => {
  const person = await signUp(app, 'surplus-late')
  expect(200, await person.login())
  await crowd(person, MOST_SESSIONS - 1)
  const other = new pg.Client({ connectionString: db.url })
  await other.connect()
  t.teardown(() => other.end())
  await other.query('begin')
  await other.query("update otp_session set ended_at = now(), end_reason = 'logged_out' where user_id = $1", [idOf(person)])
  const login = person.elsewhere().login()
  await until('the log-in to wait for a session', async () => await countLockWaits(db.query) === 1)
  await other.query('commit')
  expect(200, await login)
  t.equal(await countEvicted(person), 0)
})

t.test('T8 an account that was deactivated by SQL alone, after its password was checked, gets no session', async (t) => {
  const person = await signUp(app, 'deactivated')
  expect(200, await person.login())
  const held = holdStatement('"used_up"')
  const login = person.elsewhere().login()
  await held.reached
  await db.query('update account set is_active = false where username = $1', [person.username])
  held.release()
  t.equal((await login).statusCode, 401)
})

t.test('a device that is pending demands no code at a log-in', async (t) => {
  const person = await signUp(app, 'pending')
  expect(200, await person.login())
  expect(201, await person.create())
  t.match(expect(200, await person.elsewhere().login()).json(), { otpRequired: false })
})

t.test('a log-in writes no row of a user who needs no set-up code', async (t) => {
  const person = await signUp(app, 'unwritten')
  expect(200, await person.login())
  const written = async () => await db.query('select xmin::text as by from otp_user where user_id = $1', [idOf(person)])
  const before = await written()
  expect(200, await person.login())
  t.same(await written(), before)
})

t.test('P4 a right password clears the count of its user and network', async (t) => {
  const people = await two('counted')
  const networks = ['192.0.2.1', '192.0.2.2']
  const counts = async () => (await db.query('select name_digest, network, spent from password_budget'))
    .map((row) => JSON.stringify(row))
  for (const { username } of people) {
    for (const network of networks) {
      for (let i = 0; i < 3; i++) t.equal((await logInFrom(app, network, username, 'a wrong password')).statusCode, 401)
    }
  }
  const wrong = await counts()
  t.equal((await logInFrom(app, networks[0]!, people[0]!.username, people[0]!.password)).statusCode, 200)
  const right = await counts()
  // The guess itself was counted, and given back, where its networks share a budget.
  t.equal(wrong.filter((row) => !right.includes(row)).length, 1)
  t.same(right.filter((row) => !wrong.includes(row)), [])
})
