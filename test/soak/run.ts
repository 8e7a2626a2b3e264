/**
 * `npm run soak`: a long mixed load of verified sessions, logins, refreshes and wrong codes, on one service with its own
 * PostgreSQL and Redis (O8). First measures the capacity of the machine, then runs at 70 % of it. Prints a line per minute
 * and a verdict; exits with 1 if an answer was wrong or if memory, sockets or Redis keys grew.
 *
 *   npm run soak -- --minutes 30 --per-second 200
 *   npm run soak -- --record          writes the figures into docs/operations.md
 *
 * Without `--per-second`, the run measures the capacity; then nothing else should run on the machine.
 */
import { parseArgs } from 'node:util'
import { quantile } from '../chaos/load.js'
import { fillIn } from '../helpers/doc-tables.js'
import { machine } from '../helpers/machine.js'
import { connectTo } from './client.js'
import { createMix, type Report } from './mix.js'
import { gather } from './people.js'
import { makePlace } from './place.js'
import { lookAt, verdict, type Held } from './watch.js'

const PEOPLE = 300
const SHARE_OF_CAPACITY = 0.7
const RAMP_AT_ONCE = [4, 8, 16, 32]
const RAMP_MS = 5_000
const LOOK_MS = 5_000
const MINUTE_MS = 60_000
/** Caches fill until then, so growth is not judged. A third of a shorter run. */
const WARM_UP_MINUTES = 5
const HEAD = ['minute', 'requests', 'unexpected', 'p50 ms', 'p99 ms', 'RSS MB', 'heap MB', 'sockets', 'Redis keys']
/** Interval of the recorded minutes, in minutes. */
const RECORDED_MINUTES = 5
const DOCUMENT = 'docs/operations.md'

interface Seen { requests: number, ms: number[], faults: Map<string, number> }
const nothingSeen = (): Seen => ({ requests: 0, ms: [], faults: new Map() })
const countOf = ({ faults }: Seen) => [...faults.values()].reduce((sum, count) => sum + count, 0)

type Mix = ReturnType<typeof createMix>

const undos: Array<() => unknown> = []
async function cleanUp (): Promise<void> {
  for (let undo = undos.pop(); undo !== undefined; undo = undos.pop()) await undo()
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { void cleanUp().finally(() => process.exit(1)) })

try {
  process.exitCode = await main() ? 0 : 1
} catch (error) {
  console.error(error)
  process.exitCode = 1
} finally {
  await cleanUp()
}

