import pg from 'pg'
import t from 'tap'
import { insideOf } from '../../src/attach/inside.js'
import { freshApp } from '../helpers/app.js'
import { emptied } from '../helpers/emptied.js'
import { countLockWaits } from '../helpers/lock-waits.js'
import { need } from '../helpers/need.js'
import { operationsOf } from '../helpers/operations.js'
import { expect, signUp, type Person } from '../helpers/person.js'
import { idOf, staffAt } from '../helpers/staff.js'
import { until } from '../helpers/wait.js'

await need('postgres')

const shared = await freshApp(t)
const replica = await shared.another()

const code = (answer: { json: () => { code?: string } }) => answer.json().code

t.test('T14 staff free whom the hard stop stopped, at once', async (t) => {
  const fresh = await emptied(shared)
  const { app, db } = fresh
  const grace = await staffAt(fresh)
  const ada = await (await signUp(app)).enrol()
  const id = idOf(ada)
  await db.query("update otp_user set failures = 100, locked_until = clock_timestamp() + interval '1 hour' where user_id = $1", [id])
  const elsewhere = ada.elsewhere()
  await elsewhere.login()
  t.equal(code(await elsewhere.verify()), 'OTP_LOCKED')
  t.match((await grace.request('GET', `/admin/users/${id}`)).json(), { failures: 100, lockedUntil: /T/, isStopped: true })
  t.equal((await grace.request('POST', `/admin/users/${id}/unlock`)).statusCode, 204)
  t.equal((await elsewhere.verify()).statusCode, 200, 'nor does this process remember the lock')
  t.match((await grace.request('GET', `/admin/users/${id}`)).json(), { failures: 0, lockedUntil: null, isStopped: false })
  const threeHundred = 'array(select clock_timestamp() from generate_series(1, 300))'
  await db.query(`update otp_user set wrong_codes_at = ${threeHundred} where user_id = $1`, [id])
  const again = ada.elsewhere()
  await again.login()
  t.equal(code(await again.verify()), 'OTP_LOCKED')
  t.match((await grace.request('GET', `/admin/users/${id}`)).json(), { failures: 0, isStopped: true })
  t.equal((await grace.request('POST', `/admin/users/${id}/unlock`)).statusCode, 204)
  t.equal((await again.verify()).statusCode, 200, 'of the slow count, too')
  t.match(await db.query("select actor_id from otp_event where kind = 'unlocked' and user_id = $1", [id]), [{ actor_id: idOf(grace) }])
  t.equal((await ada.request('GET', '/account')).statusCode, 200, 'no session ended for it')
})

t.test('J5 deactivated: every session ends on every replica, the password opens nothing; reactivated: it does', async (t) => {
  const fresh = await emptied(shared)
  const { app, db } = fresh
  const grace = await staffAt(fresh)
  const ada = await (await signUp(app)).enrol()
  const there = ada.elsewhere(replica)
  await there.login()
  expect(200, await there.verify())
  const url = `/admin/users/${idOf(ada)}`
  t.equal((await grace.request('POST', `${url}/deactivate`, {})).statusCode, 400, 'not without a reason')
  t.equal((await grace.request('POST', `${url}/deactivate`, { reason: 'Left.' })).statusCode, 204)
  t.equal(code(await ada.request('GET', '/account')), 'SESSION_ENDED')
  await insideOf(replica).sessions.poll()
  t.equal(code(await there.request('GET', '/account')), 'SESSION_ENDED')
  t.equal(code(await there.refreshTokens()), 'SESSION_ENDED')
  t.equal(code(await ada.login()), 'CREDENTIALS_INVALID')
  t.match((await grace.request('GET', url)).json(), { isActive: false })
  t.equal((await grace.request('POST', `${url}/deactivate`, { reason: 'Twice.' })).statusCode, 204)
  t.equal((await grace.request('POST', `${url}/reactivate`, { reason: 'Back.' })).statusCode, 204)
  expect(200, await ada.login())
  expect(200, await ada.verify())
  t.equal((await ada.request('GET', '/account')).statusCode, 200, 'with the device of before')
  const log = await db.query(
    'select kind, detail from otp_event where user_id = $1 and actor_id = $2 order by at', [idOf(ada), idOf(grace)]
  )
  t.same(log, [{ kind: 'deactivated', detail: 'Left.' }, { kind: 'reactivated', detail: 'Back.' }], 'what was so already is no event')
})

