/** `countersign/client` over real connections: a service that asks nothing about a request refuses an ended session in time. */
import t, { type Test } from 'tap'
import { createClient, type Client } from '../../src/client/index.js'
import { markAll } from '../../src/sessions/marks.js'
import { insideOf } from '../../src/attach/inside.js'
import { CLIENT_KEY } from '../helpers/app.js'
import { need } from '../helpers/need.js'
import { expect, sessionsOf, signUp, type Person } from '../helpers/person.js'
import { startReplicas } from '../helpers/replicas.js'
import { addressOf } from '../helpers/revocations.js'
import { targetOf, tcpProxy } from '../helpers/tcp-proxy.js'
import { until } from '../helpers/wait.js'

await need('postgres')
await need('redis-server')

const BOUND_MS = 1_000
const SESSIONS = 20

function clientOf (t: Test, url: string, onStale: 'refuse' | 'ask', key = CLIENT_KEY): Client {
  const client = createClient({ url, key, onStale })
  t.teardown(() => client.close())
  return client
}

/** Returns `accepted`, or the code of the refusal. */
const outcome = (client: Client, { access }: Person) => client.verify(String(access)).then(() => 'accepted', ({ code }) => String(code))

/** Asks until the outcome is the last one. @returns the milliseconds until the start of the last accepted request; 0 if there was none */
async function acceptedUntil (last: string, client: Client, person: Person): Promise<number> {
  const fromMs = performance.now()
  let lastMs = 0
  await until(`the client to answer ${last}`, async () => {
    const beganAtMs = performance.now()
    const found = await outcome(client, person)
    if (found === 'accepted') lastMs = beganAtMs - fromMs
    return found === last
  })
  return lastMs
}

async function stage (t: Test) {
  const { replicas: [ender, asked], another } = await startReplicas(t, 2, { JWT_ALG: 'EdDSA' })
  const network = await tcpProxy(t, targetOf((await addressOf(asked!.app)).replace('http', 'redis')))
  return { ender: ender!, asked: asked!, network, url: `http://127.0.0.1:${network.port}`, another }
}

t.test('J5 ended at another replica, refused by the client', async (t) => {
  const { ender, url } = await stage(t)
  const client = clientOf(t, url, 'refuse')
  await client.ready()
  for (const person of await sessionsOf(await signUp(ender.app, 'ada'), SESSIONS)) {
    t.equal(await outcome(client, person), 'accepted')
    expect(204, await person.request('POST', '/token/revoke'))
    t.ok(await acceptedUntil('SESSION_ENDED', client, person) <= BOUND_MS)
  }
  const late = clientOf(t, url, 'refuse')
  await late.ready()
  const bob = await signUp(ender.app, 'bob')
  expect(200, await bob.login())
  await markAll(insideOf(ender.app).db)
  t.ok(await acceptedUntil('SESSION_ENDED', late, bob) <= BOUND_MS, 'one mark ends every session')
})

t.test('J5 cut off, half-open or slow: refused within a second too, and back without a restart', async (t) => {
  const { ender, network, url } = await stage(t)
  const client = clientOf(t, url, 'refuse')
  await client.ready()
  const all = await sessionsOf(await signUp(ender.app, 'ada'), 4)
  const breaks: Array<[breakIt: () => unknown, mend: () => unknown]> = [
    [() => network.cut(), () => network.restore()],
    [() => network.pause(), () => network.resume()],
    [() => { network.delayMs = 1_500 }, () => { network.delayMs = 0 }]
  ]
  for (const [breakIt, mend] of breaks) {
    const person = all.pop()!
    const [stays] = all
    t.equal(await outcome(client, person), 'accepted')
    await breakIt()
    expect(204, await person.request('POST', '/token/revoke'))
    t.ok(await acceptedUntil('UNAVAILABLE', client, person) <= BOUND_MS)
    await mend()
    await until('the client to be back', async () => await outcome(client, stays!) === 'accepted')
    t.equal(await outcome(client, person), 'SESSION_ENDED')
  }
})

t.test('J5 stale, the service is asked, if the client is told to; and refused if it does not answer', async (t) => {
  const { ender, network, url } = await stage(t)
  // With a key that the service does not know, the client is never told of an end.
  const client = clientOf(t, url, 'ask', 'not-one-of-the-keys')
  await t.rejects(client.ready(), { name: 'NotServed', status: 401 })
  const ada = await signUp(ender.app, 'ada')
  expect(200, await ada.login())
  t.match(await client.verify(String(ada.access)), { sub: ada.claims()['sub'] })
  expect(204, await ada.request('POST', '/token/revoke'))
  t.ok(await acceptedUntil('SESSION_ENDED', client, ada) <= BOUND_MS)
  await network.cut()
  t.equal(await outcome(client, ada), 'UNAVAILABLE')
})

t.test('J5 a replica that ends hands its clients to another one', async (t) => {
  const { ender, asked, network, url, another } = await stage(t)
  const client = clientOf(t, url, 'refuse')
  await client.ready()
  const ada = await signUp(ender.app, 'ada')
  expect(200, await ada.login())
  const next = await another()
  await addressOf(next.app)
  await asked.app.close()
  t.ok(await acceptedUntil('UNAVAILABLE', client, ada) <= 4_500, 'it serves on for a while')
  await network.cut()
})
