import t, { type Test } from 'tap'
import { freshDatabase } from './helpers/database.js'
import { embeddedDataDir } from './helpers/embedded-data.js'
import { call } from './helpers/http-client.js'
import { rawRequest } from './helpers/raw-http.js'
import { freePort } from './helpers/free-port.js'
import { startServer } from './helpers/server-process.js'
import { freshKeys } from './helpers/settings.js'
import { stores } from './helpers/stores.js'
import { until } from './helpers/wait.js'

/** Sign-ups in progress when the signal comes. */
const MANY = 40

const { databaseUrl } = await stores()
/** Uses PostgreSQL if there is one, because it starts faster. */
async function somewhere (t: Test): Promise<Record<string, string>> {
  return databaseUrl === undefined ? { DATA_DIR: await embeddedDataDir(t) } : { ...freshKeys(), DATABASE_URL: (await freshDatabase(t)).url }
}

t.test('O5 SIGTERM: what is under way is answered, then it ends with 0; OPS_PORT has the metrics, PORT has not; CORS', {
  timeout: 60_000
}, async (t) => {
  const opsPort = await freePort()
  const server = startServer(
    t, { ...await somewhere(t), NETWORK_LIMITS: 'off', OPS_PORT: String(opsPort), CORS_ORIGINS: 'https://app.example.org' }
  )
  const base = await server.listening()
  const ops = `http://127.0.0.1:${opsPort}`
  t.match(
    await until('the other port', () => call(ops, 'GET', '/metrics').catch(() => null)),
    { status: 200, text: /countersign_requests_total/ }
  )
  t.equal((await call(ops, 'GET', '/livez')).status, 200)
  t.equal((await call(ops, 'GET', '/readyz')).status, 200)
  t.equal((await call(ops, 'GET', '/account')).status, 404, 'nothing else there')
  t.equal((await call(base, 'GET', '/metrics')).status, 404)
  t.notOk(Object.keys((await call(base, 'GET', '/openapi.json')).json().paths).includes('/metrics'))

  const from = async (origin: string, method: string, headers: Record<string, string> = {}) =>
    await fetch(`${base}/totp/status`, { method, headers: { origin, ...headers } })
  const allowed = await from('https://app.example.org', 'GET')
  t.equal(allowed.headers.get('access-control-allow-origin'), 'https://app.example.org')
  t.match(allowed.headers.get('access-control-expose-headers'), /WWW-Authenticate.*Retry-After/)
  t.match(allowed.headers.get('vary'), /Origin/i)
  t.equal(allowed.headers.get('access-control-allow-credentials'), null, 'no cookies')
  const preflight = await from(
    'https://app.example.org',
    'OPTIONS',
    { 'access-control-request-method': 'DELETE', 'access-control-request-headers': 'authorization' }
  )
  t.equal(preflight.status, 204)
  t.equal(preflight.headers.get('access-control-allow-origin'), 'https://app.example.org')
  for (const origin of ['https://evil.example.org', 'https://app.example.org.evil.org', 'http://app.example.org', 'null']) {
    t.equal((await from(origin, 'GET')).headers.get('access-control-allow-origin'), null, origin)
  }

  // Password hashes take time on purpose. The connections are kept alive: the shutdown must not wait for them.
  const signUps = Array.from({ length: MANY }, (_, i) => {
    const body = JSON.stringify({ username: `user${i}`, email: 'a@example.org', password: 'correct horse battery' })
    return rawRequest(
      Number(new URL(base).port),
      `POST /users HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
    )
  })
  await until('all of them to have arrived', async () => {
    const { text } = await call(ops, 'GET', '/metrics')
    const waiting = Number(/countersign_hashes_waiting (\d+)/.exec(text)?.[1])
    const served = Number(/countersign_requests_total\{method="POST",route="\/users",status="201"\} (\d+)/.exec(text)?.[1] ?? 0)
    return waiting + served >= MANY - 3
  })
  const ended = server.kill('SIGTERM')
  for (const { statusCode, elapsedMs } of await Promise.all(signUps)) {
    t.ok(statusCode === 201 && elapsedMs < 9_000, `${statusCode} after ${Math.round(elapsedMs)} ms`)
  }
  t.equal(await ended, 0)
  await t.rejects(fetch(`${base}/livez`))
})

/** Time after SIGTERM in which the service still serves, so that a proxy notices. */
const SERVES_ON_MS = 3_000

t.test('O5 SIGTERM, twice at once as npm and systemd send it: it serves on, says so, and ends with 0', { timeout: 60_000 }, async (t) => {
  const server = startServer(t, await somewhere(t))
  const base = await server.ready()
  const toldAtMs = performance.now()
  const ended = Promise.all([server.kill('SIGTERM'), server.kill('SIGTERM')])
  const leaving = await until('it to say that it leaves', async () => {
    const answer = await call(base, 'GET', '/readyz')
    return answer.status === 503 ? answer : null
  })
  t.match(leaving.json(), { code: 'UNAVAILABLE', status: 'leaving', postgres: 'up' })
  t.equal((await call(base, 'GET', '/livez')).status, 200)
  t.same(await ended, [0, 0])
  t.ok(performance.now() - toldAtMs >= SERVES_ON_MS)
  t.notMatch(server.said(), /second SIGTERM/)
})

t.test('O5 Ctrl-C, which npm passes on a second time: it ends at once, with 0; a later one ends it however busy it is', {
  timeout: 60_000
}, async (t) => {
  const server = startServer(t, await somewhere(t))
  await server.ready()
  const toldAtMs = performance.now()
  t.same(await Promise.all([server.kill('SIGINT'), server.kill('SIGINT')]), [0, 0])
  t.ok(performance.now() - toldAtMs < SERVES_ON_MS, `${Math.round(performance.now() - toldAtMs)} ms`)

  const busy = startServer(t, await somewhere(t))
  await busy.ready()
  const ended = busy.kill('SIGTERM')
  await until('it to close', () => busy.said().includes('"closing"'))
  await until('another signal to count', async () => {
    void busy.kill('SIGINT')
    return await Promise.race([ended.then(() => true), new Promise<null>((resolve) => { setImmediate(resolve, null) })])
  }, SERVES_ON_MS)
  t.equal(await ended, 1)
})
