/** `countersign/client` beside a service whose answers the test writes. */
import t, { type Test } from 'tap'
import { createClient, refusalAnswer, type Client, type ClientOptions } from '../../src/client/index.js'
import { idDigest } from '../../src/core/claims.js'
import { fakeService, type FakeService } from '../helpers/fake-service.js'
import { until } from '../helpers/wait.js'

async function followed (t: Test, options: Partial<ClientOptions> = {}): Promise<{ fake: FakeService, client: Client }> {
  const fake = await fakeService(t)
  const client = createClient({ url: fake.url, key: fake.key, onStale: 'refuse', ...options })
  t.teardown(() => client.close())
  return { fake, client }
}

const outcome = (client: Client, token: string | undefined, demand?: object) =>
  client.verify(token, demand).then(() => 'accepted', (error: { code?: string }) => error.code ?? String(error))

t.test('options that cannot work are refused', async (t) => {
  const options = { url: 'http://127.0.0.1:1', key: 'k', onStale: 'refuse' } as const
  for (const wrong of [{ url: 'countersign:3000' }, { key: 'name:key' }, { key: '' }, { onStale: 'accept' as never }]) {
    t.throws(() => createClient({ ...options, ...wrong }), { name: 'TypeError' })
  }
})

t.test('only access tokens of the service pass', async (t) => {
  const { fake, client } = await followed(t)
  await client.ready()
  const good = fake.token()
  const [head, body, signature] = good.split('.')
  t.equal(await outcome(client, good), 'accepted')
  t.equal(await outcome(client, good), 'accepted', 'from the cache')
  const now = Math.floor(Date.now() / 1000)
  const wrong: Array<string | undefined> = [
    undefined, '', 'nonsense', `${head}.${body}`, `${head}.${body}.`, `${good}.x`,
    `${head}.${Buffer.from('{}').toString('base64url')}.${signature}`, `${head}.${body}.${'A'.repeat(86)}`,
    fake.token({}, { typ: 'rt+jwt' }), fake.token({}, { typ: 'JWT' }), fake.token({}, { alg: 'none' }), fake.token({}, { alg: 'HS256' }),
    fake.token({}, { crit: ['b64'] }), fake.token({}, { jwk: {} }), fake.token({}, { kid: 'unknown' }), fake.token({}, { kid: 1 }),
    fake.token({ token_type: 'refresh' }), fake.token({ iss: 'other' }), fake.token({ aud: 'other' }), fake.token({ aud: ['countersign'] }),
    fake.token({ sid: '' }), fake.token({ sub: 7 }), fake.token({ otp_required: 'no' }), fake.token({ otp_device_id: undefined }),
    fake.token({ exp: now - 1 }), fake.token({ exp: String(now + 60) }), fake.token({ iat: now + 120 }), fake.token({ iat: now - 361 })
  ]
  for (const [i, token] of wrong.entries()) t.equal(await outcome(client, token), 'TOKEN_INVALID', `${i}`)
  await t.rejects(client.verify(good, { requierd: true } as never), { name: 'TypeError' })
  const claims = await client.verify(good) as { sub: string }
  t.throws(() => { claims.sub = 'root' }, { name: 'TypeError' }, 'what the cache holds cannot be changed')
})

t.test('demands are those of the guard', async (t) => {
  const { fake, client } = await followed(t)
  await client.ready()
  const now = Math.floor(Date.now() / 1000)
  const verified = { otp_required: true, otp_device_id: 'd', otp_time: now - 100 }
  const passkey = { ...verified, phr_time: now - 100, acr: 'phr' }
  for (const [claims, demand, expected] of [
    [{}, {}, 'accepted'], [{}, { required: true }, 'OTP_REQUIRED'], [{}, { phishingResistant: true }, 'OTP_REQUIRED'],
    [{ auth_time: now - 100 }, { maxAge: 60 }, 'OTP_STALE'], [{ auth_time: now - 100 }, { maxAge: 200 }, 'accepted'],
    [{ otp_required: true }, {}, 'OTP_REQUIRED'], [verified, { required: true }, 'accepted'], [verified, { maxAge: 60 }, 'OTP_STALE'],
    [verified, { phishingResistant: true }, 'PHISHING_RESISTANT_REQUIRED'], [passkey, { phishingResistant: true }, 'accepted'],
    [passkey, { phishingResistant: true, maxAge: 60 }, 'PHISHING_RESISTANT_REQUIRED']
  ] as const) t.equal(await outcome(client, fake.token(claims), demand), expected, JSON.stringify([claims, demand]))
  const stale = await client.verify(fake.token(verified), { maxAge: 60 }).catch((error: unknown) => error)
  t.match(refusalAnswer(stale), {
    status: 403,
    headers: { 'www-authenticate': 'Bearer error="insufficient_user_authentication", max_age="60"', 'x-refusal': 'OTP_STALE' },
    body: { statusCode: 403, code: 'OTP_STALE', error: 'Forbidden', message: String, maxAgeSeconds: 60 }
  })
  t.equal(refusalAnswer(new Error('another')), undefined)
})

