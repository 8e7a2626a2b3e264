import t from 'tap'
import { freshApp } from '../helpers/app.js'
import { emptied } from '../helpers/emptied.js'
import { need } from '../helpers/need.js'
import { expect, signUp, type Person } from '../helpers/person.js'
import { idOf, staffAt } from '../helpers/staff.js'
import { sized } from '../helpers/thorough.js'

await need('postgres')

const shared = await freshApp(t)
const replica = await shared.another()

const code = (answer: { json: () => { code?: string } }) => answer.json().code
const act = (actor: Person, user: Person, what: 'promote' | 'demote' | 'deactivate' | 'reset-otp') =>
  actor.request('POST', `/admin/users/${idOf(user)}/${what}`, { reason: `To ${what}.` })
const staff = async () =>
  (await shared.db.query<{ username: string }>('select username from account where is_staff order by 1')).map(({ username }) => username)
const kinds = async (person: Person) => (await shared.db.query<{ kind: string, detail: string, actor_id: string }>(
  "select kind, detail, actor_id from otp_event where user_id = $1 and kind in ('promoted', 'demoted') order by at", [idOf(person)]))

t.test('a user with a second factor becomes staff, and ceases to be, from the next request on, in every session', async (t) => {
  const fresh = await emptied(shared)
  const grace = await staffAt(fresh)
  const ada = await (await signUp(fresh.app)).enrol()
  const there = ada.at(replica)
  t.equal(code(await ada.request('GET', '/admin/users')), 'STAFF_REQUIRED')
  t.equal((await act(grace, ada, 'promote')).statusCode, 204)
  for (const one of [ada, there]) t.equal((await one.request('GET', '/admin/users')).statusCode, 200)
  t.match((await grace.request('GET', `/admin/users/${idOf(ada)}`)).json(), { isStaff: true })
  t.equal((await act(grace, ada, 'promote')).statusCode, 204, 'twice')
  t.equal((await act(ada, grace, 'demote')).statusCode, 204)
  t.equal(code(await grace.request('GET', '/admin/users')), 'STAFF_REQUIRED')
  t.equal(code(await act(grace, ada, 'demote')), 'STAFF_REQUIRED')
  t.equal((await act(ada, grace, 'demote')).statusCode, 204, 'twice')
  t.equal((await grace.request('GET', '/account')).statusCode, 200, 'no session ended for it')
  t.same(await kinds(ada), [{ kind: 'promoted', detail: 'To promote.', actor_id: idOf(grace) }], 'what was so already is no event')
  t.same(await kinds(grace), [{ kind: 'demoted', detail: 'To demote.', actor_id: idOf(ada) }])
  const [told] = (await ada.request('GET', '/account/security-events?limit=1')).json().events
  t.match(told, { kind: 'staff_acted', detail: `demoted ${idOf(grace)}: To demote.` })
  for (const body of [undefined, {}, { reason: '' }, { reason: 1 }]) {
    t.equal((await ada.request('POST', `/admin/users/${idOf(grace)}/promote`, body)).statusCode, 400)
  }
})

t.test('R6 a password alone makes no staff: no device, a pending one, one that was removed; with a set-up code it does', async (t) => {
  const fresh = await emptied(shared)
  const grace = await staffAt(fresh)
  const ada = await signUp(fresh.app)
  expect(200, await ada.login())
  t.equal(code(await act(grace, ada, 'promote')), 'OTP_NOT_SET_UP')
  expect(201, await ada.create())
  t.equal(code(await act(grace, ada, 'promote')), 'OTP_NOT_SET_UP', 'pending')
  expect(200, await ada.confirm())
  expect(200, await ada.request('DELETE', '/totp/delete'))
  t.equal(code(await act(grace, ada, 'promote')), 'OTP_NOT_SET_UP', 'switched off')
  const bob = await (await signUp(fresh.app, 'bob')).enrol()
  expect(200, await act(grace, bob, 'reset-otp'))
  t.equal(code(await act(grace, ada, 'promote')), 'OTP_NOT_SET_UP', 'another user has a set-up code')
  t.same(await staff(), ['grace'])
  t.same(await kinds(ada), [])
  expect(200, await act(grace, ada, 'reset-otp'))
  t.equal((await act(grace, ada, 'promote')).statusCode, 204)
  t.equal(code(await ada.login()), 'SETUP_CODE_REQUIRED')
  t.equal(code(await act(grace, ada, 'reset-otp')), 'STAFF_PROTECTED')
})

t.test('of a promotion and the removal of the last device at once, some order explains the outcome', async (t) => {
  const fresh = await emptied(shared)
  const grace = await staffAt(fresh)
  for (let round = 0; round < sized(3, 6); round++) {
    const ada = await (await signUp(fresh.app, `ada${round}`)).enrol()
    expect(200, await grace.verify())
    const [promoted, removed] = await Promise.all([act(grace, ada, 'promote'), ada.request('DELETE', '/totp/delete')])
    t.equal(removed.statusCode, 200)
    t.ok(promoted.statusCode === 204 || code(promoted) === 'OTP_NOT_SET_UP', promoted.body)
    t.equal((await staff()).includes(`ada${round}`), promoted.statusCode === 204)
    t.equal((await kinds(ada)).length, promoted.statusCode === 204 ? 1 : 0)
  }
})

t.test('of eight members of staff who demote or deactivate each other at once, over two replicas, one stays', async (t) => {
  const fresh = await emptied(shared)
  const all: Person[] = []
  for (let i = 0; i < 8; i++) all.push(await staffAt({ app: i % 2 === 0 ? fresh.app : replica, db: fresh.db }, `staff${i}`))
  // Enrolment moved the clock, so the first proofs are old.
  for (const person of all) expect(200, await person.verify())
  const attempt = async (actor: Person, other: Person): Promise<number> => {
    const { statusCode } = await act(actor, other, Number(other.username.at(-1)) % 3 === 0 ? 'deactivate' : 'demote')
    return statusCode === 503 ? await attempt(actor, other) : statusCode
  }
  const statuses = await Promise.all(all.flatMap((actor) => all.filter((other) => other !== actor).map((other) => attempt(actor, other))))
  t.ok(statuses.every((status) => [204, 401, 403].includes(status)), statuses.join(' '))
  t.same(await fresh.db.query('select count(*)::int as left from account where is_staff and is_active'), [{ left: 1 }])
})

t.test('fifty promotions at once are one, with one event', async (t) => {
  const fresh = await emptied(shared)
  const grace = await staffAt(fresh)
  const ada = await (await signUp(fresh.app)).enrol()
  expect(200, await grace.verify())
  const answers = await Promise.all(Array.from({ length: 50 }, () => act(grace, ada, 'promote')))
  t.ok(answers.every(({ statusCode }) => [204, 503].includes(statusCode)))
  t.equal((await kinds(ada)).length, 1)
})
