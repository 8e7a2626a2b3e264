import { pass } from '../chaos/scenario.js'
import { createOwner, type Owner } from '../helpers/teardown.js'
import { check, type Checked } from './checker/check.js'
import type { Specification } from './checker/specification.js'
import { createClient } from './people/client.js'
import { endAll } from './people/ends.js'
import { live, type Act } from './people/life.js'
import { appointStaff } from './people/staff.js'
import type { World } from './people/world.js'
import { createRandom } from './random.js'
import { createRecorder, type Recorder } from './recorder.js'
import { specificationsFor } from './specifications/index.js'
import type { Databases } from './stage/databases.js'
import { setStage, type Stage } from './stage/stage.js'
import { startWeather } from './stage/weather.js'

export interface PlayOptions {
  /** Longest time of the run. */
  seconds: number
  /** Calls after which the run ends. @default no limit */
  calls?: number
  seed: number
  databases (t: Owner): Promise<Databases>
  /** People of the service and of the host that act at once. */
  people: { service: number, host: number }
  hasClock: boolean
  plant?: Record<string, string>
  /** Ends the run as soon as this property is violated. */
  sought?: string
  /** What people do most. */
  favourite?: Act
  /** True for fewer of the faults that last. @default false */
  isCalm?: boolean
  /** Ends the run, which then stops its servers. */
  signal?: AbortSignal
  /** File for the history, as JSON lines. */
  file?: string
}

export interface Played extends Checked {
  requests: number
  recorder: Recorder
  /** Faults by kind: of statements, and those that last. */
  faults: Record<string, number>
  /** Errors that ended the run before its time. */
  failures: string[]
}

const END_ALL_SECONDS = 40
const SLICE_MS = 100
const LOOK_MS = 2_000
/** Times between the faults that last. */
const STORMY = { leastMs: 1_000, mostMs: 6_000 }
const CALM = { leastMs: 8_000, mostMs: 12_000 }

/** Runs people under faults for some time, then checks the history. */
export async function play (options: PlayOptions): Promise<Played> {
  const owner = createOwner()
  try {
    return await playOn(owner, options)
  } finally {
    await owner.end()
  }
}

async function playOn (owner: Owner, options: PlayOptions): Promise<Played> {
  const { seconds, calls = Infinity, seed, people, hasClock, plant, sought, signal, favourite, isCalm = false, file } = options
  const random = createRandom(seed)
  const databases = await options.databases(owner)
  const stage = await setStage(owner, databases, { random: random.fork(), hasClock, ...(plant === undefined ? {} : { plant }) })
  const specifications = specificationsFor(stage.replicas.map(({ name }) => name))
  const client = createClient(stage.replicas, random.fork())
  const staff = await appointStaff(client, databases)
  const recorder = createRecorder(file)
  const endMs = performance.now() + seconds * 1000
  const over = new AbortController()
  const world: Omit<World, 'random'> = {
    client,
    recorder,
    databases,
    mail: stage.mail,
    staff,
    people: new Set(),
    isStopping: () => [over.signal, signal].some((one) => one?.aborted) || recorder.history.length >= calls || performance.now() >= endMs,
    background: new Set()
  }

  const weather = startWeather(stage, random.fork(), isCalm ? CALM : STORMY)
  const lanes = [
    ...Array.from({ length: people.service }, (_, n) => live({ ...world, random: random.fork() }, false, n, favourite)),
    ...Array.from({ length: people.host }, (_, n) => live({ ...world, random: random.fork() }, true, n, favourite)),
    endAllNowAndThen({ ...world, random: random.fork() }, stage),
    untilFound(world, specifications.filter(({ name }) => name === sought), over),
    Promise.race([weather.running, untilOver(world)])
  ]
  for (const lane of lanes) lane.catch(() => { over.abort() })
  const done = await Promise.allSettled(lanes)
  await weather.stop()
  await Promise.all(world.background)
  const failures = done.flatMap((lane) => lane.status === 'rejected' ? [String(lane.reason)] : [])
  const checked = check(recorder.history, specifications)
  return { ...checked, recorder, requests: client.requests, faults: { ...stage.counts, ...weather.counts }, failures }
}

async function untilOver ({ isStopping }: Pick<World, 'isStopping'>): Promise<void> {
  while (!isStopping()) await pass(SLICE_MS)
}

/** Ends the run when one of the properties is violated. */
async function untilFound (
  { recorder, isStopping }: Pick<World, 'recorder' | 'isStopping'>, sought: readonly Specification[], over: AbortController
): Promise<void> {
  while (sought.length > 0 && !isStopping()) {
    await pass(LOOK_MS)
    if (check(recorder.history, sought).violations.length > 0) over.abort()
  }
}

async function endAllNowAndThen (world: World, stage: Stage): Promise<void> {
  for (let slices = 1; !world.isStopping(); slices++) {
    await pass(SLICE_MS)
    if (slices % (END_ALL_SECONDS * 1000 / SLICE_MS) === 0) await endAll(world, stage.commandSettings())
  }
}
