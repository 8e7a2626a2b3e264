import t from 'tap'
import { countOutcomes } from '../helpers/answers.js'
import { freshApp, type App } from '../helpers/app.js'
import { emptied } from '../helpers/emptied.js'
import { need } from '../helpers/need.js'
import { opened } from '../helpers/jws.js'
import { expect, signUp, type Person } from '../helpers/person.js'
import { withPhones } from '../helpers/phones.js'
import { freshDatabase } from '../helpers/database.js'
import { targetOf, tcpProxy } from '../helpers/tcp-proxy.js'
import { until } from '../helpers/wait.js'

await need('postgres')

const shared = await freshApp(t, { TRUSTED_PROXIES: '127.0.0.1' })
const replicas = [shared.app, await shared.another()] as const

const refresh = async (app: App, token: string, from = '198.51.100.1') =>
  await app.inject({ method: 'POST', url: '/token/refresh', headers: { 'x-forwarded-for': from }, payload: { refresh: token } })
const session = async (app: App, token: string) => await app.inject({ url: '/session', headers: { authorization: `Bearer ${token}` } })
interface Pair { access: string, refresh: string }
/** Default of REFRESH_SECONDS. */
const DAY = 86_400
const generation = 'select generation, ended_at is null as alive, end_reason from otp_session'

t.test('J6 fifty refreshes at once over two replicas: one child, the same for all', async (t) => {
  const { app, another, db } = await emptied(shared)
  const ada = await signUp(app)
  expect(200, await ada.login())
  const parent = ada.refresh!
  for (const round of [1, 2]) {
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => refresh(replicas[i % 2 as 0 | 1], ada.refresh!)))
    t.same(countOutcomes(answers), { 200: 50 })
    t.equal(new Set(answers.map(({ body }) => body)).size, 1)
    t.same(await db.query(generation), [{ generation: round, alive: true, end_reason: null }])
    Object.assign(ada, answers[0]!.json())
    for (const replica of replicas) t.equal((await session(replica, ada.access!)).statusCode, 200)
  }

  t.same(
    countOutcomes(await Promise.all(Array.from({ length: 50 }, (_, i) => refresh(replicas[i % 2 as 0 | 1], parent)))),
    { '401 SESSION_ENDED': 50 },
    'the grandparent'
  )
  t.same(await db.query(generation), [{ generation: 2, alive: false, end_reason: 'refresh_reused' }])
  t.same(await db.query("select count(*)::int as n from otp_event where kind = 'refresh_reused'"), [{ n: 1 }])
  for (const replica of replicas) {
    await until('the replica to know', async () => (await session(replica, ada.access!)).statusCode === 401, 1_500)
    t.match((await refresh(replica, ada.refresh!)).json(), { code: 'SESSION_ENDED' }, 'the newest token died with it')
  }
  const later = await another()
  t.equal((await session(later, ada.access!)).statusCode, 401, 'a replica that starts now knows too')
})

t.test('J6 a token that is newer than its session, after a failover that lost commits, is counted by itself', async (t) => {
  const { app, db } = await emptied(shared)
  const ada = await signUp(app)
  expect(200, await ada.login())
  for (let i = 0; i < 3; i++) expect(200, await ada.refreshTokens())
  await db.query('update otp_session set generation = 1')
  const count = async (outcome: string) =>
    Number(new RegExp(`refreshes_total\\{outcome="${outcome}"\\} (\\d+)`).exec((await app.inject('/metrics')).body)?.[1] ?? 0)
  const before = [await count('newer'), await count('reused')] as const
  t.match((await ada.refreshTokens()).json(), { code: 'SESSION_ENDED' })
  t.same([await count('newer'), await count('reused')], [before[0] + 1, before[1]])
})

t.test('J6 a token that was used ends its own session, and no other one of its user', async (t) => {
  const { app } = await emptied(shared)
  const ada = await signUp(app)
  const other = ada.elsewhere()
  for (const person of [ada, other]) expect(200, await person.login())
  const oldest = ada.refresh!
  for (const person of [ada, ada, other, other, other]) expect(200, await person.refreshTokens())
  t.equal((await refresh(app, oldest)).statusCode, 401)
  t.equal((await ada.refreshTokens()).statusCode, 401)
  t.equal((await other.refreshTokens()).statusCode, 200)
})

t.test('J6 parent and child at once: in any order, there are never two lines of tokens', async (t) => {
  const { app, db } = await emptied(shared)
  const ada = await signUp(app)
  for (let round = 0; round < 5; round++) {
    await db.query('delete from otp_session')
    expect(200, await ada.login())
    const parent = ada.refresh!
    expect(200, await ada.refreshTokens())
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) => refresh(replicas[((i >> 1) % 2) as 0 | 1], i % 2 === 0 ? parent : ada.refresh!))
    )
    const children = new Set(answers.filter(({ statusCode }) => statusCode === 200).map(({ body }) => body))
    t.ok(children.size <= 2, 'the child, and the child\'s child')
    t.ok(answers.every(({ statusCode }) => [200, 401].includes(statusCode)))
    const [row] = await db.query<{ generation: number, alive: boolean }>(generation)
    t.equal(row?.alive, false, 'the parent came after its child was used, at least once of 25 times')
    t.equal(row?.generation, 2)
  }
})

