import { until } from '../../helpers/wait.js'
import { checkInvariants } from '../invariants.js'
import { startLives } from '../lives.js'
import { quantile } from '../load.js'
import { pass, type Scenario, type Seen } from '../scenario.js'
import { appointStaff, ready, type Stage } from '../stage.js'
import { checkTold } from '../told.js'
import { startListening } from '../outbox.js'

const REPLICAS = 2
/** Users in parallel. Each waits for its answers, so the load adapts to the machine. */
const LIVES = 6
/**
 * A process is killed after at most so many answers in total, counted from the time when it listens. On a slow machine it lives
 * longer.
 */
const MOST_ANSWERS = 20
const LONGEST_LIFE_MS = 3_000
/** Adds a random delay, so that the kill hits the work for the next answer. */
const AROUND_MS = 30

/** Sends SIGKILL at random moments, while users change everything that decides about access. Then checks the tables and all answers. */
const killed = (times: number) => async (stage: Stage): Promise<Seen> => {
  const { postgres, undo } = stage
  const listening = await startListening(undo)
  const replicas = await Promise.all(Array.from({ length: REPLICAS }, () => stage.addReplica(listening.settings)))
  const { staff } = await appointStaff(stage)
  const lives = startLives(replicas.map(({ base }) => base), LIVES, staff)
  await pass(1_000)
  let slowestMs = 0
  let kills = 0
  await Promise.all(replicas.map(async (replica) => {
    while (kills < times) {
      kills++
      const enough = lives.answersMs.length + Math.random() * MOST_ANSWERS
      await until('some answers', () => lives.answersMs.length >= enough, LONGEST_LIFE_MS).catch(() => {})
      await pass(Math.random() * AROUND_MS)
      const beganAtMs = performance.now()
      await replica.restart()
      slowestMs = Math.max(slowestMs, performance.now() - beganAtMs)
    }
  }))
  await Promise.all(replicas.map((replica) => ready(replica)))
  await pass(1_000)
  await lives.stop()
  const { held, broken } = await checkInvariants(postgres)
  const lost = await checkTold(lives.told, postgres, replicas[0]!.base)
  const missed = await listening.missed(postgres)
  return {
    requests: lives.answersMs.length,
    wrong: [...lives.wrong, ...broken, ...lost, ...missed],
    p99Ms: quantile(lives.answersMs, 0.99),
    recoveryMs: slowestMs,
    note: `${held} invariants held; ${lives.told.length} facts that were answered are there; ` +
      `webhook told ${listening.received()} times; back: from SIGKILL until it listens again, the slowest`
  }
}

export const appScenarios: Scenario[] = [
  {
    name: 'O7 One replica killed once (SIGKILL), at a random moment',
    isQuick: true,
    stage: { replicas: 0 },
    run: killed(1)
  },
  {
    name: 'O7 Two replicas killed a hundred times, at random moments',
    stage: { replicas: 0 },
    run: killed(100)
  }
]
