/**
 * `npm run histories -- [--seconds N] [--seed N] [--plant NAME | --planted] [--file FILE]`: people use two replicas and a host under
 * faults; then each property is checked on the recorded history. Prints figures, and the fewest calls of each violation; exits with 1 if
 * there is one. With `--plant`, the statements are changed so that a property is violated, and it exits with 1 if that is not found.
 *
 * Starts servers of its own: PostgreSQL with a synchronous standby, Redis, mail. Needs Linux and libfaketime.
 */
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { lineOf } from './history.js'
import { play, type Played } from './play.js'
import { environmentOf, plants } from './plants.js'
import { ownDatabases } from './stage/databases.js'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '120' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    plant: { type: 'string' },
    planted: { type: 'boolean', default: false },
    file: { type: 'string' }
  }
})
const seconds = Number(values.seconds)
const seed = Number(values.seed)
const PEOPLE = { service: 10, host: 4 }

const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { interrupted.abort() })
const base = {
  signal: interrupted.signal,
  seconds,
  seed,
  databases: ownDatabases,
  people: PEOPLE,
  hasClock: true,
  ...(values.file === undefined ? {} : { file: values.file })
}

let beganMs = performance.now()

function print ({ requests, recorder: { history, counts }, faults, counts: checked, violations, failures }: Played): void {
  const tookSeconds = Math.round((performance.now() - beganMs) / 1000)
  console.log(`seed ${seed}, ${tookSeconds} s with the start, load ${loadavg().map((load) => load.toFixed(1)).join(' ')}`)
  console.log(`${requests} requests; ${history.length} calls: ${counts.ok} accepted, ${counts.refused} refused, ${counts.maybe} lost`)
  console.log(`faults: ${Object.entries(faults).sort().map(([name, count]) => `${name} ${count}`).join(', ')}`)
  for (const [name, { objects, calls }] of Object.entries(checked)) console.log(`${name}: ${objects} objects, ${calls} calls`)
  for (const { sentence, object, of, calls } of violations.slice(0, 5)) {
    console.log(`not so: ${sentence}. ${object}, ${calls.length} of ${of} calls:`)
    for (const call of calls) console.log(`  ${lineOf(call)}`)
  }
  for (const failure of failures) console.log(`the run ended before its time: ${failure}`)
  console.log(`${violations.length} violations`)
}

/** @returns true if the planted bug was found */
async function isFound (name: string): Promise<boolean> {
  const plant = plants[name]
  if (plant === undefined) throw new Error(`No such plant. There are: ${Object.keys(plants).join(', ')}`)
  beganMs = performance.now()
  const played = await play({ ...base, isCalm: true, plant: environmentOf(name), sought: plant.violates, favourite: plant.act })
  print(played)
  const found = played.violations.filter(({ property }) => property === plant.violates)
  console.log(`${name}: ${found.length > 0 ? 'found' : 'NOT FOUND'}, ${played.violations.length} violations`)
  return found.length > 0
}

let isGood = true
if (values.plant === undefined && !values.planted) {
  const played = await play(base)
  print(played)
  isGood = played.violations.length === 0 && played.failures.length === 0
} else {
  for (const name of values.plant === undefined ? Object.keys(plants) : [values.plant]) isGood = await isFound(name) && isGood
}
process.exit(isGood ? 0 : 1)
