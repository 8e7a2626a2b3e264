import t from 'tap'
import { call } from './helpers/http-client.js'
import { rawRequest } from './helpers/raw-http.js'
import { freePort } from './helpers/free-port.js'
import { startServer } from './helpers/server-process.js'
import { freshDataDir } from './helpers/settings.js'
import { until } from './helpers/wait.js'

/** Sign-ups under way when the signal comes. */
const MANY = 40

t.test('O5 SIGTERM: what is under way is answered, then it ends with 0; OPS_PORT has the metrics, PORT has not; CORS', { timeout: 60_000 }, async (t) => {
  const opsPort = await freePort()
  const server = startServer(t, { DATA_DIR: await freshDataDir(t), NETWORK_LIMITS: 'off', OPS_PORT: String(opsPort), CORS_ORIGINS: 'https://app.example.org' })
  const base = await server.listening()
  const ops = `http://127.0.0.1:${opsPort}`
  t.match(await until('the other port', () => call(ops, 'GET', '/metrics').catch(() => null)), { status: 200, text: /countersign_requests_total/ })
  t.equal((await call(ops, 'GET', '/livez')).status, 200)
  t.equal((await call(ops, 'GET', '/readyz')).status, 200)
  t.equal((await call(ops, 'GET', '/account')).status, 404, 'nothing else there')
  t.equal((await call(base, 'GET', '/metrics')).status, 404)
  t.notOk(Object.keys((await call(base, 'GET', '/openapi.json')).json().paths).includes('/metrics'))

  const from = async (origin: string, method: string, headers: Record<string, string> = {}) => await fetch(`${base}/totp/status`, { method, headers: { origin, ...headers } })
  const allowed = await from('https://app.example.org', 'GET')
  t.equal(allowed.headers.get('access-control-allow-origin'), 'https://app.example.org')
  t.match(allowed.headers.get('access-control-expose-headers'), /WWW-Authenticate.*Retry-After/)
  t.match(allowed.headers.get('vary'), /Origin/i)
  t.equal(allowed.headers.get('access-control-allow-credentials'), null, 'no cookies')
  const preflight = await from('https://app.example.org', 'OPTIONS', { 'access-control-request-method': 'DELETE', 'access-control-request-headers': 'authorization' })
  t.equal(preflight.status, 204)
  t.equal(preflight.headers.get('access-control-allow-origin'), 'https://app.example.org')
  for (const origin of ['https://evil.example.org', 'https://app.example.org.evil.org', 'http://app.example.org', 'null']) {
    t.equal((await from(origin, 'GET')).headers.get('access-control-allow-origin'), null, origin)
  }

  // Passwords take some time on purpose. The connections are kept alive: whoever drains must not wait for them.
  const signUps = Array.from({ length: MANY }, (_, i) => {
    const body = JSON.stringify({ username: `user${i}`, email: 'a@example.org', password: 'correct horse battery' })
    return rawRequest(Number(new URL(base).port), `POST /users HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
  })
  await until('all of them to have arrived', async () => {
    const { text } = await call(ops, 'GET', '/metrics')
    const waiting = Number(/countersign_hashes_waiting (\d+)/.exec(text)?.[1])
    const served = Number(/countersign_requests_total\{method="POST",route="\/users",status="201"\} (\d+)/.exec(text)?.[1] ?? 0)
    return waiting + served >= MANY - 3
  })
  const ended = server.kill('SIGTERM')
  for (const { statusCode, elapsedMs } of await Promise.all(signUps)) t.ok(statusCode === 201 && elapsedMs < 9_000, `${statusCode} after ${Math.round(elapsedMs)} ms`)
  t.equal(await ended, 0)
  await t.rejects(fetch(`${base}/livez`))
})