t.test('ends and marks count, and a list counts only when it is complete', async (t) => {
  const { fake, client } = await followed(t)
  fake.line = { more: true }
  const token = fake.token({ sid: 'one' })
  await until('a line', () => fake.asked.length > 1)
  t.equal(await outcome(client, token), 'UNAVAILABLE')
  fake.line = {}
  await client.ready()
  t.equal(await outcome(client, token), 'accepted')
  fake.ended.push('one')
  await until('the end', async () => await outcome(client, token) === 'SESSION_ENDED')
  fake.ended.length = 0
  const now = Math.floor(Date.now() / 1000)
  const [old, recent] = [fake.token({ auth_time: now - 10 }), fake.token({ auth_time: now })]
  fake.line = { marks: [{ user: idDigest('ada'), before: now * 1000 }, { user: idDigest('bob'), before: (now + 9) * 1000 }] }
  await until('the mark', async () => await outcome(client, old) === 'SESSION_ENDED')
  t.equal(await outcome(client, recent), 'accepted')
  t.equal(await outcome(client, token), 'SESSION_ENDED', 'an end stays')
  fake.line = { marks: [{ user: idDigest('ada'), before: (now - 100) * 1000, of: 'a later release' }] }
  const [two, three] = [fake.token({ sid: 'two' }), fake.token({ sid: 'three' })]
  fake.ended.push('two')
  await until('a line with the earlier mark', async () => await outcome(client, two) === 'SESSION_ENDED')
  fake.line = {}
  fake.ended.push('three')
  await until('a line without marks', async () => await outcome(client, three) === 'SESSION_ENDED')
  fake.ended.length = 0
  t.equal(await outcome(client, old), 'SESSION_ENDED', 'a mark stays, and an earlier one does not replace it')
  fake.line = { marks: [{ before: (now + 1) * 1000 }] }
  await until('the mark of all', async () => await outcome(client, recent) === 'SESSION_ENDED')
})

t.test("times are those of the service's database, also where this machine's clock is wrong", async (t) => {
  for (const aheadSeconds of [-7_200, 7_200]) {
    const { fake, client } = await followed(t)
    fake.aheadSeconds = aheadSeconds
    await client.ready()
    t.equal(await outcome(client, fake.token()), 'accepted')
    const local = Math.floor(Date.now() / 1000)
    t.equal(await outcome(client, fake.token({ iat: local, exp: local + 300 })), 'TOKEN_INVALID')
  }
})

t.test('a restart of the service is a pause', async (t) => {
  const { fake, client } = await followed(t)
  await client.ready()
  const token = fake.token()
  t.equal(await outcome(client, token), 'accepted')
  await fake.stop()
  await until('staleness', async () => await outcome(client, token) === 'UNAVAILABLE')
  t.ok(client.state().ageMs > 1_000 && !client.state().isFresh)
  fake.ended.push(String(JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()).sid))
  await fake.start()
  await until('the client to be back', async () => await outcome(client, token) === 'SESSION_ENDED')
})

t.test('keys: a new one is read when a token names it, a removed one verifies nothing, known ones stay in an outage', async (t) => {
  const { fake, client } = await followed(t)
  await client.ready()
  const old = fake.token()
  t.equal(await outcome(client, old), 'accepted')
  fake.jwks.kids.push('two')
  await until('the new key', async () => await outcome(client, fake.token({}, { kid: 'two' })) === 'accepted')
  t.equal(await outcome(client, old), 'accepted')
  fake.jwks.status = 500
  const reads = () => fake.asked.filter(([path]) => path.startsWith('/.well-known')).length
  const before = reads()
  await Promise.all(Array.from({ length: 50 }, (_, i) => outcome(client, fake.token({}, { kid: `unknown ${i}` }))))
  t.ok(reads() - before <= 1, 'unknown keys cause one reading in a while')
  t.equal(await outcome(client, fake.token()), 'accepted')
  fake.jwks = { status: 200, kids: ['two'] }
  await client.ready()
  t.equal(await outcome(client, old), 'TOKEN_INVALID', 'not from the cache either')
})

t.test('ready() says why it cannot be', async (t) => {
  const { fake, client } = await followed(t)
  fake.jwks.kids = []
  await t.rejects(client.ready(), /HS256/)
  t.equal(await outcome(client, fake.token()), 'UNAVAILABLE')
  const { client: other } = await followed(t, { key: 'another' })
  await t.rejects(other.ready(), { name: 'NotServed', status: 401 })
  const { fake: older, client: third } = await followed(t)
  older.status = 404
  await t.rejects(third.ready(), { name: 'NotServed', status: 404 }, 'a service without the operation')
})

