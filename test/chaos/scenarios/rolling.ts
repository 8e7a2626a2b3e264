import { once } from 'node:events'
import { connect } from 'node:net'
import { call } from '../../helpers/http-client.js'
import { until } from '../../helpers/wait.js'
import { frontService } from '../haproxy.js'
import { quantile, startLoad } from '../load.js'
import { pass, unlike, type Scenario, type Seen } from '../scenario.js'
import { ready, type Stage } from '../stage.js'

const PER_SECOND = 100
/** REQUIREMENTS O5. Use fewer during development: ROLLING_REQUESTS=2000. */
const REQUESTS = Number(process.env['ROLLING_REQUESTS'] ?? 10_000)
/** Pause between two restarts. */
const SETTLE_MS = 500
const DRAIN_MS = 10_000
const LOGINS = 40
const IDLE = 50

/** Restarts one replica after the other, repeatedly, behind a proxy that checks `/readyz`. */
async function rolling ({ replicas, people, undo }: Stage): Promise<Seen> {
  const front = await frontService(undo, replicas.map(({ base }) => base))
  const allUp = () => until('the proxy to see both', async () => (await front.states()).every((state) => state === 'UP'), 20_000)
  await allUp()
  const load = startLoad([`http://127.0.0.1:${front.port}`], people, PER_SECOND)
  const endAtMs = performance.now() + REQUESTS / PER_SECOND * 1_000
  const wrong: string[] = []
  let restarts = 0
  while (performance.now() < endAtMs) {
    const replica = replicas[restarts++ % replicas.length]!
    const { process } = replica
    await replica.restart('SIGTERM')
    if (await process.exited !== 0) wrong.push(`it ended with ${await process.exited}`)
    await ready(replica)
    await allUp()
    await pass(SETTLE_MS)
  }
  const answers = await load.stop()
  return {
    requests: answers.length,
    wrong: [...wrong, ...answers.map(unlike).filter((fault) => fault !== null)],
    p99Ms: quantile(answers.map(({ ms }) => ms), 0.99),
    recoveryMs: null,
    note: `${restarts} restarts, ${PER_SECOND} requests/s`
  }
}

/** Logins that hash, idle connections and a body without end: the logins are answered, and the others do not delay the shutdown. */
async function drains ({ replicas: [replica], people }: Stage): Promise<Seen> {
  const { base, process } = replica!
  const port = Number(new URL(base).port)
  const idle = await Promise.all(Array.from({ length: IDLE }, async () => {
    const socket = connect(port, '127.0.0.1').on('error', () => {})
    await once(socket, 'connect')
    return socket
  }))
  const dripping = connect(port, '127.0.0.1').on('error', () => {})
  dripping.write('POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{')
  const drip = setInterval(() => { if (dripping.writable) dripping.write(' ') }, 200)

  const took: number[] = []
  const logins = Array.from({ length: LOGINS }, async (_, i) => {
    const { username, password } = people[i % people.length]!
    const beganAtMs = performance.now()
    const status = await call(base, 'POST', '/token', { body: { username, password } }).then(({ status }) => status, () => 0)
    took.push(performance.now() - beganAtMs)
    return status
  })
  await until('all of them to have arrived', async () => {
    const { text } = await call(base, 'GET', '/metrics')
    return Number(/countersign_hashes_waiting (\d+)/.exec(text)?.[1]) + took.length >= LOGINS - 3
  })
  const toldAtMs = performance.now()
  const exitCode = await process.kill('SIGTERM')
  const drainMs = performance.now() - toldAtMs
  const statuses = await Promise.all(logins)
  clearInterval(drip)
  for (const socket of [...idle, dripping]) socket.destroy()

  const unanswered = statuses.filter((status) => status !== 200).length
  return {
    requests: LOGINS,
    wrong: [
      ...(unanswered > 0 ? [`${unanswered} logins were not answered`] : []),
      ...(exitCode !== 0 ? [`it ended with ${exitCode}`] : []),
      ...(drainMs > DRAIN_MS ? [`it took ${Math.round(drainMs)} ms`] : [])
    ],
    p99Ms: quantile(took, 0.99),
    recoveryMs: null,
    note: `ended after ${Math.round(drainMs)} ms, ${LOGINS - unanswered} of ${LOGINS} logins under way answered`
  }
}

export const rollingScenarios: Scenario[] = [
  { name: 'O5 SIGTERM with logins, idle sockets and a never-ending body under way', run: drains },
  { name: 'O5 Rolling restart of two replicas behind HAProxy, over and over', run: rolling }
]
