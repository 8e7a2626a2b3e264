/**
 * A person's day, for two thousand people at once: the cost of a log-in with all that follows, at the pace of people. The products live
 * it side by side, with a database and a Redis of their own, so that the other load of the machine affects them alike.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { ratio, spread, type Spread } from '../contest.js'
import { drawBars, PICTURES } from '../drawing.js'
import { text, type Row, type Verdict } from '../rows.js'
import type { Work } from '../run.js'
import { difference, NOTHING, openAccount, type Account, type Totals } from './account.js'
import { betterAuthFleet } from '../peers/better-auth.js'
import { bareFleet } from './bare.js'
import { basesOf, type Fleet } from './fleet.js'
import { live, type Pace } from './life.js'
import { ourFleet } from './ours.js'

/** Slices of the run, for the spread of the ratios. */
const SLICES = 7
const REST_SECONDS = 15
const LOG_INS_TO_FIND_THREADS = 12

export interface DayScale extends Pace { people: number, replicas: number, restSeconds?: number }

interface Contestant { fleet: Fleet, account: Account, slices: Totals[], restPerSecond: Totals }

export const day: Work = async (stage, owner, { day: scale }, { peer, stores }) => {
  const fleets = [await ourFleet(owner, 'this revision', stage, scale.replicas, scale.people)]
  if (stage.former !== undefined) fleets.push(await ourFleet(owner, stage.former.name, stage.former, scale.replicas, scale.people))
  if (peer === 'better-auth') fleets.push(await betterAuthFleet(owner, stores, scale.replicas, scale.people))
  fleets.push(await bareFleet(owner, stage, scale.replicas, scale.people))
  const contestants: Contestant[] = []
  for (const fleet of fleets) {
    const account = await openAccount(owner, { pids: fleet.processes.map(({ pid }) => pid), ...fleet })
    await (fleet.isLimit === true ? warmUp(fleet) : account.findHashingThreads(() => warmUp(fleet)))
    contestants.push({ fleet, account, slices: [], restPerSecond: NOTHING })
  }
  await rest(contestants, scale.restSeconds ?? REST_SECONDS)

  const seconds = scale.paceSeconds * 1.05 + scale.arrivalSeconds
  const slicing = slice(contestants, seconds)
  const lived = await Promise.all(contestants.map(async ({ fleet }) => await live(fleet.lives, basesOf(fleet), scale)))
  await slicing
  for (const [i, { failed, first }] of lived.entries()) {
    if (failed > 0) throw new Error(`${fleets[i]!.name}: ${failed} requests of ${scale.people} days failed`, { cause: first })
  }
  await writeFile(join(PICTURES, 'day.svg'), picture(contestants, scale.people))
  return rowsOf(contestants, scale.people, seconds)
}

function picture (contestants: readonly Contestant[], people: number): string {
  return drawBars("CPU of a person's day", 'ms', contestants.map(({ fleet: { name }, slices }) => ({
    name,
    parts: Object.entries(PARTS).filter(([, { unit }]) => unit === 'ms').map(
      ([part, { of }]) => ({ name: part, value: total(slices, of) / people })
    )
  })))
}

/** Log-ins at each replica: they show which threads hash, and compile the code. */
async function warmUp ({ lives, ...fleet }: Fleet): Promise<void> {
  for (const [i, base] of basesOf({ lives, ...fleet }).entries()) {
    const some = Array.from({ length: LOG_INS_TO_FIND_THREADS }, (_, n) => lives[(i * LOG_INS_TO_FIND_THREADS + n) % lives.length]!)
    await Promise.all(some.map((life) => life.logIn(base)))
  }
}

/** Measures what the fleets use while nothing is asked. */
async function rest (contestants: readonly Contestant[], seconds: number): Promise<void> {
  const before = await Promise.all(contestants.map(({ account }) => account.totals()))
  await delay(seconds * 1000)
  for (const [i, contestant] of contestants.entries()) {
    const used = difference(await contestant.account.totals(), before[i]!)
    contestant.restPerSecond = scaled(used, 1 / seconds)
  }
}

async function slice (contestants: readonly Contestant[], seconds: number): Promise<void> {
  let before = await Promise.all(contestants.map(({ account }) => account.totals()))
  for (let i = 0; i < SLICES; i++) {
    await delay(seconds / SLICES * 1000)
    const after = await Promise.all(contestants.map(({ account }) => account.totals()))
    for (const [n, { slices }] of contestants.entries()) slices.push(difference(after[n]!, before[n]!))
    before = after
  }
}

function scaled (totals: Totals, by: number): Totals {
  return Object.fromEntries(Object.entries(totals).map(([name, value]) => [name, value * by])) as unknown as Totals
}

type Part = (totals: Totals) => number
/** `hasLimit`: bare routes have this part too. */
const PARTS: Record<string, { of: Part, unit: string, goal: number, hasLimit?: true }> = {
  'service without hashing': { of: ({ serviceMs, hashingMs }) => serviceMs - hashingMs, unit: 'ms', goal: 0.45, hasLimit: true },
  'password hashing': { of: ({ hashingMs }) => hashingMs, unit: 'ms', goal: Infinity },
  PostgreSQL: { of: ({ postgresMs }) => postgresMs, unit: 'ms', goal: 0.55 },
  Redis: { of: ({ redisMs }) => redisMs, unit: 'ms', goal: Infinity },
  'Redis commands': { of: ({ commands }) => commands, unit: '', goal: 0.5 }
}

function rowsOf (all: readonly Contestant[], people: number, seconds: number): Row[] {
  return Object.entries(PARTS).flatMap(([part, { of, unit, goal, hasLimit }]) => {
    const contestants = all.filter(({ fleet: { isLimit } }) => isLimit !== true || hasLimit)
    const [ours, ...others] = contestants
    return contestants.map((contestant, i): Row => ({
      work: `a person's day, ${people} people: ${part}`,
      contestant: contestant.fleet.name,
      verdicts: [
        { goal: '–', measured: figure(contestant, of, unit, people, seconds), holds: true },
        ...(i > 0 ? [] : others.map((other) => against(ours!, other, of, goal)))
      ]
    }))
  })
}

/** For each person, and the share of it that the fleet uses while nothing is asked. */
function figure ({ slices, restPerSecond }: Contestant, of: Part, unit: string, people: number, seconds: number): string {
  const whole = slices.reduce((sum, slice) => sum + of(slice), 0) / people
  return `${whole.toFixed(2)} ${unit} for each person, ${(of(restPerSecond) * seconds / people).toFixed(2)} of it at rest`
}

function against (ours: Contestant, { fleet: { name, isLimit }, slices }: Contestant, of: Part, goal: number): Verdict {
  const found: Spread = ratio(ours.slices.map(of), slices.map(of))
  const whole = spread([total(ours.slices, of) / total(slices, of)])
  const isGoal = Number.isFinite(goal) && isLimit !== true && !name.includes('better-auth')
  return {
    goal: isGoal ? `≤ ${goal} × ${name}` : `– (× ${name})`,
    measured: `${whole.median.toFixed(2)}; slices ${text(found)}`,
    holds: !isGoal || whole.median <= goal
  }
}

function total (slices: readonly Totals[], of: Part): number {
  return slices.reduce((sum, slice) => sum + of(slice), 0)
}