t.test('J6 the parent answers its child for as long as the session may idle, with an access token that lives', async (t) => {
  const { app, clock, db } = await emptied(shared)
  const ada = await signUp(app)
  await clock.freeze(new Date(Math.ceil((await clock.now()).getTime() / 1000) * 1000))
  for (const [seconds, status] of [[1, 200], [61, 200], [299, 200], [300, 200], [3600, 200], [DAY - 1, 200], [DAY, 401]] as const) {
    await db.query('delete from otp_session')
    expect(200, await ada.login())
    const parent = ada.refresh!
    const child = expect(200, await refresh(app, parent)).json<Pair>()
    await clock.advance(seconds)
    const answer = await refresh(app, parent)
    t.equal(answer.statusCode, status, `${seconds} s`)
    if (status !== 200) continue
    const again = answer.json<Pair>()
    t.equal(again.refresh, child.refresh, 'the same child')
    t.same((await refresh(app, parent)).json(), again)
    const { iat, exp } = opened(again.access).payload as { iat: number, exp: number }
    t.equal(exp - iat, 300, 'J3')
    t.ok(exp - (await clock.now()).getTime() / 1000 >= 150, 'with half of its life left')
    t.equal((await session(app, again.access)).statusCode, 200)
    t.same(await db.query(generation), [{ generation: 1, alive: true, end_reason: null }])
    t.equal((await refresh(app, again.refresh)).statusCode, 200)
    t.match((await refresh(app, parent)).json(), { code: 'SESSION_ENDED' }, 'its child was used')
  }
})

t.test('J6 a parent that has expired answers its child, as long as that may idle, and nothing else', async (t) => {
  const { app, clock, db } = await emptied(shared)
  const ada = await signUp(app)
  await clock.freeze(new Date(Math.ceil((await clock.now()).getTime() / 1000) * 1000))
  expect(200, await ada.login())
  const parent = ada.refresh!
  await clock.advance(DAY / 2)
  const child = expect(200, await refresh(app, parent)).json<Pair>()
  await clock.advance(DAY - 60)
  t.equal(expect(200, await refresh(app, parent)).json<Pair>().refresh, child.refresh)
  const grandchild = expect(200, await refresh(app, child.refresh)).json<Pair>()
  t.match(
    (await refresh(app, parent)).json(),
    { statusCode: 401, code: 'TOKEN_INVALID' },
    'its child was used: it is as good as any other that has expired'
  )
  t.match(await db.query(generation), [{ generation: 2, alive: true }], 'and ends nothing')
  await clock.advance(DAY)
  t.match((await refresh(app, child.refresh)).json(), { statusCode: 401, code: 'TOKEN_INVALID' })
  t.match((await refresh(app, grandchild.refresh)).json(), { statusCode: 401, code: 'TOKEN_INVALID' }, 'idle for a day')
})

t.test('J6 an expired token of an ended session has one answer, at the replica that ended it and at the others', async (t) => {
  const { clock } = await emptied(shared)
  const ada = await signUp(replicas[0])
  expect(200, await ada.login())
  const expired = ada.refresh!
  await clock.advance(DAY / 2)
  const child = expect(200, await refresh(replicas[0], expired)).json<Pair>()
  await clock.advance(DAY / 2 + 60)
  const newest = expect(200, await refresh(replicas[0], child.refresh)).json<Pair>()
  expect(204, await ada.request('POST', '/token/revoke', undefined, newest.access))
  for (const app of replicas) t.match((await refresh(app, expired)).json(), { statusCode: 401, code: 'TOKEN_INVALID' })
})

