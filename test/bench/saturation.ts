import { around, interleave, ratio, requester, type Contestant, type Measured, type Process } from './contest.js'
import { closedLoop, get } from './generator.js'
import { atMostOf, rowOf, text, type Row, type Verdict } from './rows.js'
import type { Work } from './run.js'
import type { Stage } from './stage.js'
import { saturated } from './wrk.js'
import type { Owner } from '../helpers/teardown.js'

/** Tokens in turn. */
const TOKENS = 100
const AT_ONCE = 32
/** Number of requests for the figure of the bench's own generator. */
const OWN_TIMES = 20_000

/** Guarded requests at saturation: `GET /session` with sessions that are in the local cache, and a host's route behind the guard. */
export const saturation: Work = async (stage, owner, { rounds, saturatedSeconds: seconds }) => {
  const asked = (process: Process, requests: readonly Buffer[], name: string) => saturated(owner, name, process, { seconds, requests })
  const tokens = await tokensOf(stage)
  const requests = tokens.map((token) => get('/session', token))
  const bare = await stage.limit('bare')
  const atHost = (await stage.putAtHost(TOKENS)).map(({ userId, sessionId }) => `${userId}.${sessionId}`)
  const [ours, jwt, host] = await Promise.all([stage.service(), stage.limit('jwt'), stage.limit('host')])
  const contestants: Record<string, Contestant> = {
    own: requester('bare route, by the own generator of the bench', bare, around(requests), { times: OWN_TIMES }),
    bare: await asked(bare, requests, 'bare route'),
    jwt: await asked(jwt, requests, 'plain jwtVerify()'),
    hot: await asked(ours, requests, '100 tokens in turn'),
    hostOwn: await asked(host, atHost.map((token) => get('/own', token)), "the host's own route"),
    hostGuarded: await asked(host, atHost.map((token) => get('/guarded', token)), 'behind `app.otpVerified`'),
    ...await former(stage, owner, seconds)
  }
  return rowsOf(await interleave(contestants, { rounds, times: 1, atOnce: AT_ONCE }), stage.former?.name)
}

async function tokensOf (stage: Pick<Stage, 'put' | 'issue'>): Promise<string[]> {
  const { guarded } = await stage.put({ guarded: TOKENS })
  return guarded.map((session) => stage.issue(session).access)
}

/** The same question to another revision. It has its own keys, tables and tokens. */
async function former ({ former: stage }: Stage, owner: Owner, seconds: number): Promise<Record<string, Contestant>> {
  if (stage === undefined) return {}
  const requests = (await tokensOf(stage)).map((token) => get('/session', token))
  const process = await stage.service()
  await closedLoop({ port: process.port, next: around(requests), status: 200 }, TOKENS, 1)
  return { former: await saturated(owner, stage.name, process, { seconds, requests }) }
}

function rowsOf (measured: Record<string, Measured>, revision: string | undefined): Row[] {
  const { own, bare, jwt, hot, hostOwn, hostGuarded, former } = measured as Record<string, Measured>
  const work = '`GET /session`, saturated'
  const atHost = "a host's route, saturated"
  return [
    rowOf(work, own!),
    rowOf(work, bare!, { verdicts: [atLeastAsFast(own!, bare!, 2)] }),
    rowOf(work, jwt!),
    rowOf(work, hot!, {
      verdicts: [
        atLeastAsFast(bare!, hot!, 0.75),
        atMostOf(bare!, hot!, 1.35),
        atLeastAsFast(jwt!, hot!, 2),
        ...revision === undefined ? [] : [atMostOf(former!, hot!, 1)]
      ]
    }),
    ...revision === undefined ? [] : [rowOf(work, former!)],
    rowOf(atHost, hostOwn!),
    rowOf(atHost, hostGuarded!, { verdicts: [atLeastAsFast(hostOwn!, hostGuarded!, 0.8)] })
  ]
}

/** Compares the throughput. */
function atLeastAsFast (limit: Measured, ours: Measured, share: number): Verdict {
  const found = ratio(ours.perSecondByRound, limit.perSecondByRound)
  return { goal: `≥ ${share} × the throughput of ${limit.name}`, measured: text(found), holds: found.median >= share }
}
