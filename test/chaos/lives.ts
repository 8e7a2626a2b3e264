import { Abandoned, createClient } from './client.js'
import { createLife } from './life.js'
import type { Told } from './told.js'

export interface Lives {
  told: Told[]
  /** Answers that should have been others, and how long all of them took. */
  wrong: string[]
  answersMs: number[]
  /** Each ends what it is at, and stops. */
  stop (): Promise<void>
}

/**
 * People who do, one after the other, all that changes who gets in: so many at once, each a whole life, then the next.
 *
 * @param staff a verified session of somebody of staff
 */
export function startLives (bases: string[], count: number, staff: { access: string }): Lives {
  const told: Told[] = []
  const wrong: string[] = []
  const answersMs: number[] = []
  const stopping = new AbortController()
  const client = createClient(bases, (ms) => answersMs.push(ms), stopping.signal)
  const live = createLife({ client, told, wrong, staff })
  const startedAt = Date.now()

  const lanes = Array.from({ length: count }, async (_, lane) => {
    for (let n = lane; !stopping.signal.aborted; n += count) {
      await live(`life-${startedAt}-${n}`, n).catch((error: unknown) => { if (!(error instanceof Abandoned)) wrong.push(String(error)) })
    }
  })
  return {
    told,
    wrong,
    answersMs,
    async stop () {
      stopping.abort()
      await Promise.all(lanes)
    }
  }
}