t.test('T8 a log-in that waited in the hash queue while the account was deactivated gives nothing', async (t) => {
  const fresh = await emptied(shared)
  const grace = await staffAt(fresh)
  const ada = await signUp(fresh.app)
  await ada.login()
  const url = `/admin/users/${idOf(ada)}`
  const logins = Array.from({ length: 20 }, () => ada.elsewhere().login())
  const deactivated = grace.request('POST', `${url}/deactivate`, { reason: 'r' })
  t.equal((await deactivated).statusCode, 204)
  await Promise.all(logins)
  t.same(
    await fresh.db.query('select count(*)::int as living from otp_session where user_id = $1 and ended_at is null', [idOf(ada)]),
    [{ living: 0 }]
  )
})

t.test('not on oneself', async (t) => {
  const fresh = await emptied(shared)
  const grace = await staffAt(fresh)
  const url = `/admin/users/${idOf(grace)}`
  const changes = operationsOf(fresh.app).filter(({ method, path }) => method !== 'GET' && path.startsWith('/admin/users/{id}'))
  t.ok(changes.length >= 9)
  for (const { id, method, path, body } of changes) {
    const own = path.replace('{id}', idOf(grace)).replace('{sessionId}', String(grace.claims()['sid']))
    t.equal(code(await grace.request(method, own, body)), 'NOT_YOURSELF', id)
  }
  t.equal((await grace.request('GET', url)).statusCode, 200, 'but they may look')
})

t.test('of two members of staff who deactivate each other at the same moment, the second one finds out', async (t) => {
  const fresh = await emptied(shared)
  const [grace, alan] = [await staffAt(fresh), await staffAt(fresh, 'alan')]
  const holder = new pg.Client({ connectionString: fresh.db.url })
  await holder.connect()
  await holder.query('begin')
  await holder.query('select from otp_user for no key update')
  const both = Promise.all([
    grace.request('POST', `/admin/users/${idOf(alan)}/deactivate`, { reason: 'r' }),
    alan.request('POST', `/admin/users/${idOf(grace)}/deactivate`, { reason: 'r' })
  ])
  await until('both to be past every look at who asks', async () => await countLockWaits(fresh.db.query) === 2)
  await holder.query('commit')
  await holder.end()
  t.same((await both).map(({ statusCode }) => statusCode).sort(), [204, 401])
  t.same(await fresh.db.query('select count(*)::int as active from account where is_active'), [{ active: 1 }])
})

t.test('of eight members of staff who deactivate each other at once, over two replicas, exactly one stays', async (t) => {
  const fresh = await emptied(shared)
  const all: Person[] = []
  for (let i = 0; i < 8; i++) all.push(await staffAt({ app: i % 2 === 0 ? fresh.app : replica, db: fresh.db }, `staff${i}`))
  // Enrolment moved the clock, so the first proofs would not be fresh.
  for (const person of all) expect(200, await person.verify())

  const deactivate = async (actor: Person, other: Person): Promise<number> => {
    const { statusCode } = await actor.request('POST', `/admin/users/${idOf(other)}/deactivate`, { reason: 'r' })
    return statusCode === 503 ? await deactivate(actor, other) : statusCode
  }
  const statuses = await Promise.all(
    all.flatMap((actor) => all.filter((other) => other !== actor).map((other) => deactivate(actor, other)))
  )
  t.equal(statuses.length, 56)
  t.ok(statuses.every((status) => [204, 401, 403].includes(status)), statuses.join(' '))
  t.same(
    await fresh.db.query('select count(*)::int as active from account where is_active'), [{ active: 1 }],
    'some serial order explains it'
  )
  t.same(await fresh.db.query("select count(*)::int as n from otp_event where kind = 'deactivated'"), [{ n: 7 }])
})
