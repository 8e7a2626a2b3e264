import { join } from 'node:path'
import { freePort } from '../../helpers/free-port.js'
import { call } from '../../helpers/http-client.js'
import { startNode, type NodeProcess } from '../../helpers/node-process.js'
import { tcpProxy, type TcpProxy } from '../../helpers/tcp-proxy.js'
import { until } from '../../helpers/wait.js'
import { quantile } from '../load.js'
import type { Person } from '../people.js'
import { underLoad, unlike, type Scenario, type Seen } from '../scenario.js'
import type { Stage } from '../stage.js'

const PROGRAM = join(import.meta.dirname, '..', 'mail-program.js')
/** Users whose passwords are forgotten. They are not in the load: a log-in would end their links. */
const FORGETFUL = 20
/** A user has so many links at once. */
const LINKS = 3
/** Some attempts under way need their time limit, and then wait for the next one. */
const DELIVERED_MS = 120_000
const P99_MS = 500

/** A mail server that can break, behind a network of its own. */
interface Server {
  network: TcpProxy
  process: () => NodeProcess
  start (): Promise<void>
  /** Message-IDs of all mails that it took. */
  took (): Set<string>
}

async function startServer (undo: Stage['undo']): Promise<Server> {
  const port = await freePort()
  const processes: NodeProcess[] = []
  const start = async () => {
    const started = startNode({ teardown: undo }, [PROGRAM, String(port)], {})
    processes.push(started)
    await started.saying(/listening (yes)/, 'the mail server to listen')
  }
  await start()
  return {
    start,
    network: await tcpProxy({ teardown: undo }, { host: '127.0.0.1', port }),
    process: () => processes.at(-1)!,
    took: () => new Set(processes.flatMap((one) => [...one.said().matchAll(/took (\S+)/g)].map(([, id]) => id!)))
  }
}

interface Fault { begin (server: Server): unknown, end (server: Server): unknown }

/** Asks for links as long as it may. @returns the times of the answers, and what was no 202 */
async function forget (bases: readonly string[], people: readonly Person[]): Promise<{ times: number[], wrong: string[] }> {
  const times: number[] = []
  const wrong: string[] = []
  for (let i = 0; i < people.length * LINKS; i++) {
    const beganAtMs = performance.now()
    const { username } = people[i % people.length]!
    const { status } = await call(bases[i % bases.length]!, 'POST', '/password/forgot', { body: { username } })
    times.push(performance.now() - beganAtMs)
    if (status !== 202) wrong.push(`forgot: ${status}`)
  }
  return { times, wrong }
}

const broken = ({ begin, end }: Fault) => async (stage: Stage): Promise<Seen> => {
  const server = await startServer(stage.undo)
  const settings = {
    MAIL_URL: `smtp://127.0.0.1:${server.network.port}`,
    MAIL_FROM: 'Countersign <countersign@example.org>',
    PUBLIC_URL: 'https://app.example.org'
  }
  const replicas = await Promise.all([stage.addReplica(settings), stage.addReplica(settings)])
  const forgetful = stage.people.slice(0, FORGETFUL)
  await stage.postgres.query('update account set email_verified_at = clock_timestamp()')
  let asked = Promise.resolve({ times: [] as number[], wrong: [] as string[] })
  let endedAtMs = 0
  const seen = await underLoad({ ...stage, replicas, people: stage.people.slice(FORGETFUL) }, {
    perSecond: 100,
    p99Ms: P99_MS,
    judge: unlike,
    async begin () {
      await begin(server)
      asked = forget(replicas.map(({ base }) => base), forgetful)
    },
    async end () {
      await asked
      await end(server)
      endedAtMs = performance.now()
    }
  })
  const { times, wrong } = await asked
  await until('all mails to be sent', async () =>
    (await stage.postgres.query("select from otp_delivery where destination = 'mail' limit 1")).length === 0, DELIVERED_MS)
  const lateMs = performance.now() - endedAtMs
  const lost = FORGETFUL * LINKS - server.took().size
  if (lost !== 0) wrong.push(`${lost} of ${FORGETFUL * LINKS} mails were lost`)
  const p99 = quantile(times, 0.99)
  if (p99 > P99_MS) wrong.push(`forgot: p99 ${Math.round(p99)} ms`)
  return {
    ...seen,
    wrong: [...seen.wrong, ...wrong],
    note: `${times.length} links asked for meanwhile, p99 ${Math.round(p99)} ms; each mail arrived, the last one ` +
      `${Math.round(lateMs / 1000)} s after the end`
  }
}

const scenario = (name: string, fault: Fault, more: Pick<Scenario, 'isQuick'> = {}): Scenario =>
  ({ name, ...more, stage: { replicas: 0 }, run: broken(fault) })

export const mailScenarios: Scenario[] = [
  scenario('N4 Mail server killed, started again', {
    begin: (server) => server.process().kill('SIGKILL'), end: (server) => server.start()
  }, { isQuick: true }),
  scenario('N4 Mail server paused (SIGSTOP)', {
    begin: (server) => server.process().child.kill('SIGSTOP'), end: (server) => server.process().child.kill('SIGCONT')
  }),
  scenario('N4 Mail server slow by 1000 ms', {
    begin: ({ network }) => { network.delayMs = 1000 }, end: ({ network }) => { network.delayMs = 0 }
  }),
  scenario('N4 Mail server refuses (451)', {
    async begin (server) {
      server.process().child.kill('SIGUSR2')
      await server.process().saying(/(refusing)/, 'the mail server to refuse')
    },
    end: (server) => server.process().child.kill('SIGUSR2')
  })
]
