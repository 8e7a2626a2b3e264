import { call } from '../helpers/http-client.js'
import { freePort } from '../helpers/free-port.js'
import { freshKeys, type Settings } from '../helpers/settings.js'
import { around, asking, interleave, latencies, portionsFor, ratio, supply, type Contestant, type Measured, type Process } from './contest.js'
import { closedLoop, get } from './generator.js'
import { atMostOver, rowOf, text, type Row, type Verdict } from './rows.js'
import type { Scale, Work } from './run.js'
import type { Stage } from './stage.js'

const AT_ONCE = 32
const ENDS_PER_SECOND = 20
const LATENCY_SHARE = 0.5

/** `GET /session` with verified sessions, on two replicas of which the other one ends some all the time. */
export const session: Work = async (stage, owner, scale) => {
  const { rounds, warmUp, guarded, hot, known, unknown, endings } = scale
  const [ours, other] = [await stage.service(), await stage.service()]
  const stopEnding = await endSome(stage, other, endings)
  owner.teardown(stopEnding)
  const ask = async (name: string, process: Process, size: number, more: Asked = {}) => await contestant(stage, name, process, size, rounds, more)
  const contestants = {
    bare: await ask('bare route', await stage.limit('bare'), hot),
    jwt: await ask('plain jwtVerify()', await stage.limit('jwt'), hot),
    hot: await ask('seen within a second', ours, hot, { knownAt: ours }),
    known: await ask('known, not lately seen', ours, known, { knownAt: ours, times: known }),
    copied: await ask('first seen, found in Redis', ours, unknown, { knownAt: other, times: unknown }),
    unknown: await ask('first seen, asked of Postgres', ours, unknown, { times: unknown }),
    eddsa: await variant(stage, 'seen within a second, EdDSA', { JWT_ALG: 'EdDSA', JWT_KEYS: freshKeys('EdDSA')['JWT_KEYS']! }, hot, rounds),
    noRedis: await variant(stage, 'seen within a second, Redis dead', { REDIS_URL: `redis://127.0.0.1:${await freePort()}` }, hot, rounds)
  }
  const measured = await interleave(contestants, { rounds, times: guarded, atOnce: AT_ONCE, warmUp })
  const p99Ms = await hotLatencies(stage, ours, contestants.bare, measured, scale)
  await stopEnding()
  return rowsOf(measured, p99Ms)
}

interface Asked {
  /** Who is asked about a round's sessions beforehand, unmeasured. */
  knownAt?: Process
  /** Requests a round, where that is once for each session. */
  times?: number
  issue?: Stage['issue']
}

/** Asks about other sessions in each round, so that none was remembered for long. */
async function contestant (stage: Stage, name: string, process: Process, size: number, rounds: number, { knownAt, times, issue }: Asked): Promise<Contestant & { port: number }> {
  const { next, nextPortion } = supply(await requestsFor(stage, size * portionsFor(rounds), issue), size)
  const prepare = async () => {
    const portion = nextPortion()
    if (knownAt !== undefined) await closedLoop({ port: knownAt.port, next: around(portion), status: 200 }, portion.length, AT_ONCE)
  }
  return { ...asking(name, process, next, { prepare, ...(times === undefined ? {} : { times }) }), port: process.port }
}

/** The same service otherwise configured. */
async function variant (stage: Stage, name: string, settings: Settings, size: number, rounds: number): Promise<Contestant> {
  const process = await stage.service(settings)
  return await contestant(stage, name, process, size, rounds, { knownAt: process, issue: await stage.issuerFor(settings) })
}

async function requestsFor (stage: Stage, count: number, issue = stage.issue): Promise<Buffer[]> {
  const { guarded } = await stage.put({ guarded: count })
  return guarded.map((facts) => get('/session', issue(facts).access))
}

async function hotLatencies (stage: Stage, { port }: Process, bare: { port: number }, { bare: { perSecond: bareRate }, hot: { perSecond: hotRate } }: Record<'bare' | 'hot', Measured>, { hot: size, latency }: Scale) {
  const requests = await requestsFor(stage, size)
  await closedLoop({ port, next: around(requests), status: 200 }, size, AT_ONCE)
  const targets = [bare.port, port].map((port) => ({ port, next: around(requests), status: 200 }))
  const [bareMs, hotMs] = await latencies(targets, Math.min(bareRate.median, hotRate.median) * LATENCY_SHARE, latency)
  return { bare: bareMs!, hot: hotMs! }
}

function rowsOf ({ bare, jwt, hot, ...others }: Awaited<ReturnType<typeof interleave<'bare' | 'jwt' | 'hot' | 'known' | 'copied' | 'unknown' | 'eddsa' | 'noRedis'>>>, p99Ms: Awaited<ReturnType<typeof hotLatencies>>): Row[] {
  const work = '`GET /session`'
  const half = ratio(hot.cpuUsByRound, jwt.cpuUsByRound)
  // As with CPU: the lowest is what others can only add to.
  const overMs = p99Ms.hot.lowest - p99Ms.bare.lowest
  return [
    rowOf(work, bare, { p99Ms: p99Ms.bare }),
    rowOf(work, jwt),
    rowOf(work, hot, {
      p99Ms: p99Ms.hot,
      verdicts: [
        atMostOver(bare, hot, 6),
        { goal: '≤ 0.5 × plain jwtVerify()', measured: text(half), holds: half.median <= 0.5 },
        { goal: 'p99 ≤ bare route + 1 ms', measured: `${overMs < 0 ? '−' : '+'} ${Math.abs(overMs).toFixed(2)} ms, lowest of the rounds`, holds: overMs <= 1 }
      ]
    }),
    rowOf(work, others.known, { verdicts: [atMostOver(bare, others.known, 20)] }),
    rowOf(work, others.copied),
    rowOf(work, others.unknown),
    rowOf(work, others.eddsa, { verdicts: [asFast(others.eddsa, hot, 1.25)] }),
    rowOf(work, others.noRedis, { verdicts: [asFast(others.noRedis, hot, 1.25)] })
  ]
}

function asFast (ours: Measured, itself: Measured, most: number): Verdict {
  const found = ratio(ours.cpuUsByRound, itself.cpuUsByRound)
  return { goal: `≤ ${most} × HS256 with Redis`, measured: text(found), holds: found.median <= most }
}

/** Logs sessions out at a replica, so many a second, until told to stop. */
async function endSome (stage: Stage, { port }: Process, count: number): Promise<() => Promise<void>> {
  const next = around((await stage.put({ guarded: count })).guarded)
  let ending: Promise<unknown> = Promise.resolve()
  const timer = setInterval(() => {
    ending = call(`http://127.0.0.1:${port}`, 'POST', '/token/revoke', { access: stage.issue(next()).access }).catch(() => {})
  }, 1000 / ENDS_PER_SECOND)
  return async () => {
    clearInterval(timer)
    await ending
  }
}
