import { pass } from '../../chaos/scenario.js'
import type { Random } from '../random.js'
import type { Replica, Stage } from './stage.js'
import type { Weather } from './statement-proxy.js'

/** A fault that lasts for some time. Statements have faults of their own all the time. */
interface Spell {
  name: string
  weight: number
  mostMs: number
  begin (): unknown
  end (): unknown
}

/** Faults of single statements, always and in a storm. */
const USUAL: Weather = { delay: 0.01, cut: 0.002, 'late answer': 0.01, 'lost answer': 0.004, reorder: 0.02 }
const STORM: Weather = { delay: 0.1, cut: 0.02, 'late answer': 0.1, 'lost answer': 0.04, reorder: 0.1 }
const CLEAR: Weather = {}
const CLOCK_SECONDS = 60

export interface WeatherService {
  /** Spells that began, by name. */
  readonly counts: Record<string, number>
  /** Rejects if a fault could not be made or mended. */
  readonly running: Promise<void>
  /** Ends the current spell and all faults. */
  stop (): Promise<void>
}

/**
 * Begins with faults: statements are late and lost, servers and replicas are paused, the primary fails over, clocks are wrong.
 *
 * @param leastMs shortest time between two faults that last, in ms; `mostMs` is the longest
 */
export function startWeather (stage: Stage, random: Random, { leastMs, mostMs }: { leastMs: number, mostMs: number }): WeatherService {
  const counts: Record<string, number> = {}
  const stopping = new AbortController()
  const spells = spellsOf(stage, random)
  setAll(stage, USUAL)

  async function run (): Promise<void> {
    while (!stopping.signal.aborted) {
      await calm(random.between(leastMs, mostMs), stopping.signal)
      if (stopping.signal.aborted) return
      const name = random.weighted(Object.fromEntries(spells.map(({ name, weight }) => [name, weight])))
      const spell = spells.find((one) => one.name === name)!
      counts[name] = (counts[name] ?? 0) + 1
      await spell.begin()
      await calm(random.between(300, spell.mostMs), stopping.signal)
      await spell.end()
    }
  }
  const running = run()
  running.catch(() => { stopping.abort() })
  return {
    counts,
    running,
    async stop () {
      stopping.abort()
      await running.catch(() => {})
      setAll(stage, CLEAR)
    }
  }
}

/** Waits, in real time, until the time is over or the run ends. */
async function calm (ms: number, signal: AbortSignal): Promise<void> {
  const SLICE_MS = 50
  for (const endMs = performance.now() + ms; performance.now() < endMs && !signal.aborted;) await pass(SLICE_MS)
}

function setAll ({ replicas }: Stage, weather: Weather): void {
  for (const proxy of replicas.flatMap(({ toPostgres, toRedis }) => [toPostgres, toRedis])) proxy.weather = weather
}

function spellsOf (stage: Stage, random: Random): Spell[] {
  const { replicas, redis, databases: { faults, target } } = stage
  let chosen: Replica = replicas[0]!
  const choose = () => { chosen = random.pick(replicas) }
  const retarget = () => {
    for (const { toPostgres } of replicas) {
      toPostgres.target = target()
      toPostgres.cutAll()
    }
  }
  const clocks = replicas.filter(({ clock }) => clock !== undefined)
  return [
    { name: 'storm', weight: 6, mostMs: 4_000, begin: () => { setAll(stage, STORM) }, end: () => { setAll(stage, USUAL) } },
    {
      name: 'replica paused',
      weight: 3,
      mostMs: 2_500,
      begin () { choose(); chosen.process.child.kill('SIGSTOP') },
      end () { chosen.process.child.kill('SIGCONT') }
    },
    {
      name: 'half-open to PostgreSQL',
      weight: 3,
      mostMs: 2_500,
      begin () { choose(); chosen.toPostgres.isFrozen = true },
      end () { chosen.toPostgres.isFrozen = false }
    },
    {
      name: 'half-open to Redis',
      weight: 2,
      mostMs: 3_000,
      begin () { choose(); chosen.toRedis.isFrozen = true },
      end () { chosen.toRedis.isFrozen = false }
    },
    { name: 'connections cut', weight: 2, mostMs: 500, begin () { choose(); chosen.toPostgres.cutAll() }, end () {} },
    { name: 'Redis killed', weight: 1, mostMs: 3_000, begin: () => redis.kill(), end: () => redis.restart() },
    { name: 'Redis paused', weight: 2, mostMs: 2_500, begin: () => { redis.pause() }, end: () => { redis.resume() } },
    ...(faults === undefined
      ? []
      : [
          { name: 'PostgreSQL paused', weight: 3, mostMs: 2_500, begin: () => faults.freeze(), end: () => faults.thaw() },
          { name: 'failover', weight: 1, mostMs: 500, begin: () => faults.failOver(retarget), end () {} }
        ]),
    ...clocks.map(({ clock }) => ({
      name: 'clock of a replica',
      weight: 2,
      mostMs: 4_000,
      begin: () => clock!.set(random.pick([-CLOCK_SECONDS, CLOCK_SECONDS])),
      end: () => clock!.set(0)
    }))
  ]
}