t.test('lines of a newer service are read, lines that cannot be read count for nothing', async (t) => {
  const { fake, client } = await followed(t)
  fake.line = { 'of-a-later-release': [1], marks: undefined }
  await client.ready()
  t.equal(await outcome(client, fake.token()), 'accepted')
  fake.line = { age: 'unknown' }
  await until('staleness', async () => await outcome(client, fake.token()) === 'UNAVAILABLE')
  fake.line = { keep: 60 }
  await until('the list for another lifetime of tokens', async () => await outcome(client, fake.token()) === 'accepted')
  t.equal(await outcome(client, fake.token({ iat: Math.floor(Date.now() / 1000) - 61 })), 'TOKEN_INVALID')
})

t.test('ask() passes the question and the refusal on', async (t) => {
  const { fake, client } = await followed(t)
  const request = {
    headers: { authorization: 'Bearer a.b.c', 'x-forwarded-for': '192.0.2.7' }, socket: { remoteAddress: '10.0.0.9' }
  }
  t.match(await client.ask(request, { required: true, maxAge: 60, phishingResistant: true }), { userId: 'ada' })
  t.same(fake.asked.at(-1), ['/session?required&maxAge=60&phishingResistant', '192.0.2.7, 10.0.0.9'])
  t.match(await client.ask(new Request('http://x/', { headers: { authorization: 'Bearer a.b.c' } })), { sessionId: 's' })
  t.same(fake.asked.at(-1), ['/session', undefined])

  const ask = () => client.ask(request).then(() => undefined, refusalAnswer)
  const headers = { 'www-authenticate': 'Bearer error="new"', 'retry-after': '9', 'x-refusal': 'OF_A_LATER_RELEASE' }
  const body = { statusCode: 403, code: 'OF_A_LATER_RELEASE', message: 'New.', more: 1 }
  fake.session = { status: 403, headers, body }
  t.match(await ask(), { status: 403, headers, body })
  for (const [status, text] of [[500, {}], [404, {}], [302, {}], [200, {}], [401, 'x' as unknown as object]] as const) {
    fake.session = { status, headers: {}, body: text }
    const answer = await ask()
    t.equal(answer?.status, status === 401 ? 401 : 503, `${status}`)
  }
  for (const code of ['__proto__', 'toString', 7, null]) {
    fake.session = { status: 401, headers: {}, body: { code, methods: { length: 0 } } }
    t.equal((await ask())?.status, 401, `a proxy's own ${code}`)
  }
  const ofProxies = [
    {}, { message: 'Forbidden' }, { code: 'OTP_REQUIRED' }, { statusCode: 403, code: 1020 }, { statusCode: 403, code: 'waf' }
  ]
  for (const body of ofProxies) {
    for (const status of [400, 403]) {
      fake.session = { status, headers: {}, body }
      t.match(await ask(), { status: 503, body: { code: 'UNAVAILABLE' } }, `a proxy's own ${status} ${JSON.stringify(body)}`)
    }
  }
  fake.session = { status: 429, headers: { 'retry-after': '7' }, body: {} }
  t.match(await ask(), { status: 429, headers: { 'retry-after': '7' } })
  await fake.stop()
  t.match(await ask(), { status: 503, headers: { 'retry-after': '1' }, body: { code: 'UNAVAILABLE' } })
})

t.test('a closed client verifies and asks nothing', async (t) => {
  for (const onStale of ['refuse', 'ask'] as const) {
    const { fake, client } = await followed(t, { onStale })
    await client.ready()
    const token = fake.token()
    t.equal(await outcome(client, token), 'accepted')
    client.close()
    t.equal(await outcome(client, token), 'UNAVAILABLE', onStale)
    await t.rejects(client.ask({ headers: { authorization: `Bearer ${token}` } }), { code: 'UNAVAILABLE' })
  }
})

t.test('a client that is closed while it gets ready says so at once', async (t) => {
  const { fake, client } = await followed(t)
  fake.line = null
  const beganAtMs = performance.now()
  const ready = client.ready()
  ready.catch(() => {})
  await until('the service to be asked', () => fake.asked.length > 1)
  client.close()
  await t.rejects(ready, { code: 'UNAVAILABLE' })
  t.ok(performance.now() - beganAtMs < 5_000)
  await t.rejects(client.ready(), { code: 'UNAVAILABLE' })
  t.match(client.state().fault, { message: 'The client is closed' })
})

t.test('a demand for an age above what the service reads is the largest one that it reads', async (t) => {
  const { fake, client } = await followed(t)
  await client.ask({ headers: { authorization: `Bearer ${fake.token()}` } }, { maxAge: 1e21 })
  t.equal(fake.asked.at(-1)?.[0], '/session?maxAge=999999999')
})
