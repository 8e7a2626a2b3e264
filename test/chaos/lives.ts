import { Abandoned, createClient } from './client.js'
import { createLife } from './life.js'
import type { Told } from './told.js'

export interface Lives {
  told: Told[]
  /** Descriptions of wrong answers, and the duration of all answers. */
  wrong: string[]
  answersMs: number[]
  /** Lets each life finish its current request, then stops it. */
  stop (): Promise<void>
}

/**
 * Runs users that change, one change after another, everything that decides about access: `count` in parallel, each for a whole
 * life, then the next.
 *
 * @param staff a verified session of a staff member
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
