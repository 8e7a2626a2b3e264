import { around, requester, interleave } from './contest.js'
import { get } from './generator.js'
import { atMostOver, rowOf } from './rows.js'
import type { Work } from './run.js'

const AT_ONCE = 32
/** Few enough that each session is read again within a second. */
const HOT = 1_000

/** A route of a host, and the same route behind `app.otpVerified`, in one process with the plugin attached. */
export const host: Work = async (stage, _owner, { rounds, warmUp, guarded: times }) => {
  const tokens = (await stage.putAtHost(HOT)).map(({ userId, sessionId }) => `${userId}.${sessionId}`)
  const process = await stage.limit('host')
  const ask = (name: string, path: string) => requester(name, process, around(tokens.map((token) => get(path, token))))
  const { own, guarded } = await interleave(
    { own: ask("the host's own route", '/own'), guarded: ask('behind `app.otpVerified`', '/guarded') },
    { rounds, times, atOnce: AT_ONCE, warmUp }
  )
  const work = "a host's route"
  return [rowOf(work, own), rowOf(work, guarded, { verdicts: [atMostOver(own, guarded, 6)] })]
}
