import { checkInvariants } from '../invariants.js'
import { checkTold, startLives } from '../lives.js'
import { startPgbouncer } from '../pgbouncer.js'
import { gather } from '../people.js'
import { pass, underLoad, unlike, type Scenario, type Seen } from '../scenario.js'
import type { Stage } from '../stage.js'

const LIVES = 3

/** The tables were made over a direct address; all else goes through pools that change hands with every transaction. */
async function throughPgbouncer (stage: Stage): Promise<Seen> {
  const { postgres, undo } = stage
  await stage.replicas[0]!.process.kill('SIGTERM')
  const pooler = await startPgbouncer(undo, postgres.url)
  const replicas = await Promise.all([1, 2].map(() => stage.addReplica({ DATABASE_URL: pooler.url(postgres.url), MIGRATE: 'off' })))
  const bases = replicas.map(({ base }) => base)
  const people = await gather(bases, 20)
  const lives = startLives(bases, LIVES)
  const seen = await underLoad({ ...stage, replicas, people }, {
    perSecond: 150, faultMs: 6_000, begin: () => {}, end: () => {}, judge: unlike, p99Ms: 500
  })
  await pass(500)
  await lives.stop()
  const { held, broken } = await checkInvariants(postgres)
  return {
    ...seen,
    requests: seen.requests + lives.answersMs.length,
    wrong: [...seen.wrong, ...lives.wrong, ...broken, ...await checkTold(lives.told, postgres, bases[0]!)],
    note: `migrated over a direct address; ${held} invariants held`
  }
}

export const pgbouncerScenarios: Scenario[] = [
  { name: 'pgbouncer in transaction mode in between', stage: { replicas: 1, people: 0 }, run: throughPgbouncer }
]
