/** `GET /revocations`: the ends that other services follow. */
import { connect } from 'node:net'
import { promisify } from 'node:util'
import Fastify from 'fastify'
import t from 'tap'
import revocationsRoutes from '../../routes/revocations/index.js'
import { insideOf } from '../../src/attach/inside.js'
import type { Line } from '../../src/client/follower.js'
import { idDigest } from '../../src/core/claims.js'
import { markAll } from '../../src/sessions/marks.js'
import type { RevocationLog } from '../../src/sessions/published/log.js'
import { CLIENT_KEY, freshApp } from '../helpers/app.js'
import { call } from '../helpers/http-client.js'
import { need } from '../helpers/need.js'
import { expect, signUp, type Person } from '../helpers/person.js'
import { addressOf, linesOf, listOf, namedLine } from '../helpers/revocations.js'
import { startReplicas } from '../helpers/replicas.js'
import { until } from '../helpers/wait.js'

await need('postgres')
await need('redis-server')

async function loggedIn (person: Person): Promise<Person> {
  const other = person.elsewhere()
  expect(200, await other.login())
  return other
}

async function ended (person: Person): Promise<string> {
  const one = await loggedIn(person)
  expect(204, await one.request('POST', '/token/revoke'))
  return String(one.claims()['sid'])
}

/** Waits until the replica answers. */
const ready = (address: string) => until('a list', () => listOf(address).catch(() => undefined))

t.test('a key of CLIENT_KEYS opens it, and nothing else does', async (t) => {
  const { app } = await freshApp(t)
  const address = await addressOf(app)
  const ada = await loggedIn(await signUp(app, 'ada'))
  await ready(address)
  for (const access of [null, 'nonsense', ada.access, CLIENT_KEY.slice(1), `test:${CLIENT_KEY}`]) {
    const answer = await call(address, 'GET', '/revocations', { access })
    t.match({ status: answer.status, ...answer.json() }, { status: 401, code: 'TOKEN_INVALID' }, String(access))
  }
  const { app: without } = await freshApp(t, { CLIENT_KEYS: '' })
  t.equal((await call(await addressOf(without), 'GET', '/revocations', { access: CLIENT_KEY })).status, 404)
})

t.test('lines come all the time, and the answer ends after eight seconds', async (t) => {
  const { app } = await freshApp(t, { NETWORK_LIMITS: 'on', LIMIT_OTHER_PER_MINUTE: '1' })
  const address = await addressOf(app)
  await ready(address)
  const lines: Line[] = []
  const beganAtMs = performance.now()
  for await (const line of linesOf(address)) lines.push(line)
  const tookMs = performance.now() - beganAtMs
  t.ok(tookMs > 7_500 && tookMs < 9_000, `${tookMs}`)
  const gaps = lines.slice(1).map(({ ms }, i) => ms - lines[i]!.ms).sort((a, b) => a - b)
  t.ok(gaps[Math.floor(gaps.length * 0.9)]! < 250, `${gaps.join(' ')}`)
  for (const { ms, age, time, keep, full, more, marks } of lines) {
    t.ok(ms >= 0 && ms < tookMs && age >= 0 && age <= 1_100)
    t.ok(Math.abs(time - Date.now()) < 20_000)
    t.same({ keep, full, more, marks }, { keep: 360, full: true, more: false, marks: [] })
  }
  const authorization = { authorization: `Bearer ${CLIENT_KEY}` }
  t.equal((await fetch(`${address}/revocations`, { method: 'HEAD', headers: authorization })).status, 404)
  const { status, headers } = await fetch(`${address}/revocations`, { headers: authorization })
  t.match([status, headers.get('cache-control'), headers.get('content-type')], [200, 'no-store', /^application\/x-ndjson/])
})

t.test('an end is named by every replica, and a cursor continues at each of them', async (t) => {
  const { replicas: [first, second], db, another } = await startReplicas(t, 2)
  const [one, two] = [await addressOf(first!.app), await addressOf(second!.app)]
  const ada = await signUp(first!.app, 'ada')
  const early = await ended(ada)
  await namedLine(two, early)
  const { last } = await listOf(one)

  const late = await ended(ada)
  const line = await namedLine(two, late, last.cursor)
  t.equal(line.full, false)
  t.notOk(line.ids.includes(idDigest(early)))
  for (const foreign of ['', 'nonsense', `${'A'.repeat(16)}.5`, last.cursor.replace(/^./, (c) => c === 'a' ? 'b' : 'a')]) {
    const { ids, last } = await listOf(two, foreign)
    t.ok(last.full, foreign)
    t.ok(ids.includes(idDigest(early)) && ids.includes(idDigest(late)))
  }

  const third = await addressOf((await another()).app)
  await ready(third)
  const { ids } = await listOf(third)
  t.ok(ids.includes(idDigest(early)) && ids.includes(idDigest(late)), 'a replica that starts knows earlier ends')
  t.notOk((await listOf(third, last.cursor)).last.full)

  await db.clock.advance(400)
  const recent = await ended(ada)
  const fourth = await addressOf((await another()).app)
  await ready(fourth)
  const kept = await listOf(fourth)
  t.ok(kept.ids.includes(idDigest(recent)))
  t.notOk(kept.ids.includes(idDigest(early)), 'no access token of it lives')
})

