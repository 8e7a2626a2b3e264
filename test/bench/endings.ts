import { call } from '../helpers/http-client.js'
import { around, type Process } from './contest.js'
import type { Stage } from './stage.js'

const ENDS_PER_SECOND = 20

/** Logs sessions out at a replica, so many a second, until told to stop. */
export async function endSome (stage: Stage, { port }: Process, count: number): Promise<() => Promise<void>> {
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
