import { requester, interleave, portionsFor, supply } from './contest.js'
import { post } from './generator.js'
import { atLeast, rowOf } from './rows.js'
import type { Work } from './run.js'

const AT_ONCE = 32

/** `POST /token/refresh`, once per session. */
export const refreshes: Work = async (stage, _owner, { writingRounds: rounds, refreshes: times }) => {
  const { refreshes, guarded } = await stage.put({ refreshes: times * portionsFor(rounds), guarded: times * portionsFor(rounds) })
  const tokens = supply(refreshes.map((session) => post('/token/refresh', { refresh: stage.issue(session).refresh })), times)
  const users = supply(guarded.map(({ userId }) => post('/token/refresh', { userId })), times)
  const { limit, ours } = await interleave({
    limit: requester(
      'one conditional UPDATE', await stage.limit('one update'), users.next, { prepare: async () => { users.nextPortion() } }
    ),
    ours: requester('each session once', await stage.service(), tokens.next, { prepare: async () => { tokens.nextPortion() } })
  }, { rounds, times, atOnce: AT_ONCE })
  const work = '`POST /token/refresh`'
  return [rowOf(work, limit), rowOf(work, ours, { verdicts: atLeast(limit, ours, 0.5) })]
}
