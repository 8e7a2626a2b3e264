import { until } from '../../helpers/wait.js'
import { checkInvariants } from '../invariants.js'
import { startLives, type Lives } from '../lives.js'
import { quantile } from '../load.js'
import { pass, type Scenario, type Seen } from '../scenario.js'
import { appointStaff, ready, type Replica, type Stage } from '../stage.js'
import { checkTold } from '../told.js'
import { startListening } from '../outbox.js'

const REPLICAS = 2
/** Users in parallel. Each waits for its answers, so the load adapts to the machine. */
const LIVES = 6
/**
 * Harm is done after at most so many answers in total, counted from the end of the harm before. On a slow machine it takes
 * longer.
 */
const MOST_ANSWERS = 20
const LONGEST_LIFE_MS = 3_000
/** Adds a random delay, so that the kill hits the work for the next answer. */
const AROUND_MS = 30

interface Harmed { stage: Stage, replicas: Replica[], lives: Lives }

/** Does harm at random moments. @returns how long the slowest return took, in milliseconds */
type Harm = (harmed: Harmed) => Promise<number>

async function randomMoment ({ answersMs }: Lives): Promise<void> {
  const enough = answersMs.length + Math.random() * MOST_ANSWERS
  await until('some answers', () => answersMs.length >= enough, LONGEST_LIFE_MS).catch(() => {})
  await pass(Math.random() * AROUND_MS)
}

async function timed (work: () => Promise<unknown>): Promise<number> {
  const beganAtMs = performance.now()
  await work()
  return performance.now() - beganAtMs
}

/** Sends SIGKILL to the replicas. */
const killing = (times: number): Harm => async ({ replicas, lives }) => {
  let slowestMs = 0
  let kills = 0
  await Promise.all(replicas.map(async (replica) => {
    while (kills < times) {
      kills++
      await randomMoment(lives)
      slowestMs = Math.max(slowestMs, await timed(() => replica.restart()))
    }
  }))
  return slowestMs
}

/** Restarts a store again and again. In between, users live for some seconds: refusals without the store do not count as life. */
const restarting = (times: number, restart: (stage: Stage) => Promise<void>): Harm => async ({ stage, replicas }) => {
  let slowestMs = 0
  for (let i = 0; i < times; i++) {
    await Promise.all(replicas.map((replica) => ready(replica)))
    await pass(Math.random() * 2 * LONGEST_LIFE_MS)
    slowestMs = Math.max(slowestMs, await timed(() => restart(stage)))
  }
  return slowestMs
}

async function stopImmediately ({ postgres }: Stage): Promise<void> {
  await postgres.stop('immediate')
  await postgres.start()
}

/** Does harm while users change everything that decides about access, by codes and passkeys. Then checks the tables and all answers. */
const whileUsersLive = (harm: Harm) => async (stage: Stage): Promise<Seen> => {
  const { postgres, undo } = stage
  const listening = await startListening(undo)
  const replicas = await Promise.all(Array.from({ length: REPLICAS }, () => stage.addReplica(listening.settings)))
  const { staff } = await appointStaff(stage)
  const lives = startLives(replicas.map(({ base }) => base), LIVES, staff)
  await pass(1_000)
  const slowestMs = await harm({ stage, replicas, lives })
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
      `webhook told ${listening.received()} times; ` +
      `${lives.told.filter(({ kind }) => kind === 'passkey accepted').length} passkeys accepted; back: until it listens again, the slowest`
  }
}

export const appScenarios: Scenario[] = [
  {
    name: 'O7 One replica killed once (SIGKILL), at a random moment',
    isQuick: true,
    stage: { replicas: 0 },
    run: whileUsersLive(killing(1))
  },
  {
    name: 'O7 Two replicas killed a hundred times, at random moments',
    stage: { replicas: 0 },
    run: whileUsersLive(killing(100))
  },
  {
    name: 'O2 K1 Redis killed ten times, at random moments of users\' lives',
    stage: { replicas: 0 },
    run: whileUsersLive(restarting(10, ({ redis }) => redis.restart()))
  },
  {
    name: 'O3 K1 Postgres stopped immediately ten times, at random moments of users\' lives',
    stage: { replicas: 0 },
    run: whileUsersLive(restarting(10, stopImmediately))
  }
]
