import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import { call } from '../helpers/http-client.js'
import { startServer } from '../helpers/server-process.js'
import { freshSettings } from '../helpers/settings.js'
import { until } from '../helpers/wait.js'

const server = startServer(t, await freshSettings(t))
const base = await server.ready()
const socket = connect(Number(new URL(base).port), '127.0.0.1').on('error', () => {})
t.teardown(() => socket.destroy())
await once(socket, 'connect')
// Connections are accepted in order, so this one is accepted by then.
t.equal((await call(base, 'GET', '/livez')).headers.get('connection'), 'keep-alive')
const toldAtMs = performance.now()
const ended = server.kill('SIGTERM')

// A proxy keeps connections during a rolling restart. Closed at once, about every second restart lost a request.
t.test('O5 after SIGTERM the service first serves on, reports it on /readyz and asks clients to close', { timeout: 60_000 }, async (t) => {
  const leaving = await until('it to say that it leaves', async () => {
    const answer = await call(base, 'GET', '/readyz')
    return answer.status === 503 ? answer : null
  })
  t.match(leaving.json(), { code: 'UNAVAILABLE', status: 'leaving', postgres: 'up' })
  const served = await call(base, 'GET', '/livez')
  t.equal(served.status, 200)
  t.equal(served.headers.get('connection'), 'close')
})

// A browser opens connections in advance. For Node a connection without a request is not idle, and a closing server no longer
// checks for connections that take too long: the process was killed after 10 s, with exit code 1.
t.test('O5 a connection without a request does not hold a process that closes', { timeout: 60_000 }, async (t) => {
  t.equal(await ended, 0)
  t.ok(performance.now() - toldAtMs < 10_000)
})
