import { randomUUID } from 'node:crypto'
import t from 'tap'
import { insideOf } from '../../src/attach/inside.js'
import { freshApp } from '../helpers/app.js'
import { emptied } from '../helpers/emptied.js'
import { need } from '../helpers/need.js'
import { expect, sessionsOf, signUp, type Person } from '../helpers/person.js'
import { idOf, staffAt } from '../helpers/staff.js'
import { sized } from '../helpers/thorough.js'

await need('postgres')

const shared = await freshApp(t)
const replica = await shared.another()

const code = (answer: { json: () => { code?: string } }) => answer.json().code
const sidOf = (person: Person) => String(person.claims()['sid'])
const endedBy = 'session_ended_by_staff'
const events = async () => await shared.db.query<{ user_id: string, detail: string, actor_id: string | null }>(
  'select user_id, detail, actor_id from otp_event where kind = $1 order by at, id', [endedBy])

/** Status codes of the people: 200 while the session lives. */
const statuses = async (people: Person[]) =>
  await Promise.all(people.map(async (person) => (await person.request('GET', '/totp/status')).statusCode))

t.test('J5 staff end one session of a user: that one alone, on every replica, with an event for both', async (t) => {
  const fresh = await emptied(shared)
  const grace = await staffAt(fresh)
  const ada = await (await signUp(fresh.app)).enrol()
  const there = ada.elsewhere(replica)
  expect(200, await there.login())
  // Older than the sessions that a mark of all leaves out.
  await fresh.clock.advance(60)
  const url = `/admin/users/${idOf(ada)}/sessions`
  const listed = expect(200, await grace.request('GET', url)).json<Array<{ id: string }>>()
  t.same(listed.map(({ id }) => id).sort(), [sidOf(ada), sidOf(there)].sort())
  t.equal((await grace.request('DELETE', `${url}/${sidOf(there)}`)).statusCode, 204)
  await insideOf(replica).sessions.poll()
  t.equal(code(await there.request('GET', '/totp/status')), 'SESSION_ENDED')
  t.equal(code(await there.refreshTokens()), 'SESSION_ENDED')
  t.same(await statuses([ada, grace]), [200, 200])
  t.same([(await ada.refreshTokens()).statusCode, await statuses([ada])], [200, [200]], 'PostgreSQL says so')
  t.same(await events(), [{ user_id: idOf(ada), detail: sidOf(there), actor_id: idOf(grace) }])
  const told = (await grace.request('GET', '/account/security-events?limit=1')).json().events
  t.match(told, [{ kind: 'staff_acted', detail: `${endedBy} ${idOf(ada)}: ${sidOf(there)}` }])
  t.equal(code(await grace.request('DELETE', `${url}/${sidOf(there)}`)), 'NOT_FOUND', 'ended already')
  t.equal(code(await grace.request('DELETE', `${url}/${randomUUID()}`)), 'NOT_FOUND')
  t.equal(code(await grace.request('DELETE', `/admin/users/${idOf(grace)}/sessions/${sidOf(ada)}`)), 'NOT_YOURSELF')
  const alan = await signUp(fresh.app, 'alan')
  expect(200, await alan.login())
  t.equal(code(await grace.request('DELETE', `/admin/users/${idOf(alan)}/sessions/${sidOf(ada)}`)), 'NOT_FOUND', 'E6 of another user')
  t.equal((await grace.request('DELETE', `${url}/1`)).statusCode, 400)
  t.same(await statuses([ada, alan]), [200, 200])
  t.equal((await events()).length, 1)
})

t.test('J5 staff end every session of a user, on every replica; password and device stay', async (t) => {
  const fresh = await emptied(shared)
  const grace = await staffAt(fresh)
  const ada = await (await signUp(fresh.app)).enrol()
  const others = await sessionsOf(ada, 3, [fresh.app, replica])
  await fresh.db.query('update otp_session set expires_at = clock_timestamp() where id = $1', [sidOf(others[2]!)])
  const url = `/admin/users/${idOf(ada)}/sessions`
  t.equal((await grace.request('DELETE', url)).statusCode, 204)
  for (const app of [fresh.app, replica]) await insideOf(app).sessions.poll()
  t.same(await statuses([ada, others[0]!, others[1]!]), [401, 401, 401])
  t.same(await events(), [{ user_id: idOf(ada), detail: 'all: 3', actor_id: idOf(grace) }], 'one that had expired was not ended')
  t.equal((await grace.request('DELETE', url)).statusCode, 204)
  t.equal((await events()).length, 1, 'where no session ended there is no event')
  const marked = ada.elsewhere()
  expect(200, await marked.login())
  await fresh.db.query("update otp_revocation set ended_before = clock_timestamp() + interval '1 second' where user_id = $1", [idOf(ada)])
  for (const target of [url, `${url}/${sidOf(marked)}`]) await grace.request('DELETE', target)
  t.equal((await events()).length, 1, 'nor where a mark had ended it')
  await fresh.clock.advance(2)
  expect(200, await ada.login())
  expect(200, await ada.verify())
  t.same(await statuses([ada, grace]), [200, 200])
})

t.test('fifty at once, over two replicas: one ends it, one event', async (t) => {
  const fresh = await emptied(shared)
  const grace = await staffAt(fresh)
  const ada = await signUp(fresh.app)
  const [one, ...rest] = await sessionsOf(ada, 3)
  const here = [grace, grace.at(replica)]
  const url = `/admin/users/${idOf(one!)}/sessions`
  const many = async (target: string) =>
    await Promise.all(Array.from({ length: 50 }, async (_, i) => (await here[i % 2]!.request('DELETE', target)).statusCode))
  const ofOne = await many(`${url}/${sidOf(one!)}`)
  t.equal(ofOne.filter((status) => status === 204).length, 1, ofOne.join(' '))
  t.ok(ofOne.every((status) => [204, 404, 503].includes(status)), ofOne.join(' '))
  t.equal((await events()).length, 1)
  const ofAll = await many(url)
  t.ok(ofAll.every((status) => [204, 503].includes(status)), ofAll.join(' '))
  t.same((await events()).map(({ detail }) => detail), [sidOf(one!), 'all: 2'])
  t.same(await statuses(rest), [401, 401])
})

t.test('T8 a session that is being verified while staff end them all does not live on as a new one', async (t) => {
  const fresh = await emptied(shared)
  const grace = await staffAt(fresh)
  const ada = await (await signUp(fresh.app)).enrol()
  for (let round = 0; round < sized(4, 8); round++) {
    const pending = ada.elsewhere(round % 2 === 0 ? fresh.app : replica)
    expect(200, await pending.login())
    const token = await pending.nextCode()
    expect(200, await grace.verify())
    const [ended] = await Promise.all([grace.request('DELETE', `/admin/users/${idOf(ada)}/sessions`), pending.verify(token)])
    t.equal(ended.statusCode, 204)
    t.same(await fresh.db.query('select id from otp_session where user_id = $1 and ended_at is null', [idOf(ada)]), [])
  }
})

t.test('E5 no event, no end', async (t) => {
  const fresh = await emptied(shared)
  const grace = await staffAt(fresh)
  const ada = await signUp(fresh.app)
  expect(200, await ada.login())
  await fresh.db.query('alter table otp_event add constraint nothing_is_written check (false) not valid')
  const answer = await grace.request('DELETE', `/admin/users/${idOf(ada)}/sessions`)
  await fresh.db.query('alter table otp_event drop constraint nothing_is_written')
  t.equal(answer.statusCode, 500)
  t.same(await statuses([ada]), [200])
})
