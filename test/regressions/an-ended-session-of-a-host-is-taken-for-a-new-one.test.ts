import pg from 'pg'
import t from 'tap'
import { insideOf } from '../../src/attach/inside.js'
import { outcome, countOutcomes } from '../helpers/answers.js'
import { freshHost } from '../helpers/app.js'
import { secretOf, stepAt, totp } from '../helpers/authenticator.js'
import { cleanUp } from '../helpers/cleanup.js'
import { askHost, fromHeaders, type Asker } from '../helpers/header-host.js'
import { countLockWaits } from '../helpers/lock-waits.js'
import { need } from '../helpers/need.js'
import { until } from '../helpers/wait.js'

/*
 * The row of an ended session was deleted after a week. Presented again, the session counted as new: it was let in, its proof
 * was dated at that request, and it could set up a device.
 */

await need('postgres')
const { db, clock, anotherHost } = await freshHost(t)
const app = await anotherHost(fromHeaders)
const replica = await anotherHost(fromHeaders)
const nowSeconds = async () => Math.floor((await clock.now()).getTime() / 1000)
const DAY = 86_400

/** Deletes every row that is old enough. */
async function cleanUpAll (endedSessionDays?: number): Promise<void> {
  while ((await cleanUp(insideOf(app).db, 400, endedSessionDays)).isMore);
}

async function enrolled (asker: Asker): Promise<{ session: string, code: () => Promise<string>, recoveryCodes: string[] }> {
  const created = await askHost(app, asker, 'POST', '/totp/create', {})
  const { otpUrl, recoveryCodes } = created.json<{ otpUrl: string, recoveryCodes: string[] }>()
  const secret = secretOf(otpUrl)
  const code = async () => {
    await clock.advance(30)
    return totp(secret, stepAt(await clock.now()))
  }
  const { session } = (await askHost(app, asker, 'POST', '/totp/login', { token: await code() })).json<{ session: string }>()
  return { session, code, recoveryCodes }
}

/** [reason of the end, function that ends sessions and returns their ids] */
const ways: ReadonlyArray<readonly [string, (user: string, at: number) => Promise<string[]>]> = [
  ['reset', async (user, at) => {
    await askHost(app, { user, session: 'a', at }, 'GET', '/session')
    await app.countersign.reset(user, { actorId: 'support', reason: 'lost' })
    return ['a']
  }],
  ['another session sets up a device', async (user, at) => {
    await askHost(app, { user, session: 'other', at }, 'GET', '/session')
    await enrolled({ user, session: 'a', at })
    return ['other', 'a']
  }],
  ['a code', async (user, at) => {
    const { code } = await enrolled({ user, session: 'a', at })
    await askHost(app, { user, session: 'b', at }, 'POST', '/totp/login', { token: await code() })
    return ['a', 'b']
  }],
  ['a recovery code', async (user, at) => {
    const { recoveryCodes } = await enrolled({ user, session: 'a', at })
    await askHost(app, { user, session: 'c', at }, 'GET', '/session')
    await askHost(app, { user, session: 'b', at }, 'POST', '/totp/recovery_code/login', { token: recoveryCodes[0]! })
    return ['b', 'c']
  }],
  ['new recovery codes', async (user, at) => {
    const { session } = await enrolled({ user, session: 'a', at })
    await askHost(app, { user, session: 'b', at }, 'GET', '/session')
    await askHost(app, { user, session, at }, 'POST', '/totp/recovery_code/create')
    return ['b']
  }],
  ['switching the second factor off', async (user, at) => {
    const { session } = await enrolled({ user, session: 'a', at })
    await askHost(app, { user, session: 'b', at }, 'GET', '/session')
    await askHost(app, { user, session, at }, 'DELETE', '/totp/delete')
    return ['b', session]
  }],
  ['too many wrong codes', async (user, at) => {
    const { session, code } = await enrolled({ user, session: 'a', at })
    const right = Number(await code())
    for (let i = 1; i <= 5; i++) {
      await askHost(app, { user, session, at }, 'POST', '/totp/login', { token: String((right + i * 10_007) % 1_000_000).padStart(6, '0') })
    }
    return [session]
  }]
]

