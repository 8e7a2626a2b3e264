import pg from 'pg'
import t from 'tap'
import { outcome } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { countLockWaits } from '../helpers/lock-waits.js'
import { need } from '../helpers/need.js'
import { expect, sessionsOf, signUp, userId, type Person } from '../helpers/person.js'
import { rowsOf, twinOf } from '../helpers/twin.js'
import { until } from '../helpers/wait.js'

/*
 * Sessions without a second factor had a limit, verified ones had none. A client that logs in at each start, with a code or a
 * recovery code, left a session for a month each time. One statement with a deadline ends all sessions of a user.
 */

await need('postgres')
const { app, db, another } = await freshApp(t)
const replica = await another()

const MOST = 100

const verified = async (person: Person) => (await db.query<{ id: string }>(
  'select id from otp_session where user_id = $1 and ended_at is null and otp_device_id is not null', [userId(person)])).map(({ id }) => id)
const evictions = async (person: Person) => (await db.query<{ detail: string }>(
  "select detail from otp_event where user_id = $1 and kind = 'session_evicted' order by at", [userId(person)])).map(({ detail }) => detail)

/** Inserts `count` verified sessions, each idle one minute longer than the one before. Returns the ids, longest idle last. */
async function more (person: Person, count: number): Promise<string[]> {
  return (await db.query<{ id: string }>(`
    insert into otp_session (user_id, id, started_at, expires_at, auth_at, amr, otp_required, otp_device_id, otp_at, rotated_at, ip, agent)
    select user_id, 'idle-' || n, started_at, expires_at, auth_at, amr, true, otp_device_id,
      otp_at - n * interval '1 minute', rotated_at - n * interval '1 minute', ip, agent
    from otp_session, generate_series(1, ${count}) n
    where user_id = $1 and id = $2 returning id`, [userId(person), person.claims()['sid']])).map(({ id }) => id)
}

t.test('past a hundred the one that idled longest ends, with an event; never the new one, nor an unverified one', async (t) => {
  const ada = await (await signUp(app, 'ada')).enrol()
  const idle = await more(ada, MOST - 2)
  const [first, second, waiting] = await sessionsOf(ada, 3)
  expect(200, await first!.verify())
  t.same([(await verified(ada)).length, await evictions(ada)], [MOST, []], 'a hundred are no more than there may be')
  expect(200, await first!.verify())
  t.same(await evictions(ada), [], 'a step-up starts none')
  expect(200, await second!.verify())
  const left = await verified(ada)
  t.equal(left.length, MOST)
  t.notOk(left.includes(idle.at(-1)!))
  t.ok([ada, first!, second!].every((person) => left.includes(String(person.claims()['sid']))))
  t.same(await evictions(ada), [idle.at(-1)])
  t.same(await db.query('select end_reason from otp_session where id = $1 and user_id = $2', [idle.at(-1), userId(ada)]), [
    { end_reason: 'session_evicted' }
  ])
  t.equal(outcome(await waiting!.request('GET', '/session')), '403 OTP_REQUIRED', 'a session that owes a code is not counted')
  const { events } = expect(200, await second!.request('GET', '/account/security-events')).json<{
    events: Array<{ kind: string, detail: string }>
  }>()
  t.match(events.filter(({ kind }) => kind === 'session_evicted'), [{ detail: idle.at(-1) }])
})

t.test('with recovery codes, five at once on two replicas: a hundred, no more', async (t) => {
  const bea = await (await signUp(app, 'bea')).enrol()
  await more(bea, MOST - 1)
  const sessions = await sessionsOf(bea, 5, [app, replica])
  const answers = await Promise.all(sessions.map((session, i) => session.recover(bea.recoveryCodes[i])))
  // A recovery code ends the unverified sessions, and so those of the other requests.
  t.ok(answers.some(({ statusCode }) => statusCode === 200))
  t.equal((await verified(bea)).length, MOST)
})

t.test('many more, from before there was a limit, are reduced to it', async (t) => {
  const cas = await (await signUp(app, 'cas')).enrol()
  await more(cas, 1_500)
  for (const [left, detail] of [[1_501 + 1 - 1_000, '1000 sessions'], [MOST, '403 sessions']] as const) {
    const [session] = await sessionsOf(cas, 1)
    expect(200, await session!.verify())
    t.equal((await verified(cas)).length, left)
    t.equal((await evictions(cas)).at(-1), detail)
  }
  t.ok((await verified(cas)).includes(String(cas.claims()['sid'])), 'the one that is in use')
})

t.test('an eviction that PostgreSQL does not answer loses no accepted code: the next verification makes up for it', async (t) => {
  const dan = await (await signUp(app, 'dan')).enrol()
  const idle = await more(dan, MOST - 1)
  const [first, second] = await sessionsOf(dan, 2)
  const holder = new pg.Client({ connectionString: db.url })
  await holder.connect()
  t.teardown(() => holder.end())
  await holder.query('begin')
  await holder.query('select from otp_session where user_id = $1 and id = $2 for update', [userId(dan), idle.at(-1)])
  expect(200, await first!.verify())
  await holder.query('rollback')
  t.equal((await verified(dan)).length, MOST + 1)
  t.equal((await first!.request('GET', '/session?required')).statusCode, 200)
  expect(200, await second!.verify())
  t.equal((await verified(dan)).length, MOST)
})

t.test('a session that has ended takes no place, and a user with the same ids loses none', async (t) => {
  const eve = await (await signUp(app, 'eve')).enrol()
  const idle = await more(eve, MOST + 49)
  await db.query("update otp_session set ended_at = now(), end_reason = 'logged_out' where user_id = $1 and id = any($2)",
    [userId(eve), idle.slice(0, 50)])
  const [session] = await sessionsOf(eve, 1)
  const twin = await twinOf(db.query, userId(eve))
  const before = await rowsOf(db.query, twin)
  expect(200, await session!.verify())
  t.equal((await verified(eve)).length, MOST)
  t.same(await evictions(eve), [idle.at(-1)])
  t.same(await rowsOf(db.query, twin), before)
})

t.test('a session that ends while it would be evicted keeps the reason of its end', async (t) => {
  const fay = await (await signUp(app, 'fay')).enrol()
  const idle = await more(fay, MOST - 1)
  const [session] = await sessionsOf(fay, 1)
  const other = new pg.Client({ connectionString: db.url })
  await other.connect()
  t.teardown(() => other.end())
  await other.query('begin')
  await other.query("update otp_session set ended_at = now(), end_reason = 'logged_out' where user_id = $1 and id = $2",
    [userId(fay), idle.at(-1)])
  const verification = session!.verify()
  await until('the eviction to wait', async () => await countLockWaits(db.query) === 1)
  await other.query('commit')
  expect(200, await verification)
  t.same(await evictions(fay), [])
  t.same(await db.query('select end_reason from otp_session where user_id = $1 and id = $2', [userId(fay), idle.at(-1)]),
    [{ end_reason: 'logged_out' }])
})
