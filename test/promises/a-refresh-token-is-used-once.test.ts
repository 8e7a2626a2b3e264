import t from 'tap'
import { tally } from '../helpers/answers.js'
import { freshApp, type App } from '../helpers/app.js'
import { emptied } from '../helpers/emptied.js'
import { need } from '../helpers/need.js'
import { expect, signUp } from '../helpers/person.js'
import { freshDatabase } from '../helpers/database.js'
import { targetOf, tcpProxy } from '../helpers/tcp-proxy.js'
import { until } from '../helpers/wait.js'

await need('postgres')

const shared = await freshApp(t)
const replicas = [shared.app, await shared.another()] as const

const refresh = async (app: App, token: string) => await app.inject({ method: 'POST', url: '/token/refresh', payload: { refresh: token } })
const session = async (app: App, token: string) => await app.inject({ url: '/session', headers: { authorization: `Bearer ${token}` } })
const generation = 'select generation, ended_at is null as alive, end_reason from otp_session'

t.test('J6 fifty refreshes at once over two replicas: one child, the same for all', async (t) => {
  const { app, another, db } = await emptied(shared)
  const ada = await signUp(app)
  expect(200, await ada.login())
  const parent = ada.refresh!
  for (const round of [1, 2]) {
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => refresh(replicas[i % 2 as 0 | 1], ada.refresh!)))
    t.same(tally(answers), { 200: 50 })
    t.equal(new Set(answers.map(({ body }) => body)).size, 1)
    t.same(await db.query(generation), [{ generation: round, alive: true, end_reason: null }])
    Object.assign(ada, answers[0]!.json())
    for (const replica of replicas) t.equal((await session(replica, ada.access!)).statusCode, 200)
  }

  t.same(tally(await Promise.all(Array.from({ length: 50 }, (_, i) => refresh(replicas[i % 2 as 0 | 1], parent)))), { '401 SESSION_ENDED': 50 }, 'the grandparent, though within the minute')
  t.same(await db.query(generation), [{ generation: 2, alive: false, end_reason: 'refresh_reused' }])
  t.same(await db.query("select count(*)::int as n from otp_event where kind = 'refresh_reused'"), [{ n: 1 }])
  for (const replica of replicas) {
    await until('the replica to know', async () => (await session(replica, ada.access!)).statusCode === 401, 1_500)
    t.match((await refresh(replica, ada.refresh!)).json(), { code: 'SESSION_ENDED' }, 'the newest token died with it')
  }
  const later = await another()
  t.equal((await session(later, ada.access!)).statusCode, 401, 'a replica that starts now knows too')
})

t.test('J6 parent and child at once: whoever comes first, never two lines of tokens', async (t) => {
  const { app, db } = await emptied(shared)
  const ada = await signUp(app)
  for (let round = 0; round < 5; round++) {
    await db.query('delete from otp_session')
    expect(200, await ada.login())
    const parent = ada.refresh!
    expect(200, await ada.refreshTokens())
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => refresh(replicas[(i >> 1) % 2 as 0 | 1], i % 2 === 0 ? parent : ada.refresh!)))
    const children = new Set(answers.filter(({ statusCode }) => statusCode === 200).map(({ body }) => body))
    t.ok(children.size <= 2, 'the child, and the child\'s child')
    t.ok(answers.every(({ statusCode }) => [200, 401].includes(statusCode)))
    const [row] = await db.query<{ generation: number, alive: boolean }>(generation)
    t.equal(row?.alive, false, 'the parent came after its child was used, at least once of 25 times')
    t.equal(row?.generation, 2)
  }
})

t.test('J6 the parent answers its child for sixty seconds, by the database\'s clock', async (t) => {
  const { app, clock, db } = await emptied(shared)
  const ada = await signUp(app)
  await clock.freeze()
  for (const [seconds, status] of [[59, 200], [60, 401], [3600, 401]] as const) {
    await db.query('delete from otp_session')
    expect(200, await ada.login())
    const parent = ada.refresh!
    const child = expect(200, await ada.refreshTokens()).json<object>()
    await clock.advance(seconds)
    const answer = await refresh(app, parent)
    t.equal(answer.statusCode, status, `${seconds} s`)
    if (status === 200) t.same(answer.json(), child)
    t.equal((await refresh(app, ada.refresh!)).statusCode, status, 'and with it the child')
  }
})

t.test('J6 the answer is lost and Postgres is gone: 503, and nobody is logged out', async (t) => {
  const db = await freshDatabase(t)
  const proxy = await tcpProxy(t, targetOf(db.url))
  const { app } = await freshApp(t, { DATABASE_URL: proxy.url(db.url) }, { db })
  const ada = await signUp(app)
  expect(200, await ada.login())

  const hold = proxy.holdNext((bytes) => bytes.includes('issuedAt'))
  const asked = refresh(app, ada.refresh!)
  await hold.held
  t.match(await db.query(generation), [{ generation: 1, alive: true }], 'it is committed')
  await proxy.cut()
  const lost = await asked
  t.match([lost.statusCode, lost.json()], [503, { code: 'UNAVAILABLE' }])
  t.ok(Number(lost.headers['retry-after']) <= 2)
  for (let i = 0; i < 3; i++) t.equal((await refresh(app, ada.refresh!)).statusCode, 503, 'never 401 while Postgres is away')

  await proxy.restore()
  const answer = await until('Postgres to be back', async () => {
    const again = await refresh(app, ada.refresh!)
    if (again.statusCode === 401) throw new Error('logged out')
    return again.statusCode === 200 ? again : null
  }, 3_000)
  Object.assign(ada, answer.json())
  t.match(await db.query(generation), [{ generation: 1, alive: true }], 'the same child')
  t.equal((await session(app, ada.access!)).statusCode, 200)
  t.equal((await ada.refreshTokens()).statusCode, 200)
})