t.test('J5 a session that ended for any reason is refused by every route at every replica after its row was deleted', async (t) => {
  const at = await nowSeconds()
  const ended: Array<[way: string, user: string, id: string]> = []
  for (const [i, [way, end]] of ways.entries()) {
    for (const id of await end(`user ${i}`, at)) ended.push([way, `user ${i}`, id])
  }
  await clock.advance(8 * DAY)
  await cleanUpAll()
  // A replica with an empty local cache: a process that saw a session end refuses it for some minutes anyway.
  const third = await anotherHost(fromHeaders)
  await insideOf(third).sessions.poll()
  for (const [way, user, id] of ended) {
    t.same(await db.query('select from otp_session where user_id = $1 and id = $2', [user, id]), [], `${way}: the row of ${id} is deleted`)
    for (const host of [third, app]) {
      for (const proof of [at, await nowSeconds(), null]) {
        const asker = { user, session: id, at: proof }
        for (const [method, path, body] of [
          ['GET', '/session'], ['GET', '/session?maxAge=60'], ['POST', '/totp/create', {}], ['POST', '/totp/login', { token: '123456' }]
        ] as const) {
          t.equal(outcome(await askHost(host, asker, method, path, body)), '401 SESSION_ENDED', `${way}: ${id} ${path}`)
        }
      }
    }
  }
  t.equal(
    outcome(await askHost(app, { user: 'user 0', session: 'new', at: await nowSeconds() }, 'GET', '/session')),
    '200',
    'another session of the user begins'
  )
  t.equal(outcome(await askHost(app, { user: 'stranger', session: 'a', at }, 'GET', '/session')), '200', 'ids are unique for one user')
})

t.test('J5 fifty requests at once at two replicas while the row is being deleted: none is let in', async (t) => {
  const at = await nowSeconds()
  const asker = { user: 'fifty', session: 'a', at }
  await askHost(app, asker, 'GET', '/session')
  await app.countersign.reset('fifty', { actorId: 'support', reason: 'lost' })
  await clock.advance(8 * DAY)
  const fresh = [await anotherHost(fromHeaders), await anotherHost(fromHeaders)]
  const [answers] = await Promise.all([
    Promise.all(Array.from({ length: 50 }, (_, i) => askHost(fresh[i % 2]!, asker, 'GET', '/session'))),
    cleanUpAll()
  ])
  t.same(countOutcomes(answers), { '401 SESSION_ENDED': 50 })
  // A row that a request holds at that moment waits for the next round of the cleanup.
  await cleanUpAll()
  t.same(await db.query("select id from otp_session where user_id = 'fifty'"), [])
})

t.test('J5 a request that waits for the deletion of the row is refused by the digest that replaces it', async (t) => {
  const at = await nowSeconds()
  const asker = { user: 'waiting', session: 'a', at }
  await askHost(app, asker, 'GET', '/session')
  await app.countersign.reset('waiting', { actorId: 'support', reason: 'lost' })
  await clock.advance(8 * DAY)
  const third = await anotherHost(fromHeaders)
  const cleaner = new pg.Client({ connectionString: db.url! })
  t.teardown(() => cleaner.end())
  await cleaner.connect()
  // As the cleanup does, in one transaction.
  await cleaner.query('begin')
  await cleaner.query(`with removed as (delete from otp_session where user_id = 'waiting' returning user_id, id, ended_at)
    insert into otp_ended_session select user_id, sha256(convert_to(user_id || ':' || id, 'UTF8')), ended_at from removed`)
  const requester = askHost(third, asker, 'GET', '/session')
  await until('the request to wait', async () => await countLockWaits(db.query) > 0)
  await cleaner.query('commit')
  t.equal(outcome(await requester), '401 SESSION_ENDED')
  t.same(await db.query("select from otp_session where user_id = 'waiting'"), [])
})

t.test('J5 a session replacement to an ended session is refused', async (t) => {
  const at = await nowSeconds()
  const moving = await anotherHost({ ...fromHeaders, complete: () => ({ sessionId: 'before', answer: {} }) })
  await askHost(app, { user: 'mover', session: 'before', at }, 'GET', '/session')
  await app.countersign.reset('mover', { actorId: 'support', reason: 'lost' })
  await clock.advance(8 * DAY)
  await cleanUpAll()
  const fresh = { user: 'mover', session: 'a', at: await nowSeconds() }
  const { otpUrl } = (await askHost(app, fresh, 'POST', '/totp/create', {})).json<{ otpUrl: string }>()
  const code = totp(secretOf(otpUrl), stepAt(await clock.now()))
  t.equal((await askHost(moving, fresh, 'POST', '/totp/login', { token: code })).statusCode, 500)
  await insideOf(replica).sessions.poll()
  for (const session of ['before', 'a']) {
    t.equal(outcome(await askHost(replica, { ...fresh, session }, 'GET', '/session')), '401 SESSION_ENDED')
  }
})

t.test('J5 digests are kept for `endedSessionDays`, and of hosts alone', async (t) => {
  const kept = async () => (await db.query<{ n: number }>('select count(*)::int as n from otp_ended_session'))[0]!.n
  t.ok(await kept() > 0)
  await clock.advance(30 * DAY)
  await cleanUpAll(60)
  t.ok(await kept() > 0)
  await clock.advance(60 * DAY)
  await cleanUpAll(60)
  t.equal(await kept(), 0)
})
