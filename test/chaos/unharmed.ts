import { call } from '../helpers/http-client.js'
import { until } from '../helpers/wait.js'
import type { Person } from './people.js'
import { underLoad, unlike, type Seen } from './scenario.js'
import type { Replica, Stage } from './stage.js'
import { askStatus, callWitnesses, signIn, WITNESSES, type WitnessOptions } from './witnesses.js'

/** Network limits are on, and each request of the load and of the witnesses comes from its own network, so that Redis is used. */
const LIMITED = { NETWORK_LIMITS: 'on', TRUSTED_PROXIES: '127.0.0.1' }

const BACK_MS = 2_000
/**
 * Log line of a replica when its circuit breaker opens. The first request that waits for Redis in vain opens it; later requests
 * do not wait.
 */
const OPENED = 'Redis is down: working without it'

export interface Fault extends WitnessOptions {
  /** Additional settings of the two observed replicas. */
  settings?: [Record<string, string>, Record<string, string>]
  begin (stage: Stage): unknown
  end (stage: Stage): unknown
  faultMs?: number
  /** True if Redis answers some requests and not others, so that a breaker can open more than once. */
  isPartial?: boolean
  /** Returns additional observations at the end. */
  note?: () => string
}

/**
 * Checks a fault that costs no answer and gives no second use of a code: on two replicas with limits, under load and with
 * witnesses, from the first request of the fault on. Full speed must be back soon after the fault.
 */
export async function unharmed (
  stage: Stage, { settings = [{}, {}], begin, end, faultMs = 3_000, isPartial = false, note = () => '', ...options }: Fault
): Promise<Seen> {
  const replicas = await Promise.all(settings.map((more) => stage.addReplica({ ...LIMITED, ...more })))
  const played = { ...stage, replicas, people: stage.people.slice(WITNESSES + 1) }
  const witnesses = await callWitnesses(replicas, stage.people, options)
  const wrong: string[] = []
  const times: number[] = []
  let sinceBegin = (): string[][] => []
  let opened: string[][] = []
  let backMs = Promise.resolve(0)

  const seen = await underLoad(played, {
    perSecond: 120,
    faultMs,
    p99Ms: 500,
    judge (answer) {
      times.push(answer.ms)
      return unlike(answer)
    },
    async begin () {
      const before = replicas.map((replica) => openings(replica).length)
      sinceBegin = () => replicas.map((replica, i) => openings(replica).slice(before[i]))
      await begin(played)
      wrong.push(...await witnesses.during())
    },
    async end () {
      opened = sinceBegin()
      await end(played)
      backMs = fullSpeed(replicas, stage.people[WITNESSES]!)
      // The caller that awaits it gets the error; until then it must not count as unhandled.
      backMs.catch(() => {})
    }
  })
  const afterMs = await backMs
  if (afterMs > BACK_MS) wrong.push(`full speed after ${Math.round(afterMs)} ms`)
  wrong.push(...await witnesses.after())
  // Each opening delays the requests of that moment, so one opening per fault is the limit.
  for (const reasons of isPartial ? [] : opened) {
    if (reasons.length > 1) wrong.push(`a breaker opened ${reasons.length} times: ${[...new Set(reasons)].join(', ')}`)
  }
  const notes = [
    `breakers opened ${opened.map(({ length }) => length).join(' and ')} times`,
    `slowest ${Math.round(Math.max(...times))} ms`,
    `full speed after ${Math.round(afterMs)} ms`,
    note()
  ]
  return { ...seen, wrong: [...seen.wrong, ...wrong], note: notes.filter(Boolean).join('; ') }
}

/** Returns the reasons for each opening of the breaker so far. */
function openings ({ process }: Replica): string[] {
  return process.said().split('\n').filter((line) => line.includes(OPENED)).map((line) => (JSON.parse(line) as { reason: string }).reason)
}

/** Returns the time in milliseconds until each replica reports Redis as up and finds another replica's session in Redis. */
async function fullSpeed (replicas: Replica[], person: Person): Promise<number> {
  const beganAtMs = performance.now()
  const before = await Promise.all(replicas.map(copiesFound))
  await until('full speed', async () => {
    const states = await Promise.all(replicas.map(async ({ base }) => (await call(base, 'GET', '/readyz')).json() as { redis: string }))
    if (!states.every(({ redis }) => redis === 'up')) return false
    for (const [i, { base }] of replicas.entries()) await askStatus(base, await signIn(replicas[(i + 1) % replicas.length]!.base, person))
    const found = await Promise.all(replicas.map(copiesFound))
    return found.every((count, i) => count > before[i]!)
  })
  return performance.now() - beganAtMs
}

/** Returns how often a replica found a session in Redis so far. */
async function copiesFound ({ base }: Replica): Promise<number> {
  const { text } = await call(base, 'GET', '/metrics')
  return Number(/^countersign_session_reads_redis_total (\d+)$/m.exec(text)?.[1])
}