t.test('more ends than one reading names are listed all the same', async (t) => {
  const { app, db } = await freshApp(t)
  const address = await addressOf(app)
  await ready(address)
  const { last } = await listOf(address)
  await db.query(`insert into otp_session (user_id, id, started_at, expires_at, auth_at, amr, otp_required, rotated_at, ip, agent,
    ended_at, ended_xid, end_reason) select 'ada', 'one ' || i, now(), now() + '1 day', now(), '{pwd}', false, now(), '', '',
    clock_timestamp(), pg_current_xact_id(), 'revoked' from generate_series(1, 25000) i`)
  const ids = await until('all of them', async () => {
    const found = await listOf(address, last.cursor).catch(() => undefined)
    return found !== undefined && found.ids.length >= 25_000 ? found.ids : undefined
  })
  t.same(new Set(ids), new Set(Array.from({ length: 25_000 }, (_, i) => idDigest(`one ${i + 1}`))))

  const lines = await until('the list in one answer', async () => {
    const found: Line[] = []
    await (async () => {
      for await (const line of linesOf(address)) if (found.push(line) > 0 && !line.more) break
    })().catch(() => {})
    return found.at(-1)?.more === false ? found : undefined
  })
  t.ok(lines.length >= 3)
  t.ok(lines.slice(1).every(({ ms }, i) => ms > lines[i]!.ms), 'other requests are answered between two lines of a long list')
})

t.test('the mark that ends all sessions is in each line', async (t) => {
  const { app } = await freshApp(t)
  const address = await addressOf(app)
  await ready(address)
  const { endedBefore } = await markAll(insideOf(app).db)
  const marked = await until('the mark', async () => {
    const { last: { marks } } = await listOf(address)
    return marks.length > 0 ? marks : undefined
  })
  t.same(marked, [{ before: endedBefore * 1000 }])
  t.ok(endedBefore * 1000 > Date.now() - 60_000)
})

t.test('a replica without a current reading answers 503', async (t) => {
  const { replicas: [replica] } = await startReplicas(t, 1)
  const address = await addressOf(replica!.app)
  await ready(address)
  const lines = linesOf(address)
  await lines.next()
  await replica!.postgres.cut()
  let rest = 0
  for await (const { age } of lines) {
    rest++
    t.ok(age <= 1_100)
  }
  t.ok(rest < 20, 'the answer ends')
  const answer = await call(address, 'GET', '/revocations', { access: CLIENT_KEY })
  t.match({ status: answer.status, ...answer.json() }, { status: 503, code: 'UNAVAILABLE', retryAfterSeconds: 1 })
})

t.test('answers end at once when the process is told to end; new ones end with the process', async (t) => {
  const { app } = await freshApp(t)
  const address = await addressOf(app)
  await ready(address)
  const lines = linesOf(address)
  const { value: first } = await lines.next() as { value: Line }
  const beganAtMs = performance.now()
  const closed = app.close()
  for await (const { ms } of lines) t.ok(ms < 8_000)
  t.ok(performance.now() - beganAtMs < 1_500)
  let last = first
  for await (const line of linesOf(address, first.cursor)) last = line
  t.ok(last !== first && last.ms < 4_000, 'while it still serves, it names ends')
  await closed
})

t.test('a client that does not read is cut off after its answer', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.decorate('isLeaving', () => false)
  app.decorate('onLeaving', () => {})
  const page = { ids: Buffer.from(`"${'A'.repeat(4 << 20)}"`), marks: Buffer.alloc(0), next: 1, hasMore: true }
  const log: RevocationLog = {
    state: () => ({ askedAtMs: performance.now(), cursor: 'c', endedBefore: null }),
    positionAfter: () => ({ position: 0, isFull: true }),
    read: () => page,
    follow: () => () => {},
    size: () => 1
  }
  let count = () => 0
  const keys = [{ kid: 'one', bytes: Buffer.from(CLIENT_KEY, 'base64url') }]
  await app.register(revocationsRoutes, {
    prefix: '/revocations', log, keys, isFresh: () => true, nowSeconds: () => 0, keepSeconds: 360, onStart: (clients) => { count = clients }
  })
  const { port } = new URL(await app.listen({ port: 0, host: '127.0.0.1' }))
  const socket = connect(Number(port), '127.0.0.1')
  t.teardown(() => socket.destroy())
  socket.write(`GET /revocations HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${CLIENT_KEY}\r\n\r\n`)
  await until('its answer to begin', () => count() === 1)
  const connections = async () => await promisify(app.server.getConnections.bind(app.server))()
  await until('its answer to end', () => count() === 0)
  await until('its connection to be closed', async () => await connections() === 0)
})
