import { checkInvariants } from '../invariants.js'
import { startLives } from '../lives.js'
import { AS_DOCUMENTED, startPgbouncer } from '../pgbouncer.js'
import { pass, underLoad, unlike, type Scenario, type Seen } from '../scenario.js'
import { appointStaff, type Stage } from '../stage.js'
import { checkTold } from '../told.js'

const LIVES = 3

/** The tables exist. All requests use pooled connections, which change with every transaction. */
async function throughPgbouncer (stage: Stage): Promise<Seen> {
  const { postgres, undo } = stage
  const pooler = await startPgbouncer(undo, postgres.url, AS_DOCUMENTED)
  const replicas = await Promise.all([1, 2].map(() => stage.addReplica({ DATABASE_URL: pooler.url(postgres.url), MIGRATE: 'off' })))
  const bases = replicas.map(({ base }) => base)
  const { staff, others } = await appointStaff(stage)
  const lives = startLives(bases, LIVES, staff)
  const seen = await underLoad({ ...stage, replicas, people: others }, {
    perSecond: 150, faultMs: 6_000, begin: () => {}, end: () => {}, judge: unlike, p99Ms: 500
  })
  await pass(500)
  await lives.stop()
  const { held, broken } = await checkInvariants(postgres)
  return {
    ...seen,
    requests: seen.requests + lives.answersMs.length,
    wrong: [...seen.wrong, ...lives.wrong, ...broken, ...await checkTold(lives.told, postgres, bases[0]!)],
    note: `${held} invariants held`
  }
}

export const pgbouncerScenarios: Scenario[] = [
  { name: 'M2 pgbouncer in transaction mode in between', stage: { replicas: 0 }, run: throughPgbouncer }
]
