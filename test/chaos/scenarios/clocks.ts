import { until } from '../../helpers/wait.js'
import type { Scenario, Seen } from '../scenario.js'
import type { Replica, Stage } from '../stage.js'
import { unharmed } from '../unharmed.js'
import { wallClock } from '../wall-clock.js'

/** The Date header has whole seconds, and is computed once per second. */
const ROUGHLY_SECONDS = 2.5

/** Returns the offset of the replica's clock, from its Date header. */
async function offOf ({ base }: Replica): Promise<number> {
  const answer = await fetch(`${base}/livez`)
  await answer.arrayBuffer()
  return (Date.parse(answer.headers.get('date') ?? '') - Date.now()) / 1000
}

async function isOff (replica: Replica, seconds: number): Promise<void> {
  await until(`a clock that is ${seconds} s off`, async () => Math.abs(await offOf(replica) - seconds) < ROUGHLY_SECONDS)
}

/** Runs one replica with the correct time and one whose clock is wrong during the fault. */
const steps = (fromSeconds: number, toSeconds: number) => async (stage: Stage): Promise<Seen> => {
  const clock = await wallClock(stage.undo, fromSeconds)
  return await unharmed(stage, {
    settings: [{}, clock.settings],
    async begin ({ replicas }) {
      await isOff(replicas[1]!, fromSeconds)
      await clock.set(toSeconds)
      await isOff(replicas[1]!, toSeconds)
    },
    async end ({ replicas }) {
      await clock.set(0)
      await isOff(replicas[1]!, 0)
    }
  })
}

const STAGE = { replicas: 0 }

export const clockScenarios: Scenario[] = [
  { name: 'T15 Clocks: a replica 30 s ahead from its start', stage: STAGE, run: steps(30, 30) },
  { name: 'T15 Clocks: a replica 30 s behind from its start', stage: STAGE, run: steps(-30, -30) },
  { name: 'T15 Clocks: a replica steps back by 120 s', stage: STAGE, run: steps(0, -120) },
  { name: 'T15 Clocks: a replica steps ahead by 90 s', stage: STAGE, run: steps(0, 90) }
]