t.test('J6 a parent from another network leaves an event; in two generations one after the other it ends the session', async (t) => {
  const { app, db } = await emptied(shared)
  const [home, elsewhere] = ['198.51.100.1', '203.0.113.7']
  const kinds = async () =>
    (await db.query<{ kind: string }>("select kind from otp_event where kind like 'refresh%' order by at, id")).map(({ kind }) => kind)
  const ada = await signUp(app)
  const next = async (token: string, from: string) => expect(200, await refresh(app, token, from)).json<Pair>().refresh
  async function begun (): Promise<string> {
    await db.query('delete from otp_session')
    await db.query("delete from otp_event where kind like 'refresh%'")
    expect(200, await ada.login())
    return ada.refresh!
  }

  t.test('fifty at once, on two replicas: the same child, one event', async (t) => {
    const parent = await begun()
    const child = await next(parent, home)
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => refresh(replicas[i % 2 as 0 | 1], parent, elsewhere)))
    t.same(countOutcomes(answers), { 200: 50 })
    t.ok(answers.every((answer) => answer.json<Pair>().refresh === child))
    t.same(await kinds(), ['refresh_reused_elsewhere'])
    t.same(await db.query("select ip from otp_event where kind = 'refresh_reused_elsewhere'"), [{ ip: elsewhere }])
  })

  t.test('either of the two uses the child: the second time in a row ends the session for good', async (t) => {
    for (const [maker, other] of [[home, elsewhere], [elsewhere, home]] as const) {
      const parent = await begun()
      const child = await next(parent, home)
      t.equal(await next(parent, elsewhere), child)
      const grandchild = await next(child, maker)
      t.match((await refresh(app, child, other)).json(), { statusCode: 401, code: 'SESSION_ENDED' })
      t.same(await kinds(), ['refresh_reused_elsewhere', 'refresh_reused'])
      for (const token of [parent, child, grandchild]) t.match((await refresh(replicas[1], token, home)).json(), { code: 'SESSION_ENDED' })
      t.match(await db.query(generation), [{ alive: false, end_reason: 'refresh_reused' }])
    }
  })

  t.test('not in a row, in one network, or with the newest token: it goes on', async (t) => {
    let token = await begun()
    for (let round = 0; round < 4; round++) {
      const child = await next(token, home)
      t.equal(await next(token, round % 2 === 0 ? elsewhere : home), child, `generation ${round + 1}`)
      token = child
    }
    t.same(await kinds(), ['refresh_reused_elsewhere', 'refresh_reused_elsewhere'])
    for (const from of [elsewhere, home, '2001:db8::1', '2001:db8:0:1::1']) token = await next(token, from)
    const child = await next(token, '2001:db8:0:2::1')
    t.equal(await next(token, '2001:db8:0:2:ffff::9'), child, 'a network is a /64')
    t.equal((await kinds()).length, 2)
  })
})

t.test('J6 the grace is for rotations alone: every change of the password or the factors ends earlier tokens at once', async (t) => {
  const { app, clock } = await emptied(shared)
  const changes = {
    password: async (ada: Person) =>
      await ada.request('POST', '/account/password', { current: ada.password, next: 'a stapler, a horse, a battery' }),
    'another device': async (ada: Person, first: string) => await ada.request('DELETE', `/totp/devices/${first}`),
    'the verifying device': async (ada: Person) => await ada.request('DELETE', `/totp/devices/${String(ada.claims()['otp_device_id'])}`),
    'every factor': async (ada: Person) => await ada.request('DELETE', '/totp/delete'),
    'a further device': async (ada: Person) => {
      expect(201, await ada.create({ name: 'Third' }))
      return await ada.request('POST', '/totp/login', { token: await ada.nextCode() })
    }
  }
  for (const [name, change] of Object.entries(changes)) {
    const { person: ada, phones } = await withPhones(app, name.replaceAll(' ', '-'), 2)
    const tab = ada.elsewhere()
    Object.assign(tab, { access: ada.access, refresh: ada.refresh })
    expect(200, await ada.refreshTokens())
    const before = [tab.access, tab.refresh, ada.access, ada.refresh]
    const pair = expect(200, await change(ada, phones[0]!.id)).json<Pair>()
    for (const replica of replicas) {
      await until('the replica to know', async () => (await session(replica, before[0]!)).statusCode === 401, 1_500)
      for (const token of before) {
        const [asked, refreshed] = [await session(replica, token!), await refresh(replica, token!)]
        t.same([asked.statusCode, refreshed.statusCode], [401, 401], name)
      }
    }
    t.not(opened(pair.access).payload['sid'], opened(before[0]!).payload['sid'], `${name}: a new session`)
    await clock.advance(5)
    const next = expect(200, await refresh(app, pair.refresh)).json<Pair>()
    for (const token of [pair.access, pair.refresh, next.access, next.refresh]) {
      const left = (opened(token).payload as { otp_device_id: string | null }).otp_device_id
      t.ok(
        left === null || name === 'a further device' || name === 'password' || left === phones[1]!.id,
        `${name}: no token names a removed device`
      )
    }
  }
})

t.test('J6 the answer is lost and PostgreSQL is down: 503, and no session ends', async (t) => {
  const db = await freshDatabase(t)
  const proxy = await tcpProxy(t, targetOf(db.url))
  const { app } = await freshApp(t, { DATABASE_URL: proxy.url(db.url) }, { db })
  const ada = await signUp(app)
  expect(200, await ada.login())

  const hold = proxy.holdNext((bytes) => bytes.includes('rotated$row'))
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