async function main (): Promise<boolean> {
  const { values } = parseArgs({
    options: { minutes: { type: 'string', default: '30' }, 'per-second': { type: 'string' }, record: { type: 'boolean', default: false } }
  })
  const minutes = whole('minutes', values.minutes)
  const given = values['per-second'] === undefined ? undefined : whole('per-second', values['per-second'])
  const { redis, startService } = await makePlace((undo) => { undos.push(undo) })
  const { base, pid } = await startService()
  const client = connectTo(base)
  undos.push(() => client.close())
  const people = await gather(client, PEOPLE)

  let seen = nothingSeen()
  const report: Report = (_kind, { ms }, fault) => {
    seen.requests++
    seen.ms.push(ms)
    if (fault !== null) seen.faults.set(fault, (seen.faults.get(fault) ?? 0) + 1)
  }
  const mix = createMix(client, people, report)

  const perSecond = given ?? Math.max(1, Math.floor(await capacity(mix, () => seen.requests) * SHARE_OF_CAPACITY))
  console.log(`${machine()}; ${perSecond} requests/s for ${minutes} min`)
  console.log(row(HEAD))
  const recorded: string[][] = [HEAD, HEAD.map(() => '---:')]

  seen = nothingSeen()
  const held: Held[] = []
  const total = nothingSeen()
  const load = openLoop(mix, perSecond)
  const startedAtMs = performance.now()
  for (let minute = 1; minute <= minutes; minute++) {
    while (performance.now() < startedAtMs + minute * MINUTE_MS) {
      await pass(Math.min(LOOK_MS, startedAtMs + minute * MINUTE_MS - performance.now()))
      held.push(await lookAt(base, pid, redis, client, (performance.now() - startedAtMs) / MINUTE_MS))
    }
    const past = seen
    seen = nothingSeen()
    add(total, past)
    const cells = cellsOf(minute, past, held.at(-1)!)
    console.log(row(cells))
    if (minute % RECORDED_MINUTES === 0 || minute === minutes) recorded.push(cells)
  }
  await load.stop()
  add(total, seen)
  const warmUp = Math.min(WARM_UP_MINUTES, minutes / 3)
  const judged = verdict(total.requests, countOf(total), held.filter(({ minute }) => minute >= warmUp))
  for (const [fault, count] of total.faults) console.log(`unexpected, ${count} times: ${fault}`)
  for (const { sentence, holds } of judged) console.log(`${holds ? 'ok' : 'NOT OK'}: ${sentence}`)
  if (values.record) {
    const lines = [
      `${machine()}; one service, ${perSecond} requests a second for ${minutes} minutes` +
        `${given === undefined ? ', 70 % of what it could do' : ''}; of single minutes:`,
      '',
      ...recorded.map((cells) => `| ${cells.join(' | ')} |`), '',
      `After the first ${warmUp} minutes:`, '',
      ...judged.map(({ sentence }) => `- ${sentence}`)
    ]
    await fillIn(DOCUMENT, { soak: lines.join('\n') })
  }
  return judged.every(({ holds }) => holds)
}

/** Returns the highest throughput in requests per second. Each of the parallel clients sends the next request after its answer. */
async function capacity (mix: Mix, requests: () => number): Promise<number> {
  let most = 0
  for (const atOnce of RAMP_AT_ONCE) {
    const [beganAtMs, before] = [performance.now(), requests()]
    await Promise.all(Array.from({ length: atOnce }, async () => {
      while (performance.now() < beganAtMs + RAMP_MS) await mix.next()
    }))
    const perSecond = (requests() - before) / (performance.now() - beganAtMs) * 1000
    console.log(`${atOnce} at once: ${perSecond.toFixed(0)} requests/s`)
    most = Math.max(most, perSecond)
  }
  return most
}

/** Sends `perSecond` requests each second, independent of the answers. */
function openLoop (mix: Mix, perSecond: number): { stop (): Promise<void> } {
  const underWay = new Set<Promise<void>>()
  const startedAtMs = performance.now()
  let sent = 0
  const timer = setInterval(() => {
    const due = (performance.now() - startedAtMs) / 1000 * perSecond
    for (; sent < due; sent++) {
      const doing = mix.next()
      underWay.add(doing)
      void doing.finally(() => underWay.delete(doing))
    }
  }, 5)
  return {
    async stop () {
      clearInterval(timer)
      await Promise.all(underWay)
    }
  }
}

function add (total: Seen, { requests, faults }: Seen): void {
  total.requests += requests
  for (const [fault, count] of faults) total.faults.set(fault, (total.faults.get(fault) ?? 0) + count)
}

function cellsOf (minute: number, past: Seen, { rssMb, heapMb, sockets, redisKeys }: Held): string[] {
  return [
    String(minute), String(past.requests), String(countOf(past)), quantile(past.ms, 0.5).toFixed(1), quantile(past.ms, 0.99).toFixed(0),
    rssMb.toFixed(0), heapMb.toFixed(0), String(sockets), String(redisKeys)
  ]
}

function row (cells: readonly string[]): string {
  return cells.map((cell) => cell.padStart(11)).join('')
}

function pass (ms: number): Promise<void> {
  return new Promise((resolve) => { setTimeout(resolve, Math.max(ms, 0)) })
}

function whole (name: string, text: string): number {
  if (!/^[1-9][0-9]{0,3}$/.test(text)) throw new Error(`--${name} must be a whole number from 1 to 9999.`)
  return Number(text)
}
