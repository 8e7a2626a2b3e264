/**
 * Sessions that were read at once, as after a start or an outage of PostgreSQL, were all trusted for the same minute. Then all
 * were read again at one moment, in which every request waited, and so on every minute.
 */
import { Redis } from 'ioredis'
import t from 'tap'
import { insideOf } from '../../src/attach/inside.js'
import { COPY_TRUST_MS } from '../../src/sessions/cache/local-cache.js'
import { need } from '../helpers/need.js'
import { pastFirstSeconds, settled, startReplicas } from '../helpers/replicas.js'
import { until } from '../helpers/wait.js'
import { newIds, putSessions } from '../load/stock.js'

await need('postgres')
await need('redis-server')

const NAMESPACE = 'spread'

t.test('J5 readings that were made at once run out one by one, here and in Redis', async (t) => {
  const started = await startReplicas(t, 2, {}, NAMESPACE)
  const redis = new Redis(started.redisServer.url)
  t.teardown(() => redis.disconnect())
  await pastFirstSeconds(started)
  await Promise.all(started.replicas.map(settled))
  const [a, b] = started.replicas.map(({ app }) => insideOf(app))
  const put = await putSessions(a!.db, newIds(50), { verified: true })
  const findAll = ({ sessions }: typeof a & {}) => Promise.all(put.map(({ userId, sessionId }) => sessions.find(userId, sessionId, null)))

  t.notOk((await findAll(a!)).includes(null))
  const keys = put.map(({ userId, sessionId }) => `${NAMESPACE}:{${userId}}:session:${sessionId}`)
  await until('the Redis cache to be filled', async () => await redis.exists(...keys) === keys.length)
  const left = await Promise.all(keys.map((key) => redis.pttl(key)))
  t.ok(Math.max(...left) <= COPY_TRUST_MS, 'none longer than a minute')
  t.ok(Math.min(...left) >= COPY_TRUST_MS / 2, 'nor much shorter: each is a question')
  t.ok(Math.max(...left) - Math.min(...left) > COPY_TRUST_MS / 12, `over some seconds: ${left.join(', ')} ms`)

  t.notOk((await findAll(b!)).includes(null))
  t.equal(b!.sessions.state().copy, put.length, 'the other replica uses the Redis cache')
  const bodies = (await redis.mget(keys)).map((text) => JSON.parse(text!.slice(text!.indexOf('.') + 1)) as { trustMs: number })
  t.ok(new Set(bodies.map(({ trustMs }) => trustMs)).size > put.length / 2, 'each with its own end')
})
