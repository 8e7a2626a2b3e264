import t from 'tap'
import { createHttp } from '../../src/http.js'
import { call } from '../helpers/http-client.js'
import { rawRequest } from '../helpers/raw-http.js'

/** Fastify's `handlerTimeout` took the end of the body for the end of the request, and then had no time limit. */
t.test('O3 a handler that waits, with a body or without one: 503 in time', async (t) => {
  const app = await createHttp({ logLevel: 'silent', trustedProxies: [] }, 300)
  t.teardown(() => app.close())
  app.leaveAtOnce()
  const release: Array<() => void> = []
  const waiting = () => new Promise<object>((resolve) => { release.push(() => { resolve({ late: true }) }) })
  app.get('/waits', waiting)
  app.post('/waits', waiting)
  app.post('/answers', async () => ({ ok: true }))
  const base = await app.listen({ port: 0, host: '127.0.0.1' })

  for (const method of ['GET', 'POST'] as const) {
    const beganAtMs = performance.now()
    const answer = await call(base, method, '/waits', method === 'POST' ? { body: { a: 1 } } : {})
    t.equal(answer.status, 503, method)
    t.equal(answer.json().code, 'UNAVAILABLE')
    t.ok(performance.now() - beganAtMs < 2_000)
  }
  for (const go of release) go()
  t.equal((await call(base, 'POST', '/answers', { body: { a: 1 } })).status, 200, 'a late answer does no harm')
  const cut = await rawRequest(
    Number(new URL(base).port), 'POST /waits HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{'
  )
  t.equal(cut.statusCode, 408, 'a body that does not come')
  t.match(cut.headers, { connection: 'close' })
})
