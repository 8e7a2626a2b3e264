import { call } from '../helpers/http-client.js'
import { around, type Process } from './contest.js'
import type { Stage } from './stage.js'

const ENDS_PER_SECOND = 20

/** Logs sessions out at one replica, ENDS_PER_SECOND of them each second, until the returned function is called. */
export async function endSome (stage: Stage, { port }: Process, count: number): Promise<() => Promise<void>> {
  const next = around((await stage.put({ guarded: count })).guarded)
  const endings = new Set<Promise<unknown>>()
  const timer = setInterval(() => {
    const ending = call(
      `http://127.0.0.1:${port}`, 'POST', '/token/revoke', { access: stage.issue(next()).access }
    ).catch(() => {}).finally(() => endings.delete(ending))
    endings.add(ending)
  }, 1000 / ENDS_PER_SECOND)
  return async () => {
    clearInterval(timer)
    await Promise.all(endings)
  }
}
