import { call } from '../../helpers/http-client.js'
import { frontPostgres } from '../haproxy.js'
import { checkInvariants } from '../invariants.js'
import { startLives } from '../lives.js'
import { logIn } from '../people.js'
import { addSynchronousStandby, IN_MEMORY } from '../postgres-server.js'
import { orUnavailable, pass, underLoad, type Scenario, type Seen } from '../scenario.js'
import { appointStaff, type Stage } from '../stage.js'
import { checkTold } from '../told.js'

const LIVES = 4
/** Time until the failover manager decides that the primary is gone. */
const DECIDE_MS = 1_500
const BOUND_MS = 1_000

/** Kills the primary and promotes its standby, under load, behind HAProxy. No answered change may be lost. */
async function failover (stage: Stage): Promise<Seen> {
  const { postgres: primary, undo } = stage
  const standby = await addSynchronousStandby(undo, primary)
  const { port } = await frontPostgres(undo, [primary, standby])
  const replicas = await Promise.all([1, 2].map(() => stage.addReplica({ DATABASE_URL: `postgres://postgres@127.0.0.1:${port}/postgres` })))
  const bases = replicas.map(({ base }) => base)

  const { staff, others } = await appointStaff(stage)
  const lives = startLives(bases, LIVES, staff)
  await pass(4_000)
  const seen = await underLoad({ ...stage, replicas, people: others }, {
    perSecond: 150,
    faultMs: DECIDE_MS,
    judge: orUnavailable,
    p99Ms: 1_500,
    begin: () => primary.kill(),
    end: () => standby.query('select pg_promote()')
  })
  const toldBefore = lives.told.length
  await pass(2_000)
  await lives.stop()
  const { held, broken } = await checkInvariants(standby)
  const lost = await checkTold(lives.told, standby, bases[0]!)
  const stale = await endsAreTold(bases, others[0]!)
  return {
    ...seen,
    requests: seen.requests + lives.answersMs.length,
    wrong: [...seen.wrong, ...lives.wrong, ...broken, ...lost, ...stale],
    note: `${lives.told.length} facts (${toldBefore} by then) that were answered are all there, ` +
      `${held} invariants held, an end is told to the other replica in time`
  }
}

/** The revocation pollers follow the new primary: a session that ends at one replica is refused by the other within the bound. */
async function endsAreTold (bases: string[], { username, password }: { username: string, password: string }): Promise<string[]> {
  const [here, there] = bases as [string, string]
  const { access } = await logIn(here, username, password)
  if ((await call(there, 'GET', '/totp/status', { access })).status !== 200) return ['a new session is not known elsewhere']
  await call(here, 'POST', '/token/revoke', { access })
  await pass(BOUND_MS)
  const { status } = await call(there, 'GET', '/totp/status', { access })
  return status === 401 ? [] : [`an ended session, at the other replica: ${status}`]
}

export const postgresFailoverScenarios: Scenario[] = [
  {
    name: 'O3 J5 Postgres primary killed, its synchronous standby promoted behind HAProxy',
    stage: { replicas: 0, postgresOptions: IN_MEMORY },
    run: failover
  }
]
