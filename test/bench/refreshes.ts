import { requester, interleave, portionsFor, supply, type Contestant } from './contest.js'
import { post } from './generator.js'
import { atLeast, atMostOf, rowOf } from './rows.js'
import type { Work } from './run.js'
import type { Stage } from './stage.js'

const AT_ONCE = 32

/** `POST /token/refresh`, once per session. */
export const refreshes: Work = async (stage, _owner, { writingRounds: rounds, refreshes: times }) => {
  const { guarded } = await stage.put({ guarded: times * portionsFor(rounds) })
  const users = supply(guarded.map(({ userId }) => post('/token/refresh', { userId })), times)
  const { former: other } = stage
  const contestants: Record<string, Contestant> = {
    limit: requester(
      'one conditional UPDATE', await stage.limit('one update'), users.next, { prepare: async () => { users.nextPortion() } }
    ),
    ours: await refreshing(stage, 'each session once', times, rounds),
    ...other === undefined ? {} : { former: await refreshing(other, other.name, times, rounds) }
  }
  const { limit, ours, former } = await interleave(contestants, { rounds, times, atOnce: AT_ONCE })
  const work = '`POST /token/refresh`'
  const against = former === undefined ? [] : [atMostOf(former, ours!, 0.8)]
  return [
    rowOf(work, limit!),
    rowOf(work, ours!, { verdicts: [...atLeast(limit!, ours!, 0.5), ...against] }),
    ...former === undefined ? [] : [rowOf(work, former)]
  ]
}

async function refreshing (
  stage: Pick<Stage, 'put' | 'issue' | 'service'>, name: string, times: number, rounds: number
): Promise<Contestant> {
  const { refreshes } = await stage.put({ refreshes: times * portionsFor(rounds) })
  const tokens = supply(refreshes.map((session) => post('/token/refresh', { refresh: stage.issue(session).refresh })), times)
  return requester(name, await stage.service(), tokens.next, { prepare: async () => { tokens.nextPortion() } })
}
