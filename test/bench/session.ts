import { freePort } from '../helpers/free-port.js'
import { freshKeys, type Settings } from '../helpers/settings.js'
import { around, requester, interleave, portionsFor, ratio, supply, type Contestant, type Measured, type Process } from './contest.js'
import { endSome } from './endings.js'
import { closedLoop, get } from './generator.js'
import { atMostOver, rowOf, text, type Row, type Verdict } from './rows.js'
import type { Work } from './run.js'
import type { Stage } from './stage.js'

const AT_ONCE = 32
const HOT_PASSES = 4

/** `GET /session` with verified sessions, on two replicas; sessions end at the other replica all the time. */
export const session: Work = async (stage, owner, scale) => {
  const { rounds, warmUp, guarded, hot, known, unknown, endings } = scale
  const [ours, other] = await Promise.all([stage.service(), stage.service()])
  owner.teardown(await endSome(stage, other, endings))
  const ask = async (
    name: string, process: Process, size: number, more: Asked = {}
  ) => await contestant(stage, name, process, size, rounds, more)
  const [eddsa, noRedis] = await Promise.all([
    variant(stage, 'seen within a second, EdDSA', { JWT_ALG: 'EdDSA', JWT_KEYS: freshKeys('EdDSA')['JWT_KEYS']! }, hot, rounds),
    variant(stage, 'seen within a second, Redis dead', { REDIS_URL: `redis://127.0.0.1:${await freePort()}` }, hot, rounds)
  ])
  const contestants = {
    bare: await ask('bare route', await stage.limit('bare'), hot),
    jwt: await ask('plain jwtVerify()', await stage.limit('jwt'), hot),
    hot: await ask('seen within a second', ours, hot, { knownAt: ours }),
    known: await ask('known, not lately seen', ours, known, { knownAt: ours, times: known }),
    copied: await ask('first seen, found in Redis', ours, unknown, { knownAt: other, times: unknown }),
    unknown: await ask('first seen, asked of Postgres', ours, unknown, { times: unknown }),
    eddsa,
    noRedis
  }
  const measured = await interleave(contestants, { rounds, times: guarded, atOnce: AT_ONCE, warmUp })
  return rowsOf(measured)
}

interface Asked {
  /** Process that gets requests with the sessions of a round before it, not measured. */
  knownAt?: Process
  /** Requests per round, if each session is read once. */
  times?: number
  issue?: Stage['issue']
}

/** Uses other sessions in each round, so that no session is in a cache for long. */
async function contestant (
  stage: Stage, name: string, process: Process, size: number, rounds: number, { knownAt, times, issue }: Asked
): Promise<Contestant> {
  const { next, nextPortion } = supply(await requestsFor(stage, size * portionsFor(rounds), issue), size)
  const prepare = async () => {
    const portion = nextPortion()
    if (knownAt === undefined) return
    // If the sessions are read again and again, the effects of the first reads must be over before the measurement.
    const passes = times === undefined ? HOT_PASSES : 1
    await closedLoop({ port: knownAt.port, next: around(portion), status: 200 }, passes * portion.length, AT_ONCE)
  }
  return requester(name, process, next, { prepare, ...(times === undefined ? {} : { times }) })
}

/** The same service with other settings. */
async function variant (stage: Stage, name: string, settings: Settings, size: number, rounds: number): Promise<Contestant> {
  const process = await stage.service(settings)
  return await contestant(stage, name, process, size, rounds, { knownAt: process, issue: await stage.issuerFor(settings) })
}

async function requestsFor (stage: Stage, count: number, issue = stage.issue): Promise<Buffer[]> {
  const { guarded } = await stage.put({ guarded: count })
  return guarded.map((facts) => get('/session', issue(facts).access))
}

type Name = 'bare' | 'jwt' | 'hot' | 'known' | 'copied' | 'unknown' | 'eddsa' | 'noRedis'

function rowsOf ({ bare, jwt, hot, ...others }: Record<Name, Measured>): Row[] {
  const work = '`GET /session`'
  const half = ratio(hot.cpuUsByRound, jwt.cpuUsByRound)
  return [
    rowOf(work, bare),
    rowOf(work, jwt),
    rowOf(work, hot, {
      verdicts: [
        atMostOver(bare, hot, 6),
        { goal: '≤ 0.5 × plain jwtVerify()', measured: text(half), holds: half.median <= 0.5 }
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
