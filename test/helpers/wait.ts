import { setTimeout as delay } from 'node:timers/promises'

const POLL_MS = 10
/** Nothing takes that long, except on a machine that leaves a test no time. */
const DEADLINE_MS = 30_000

/**
 * Asks again and again until the answer is truthy, and gives it back.
 *
 * @param what completes the sentence "waited in vain for …"
 * @throws at the deadline; and at once what `ask` throws: where that is to be expected for a while, catch it there
 */
export async function until<T> (what: string, ask: () => T | Promise<T>, deadlineMs = DEADLINE_MS): Promise<NonNullable<T>> {
  const endAtMs = performance.now() + deadlineMs
  do {
    const answer = await ask()
    if (answer) return answer
    await delay(POLL_MS)
  } while (performance.now() < endAtMs)
  throw new Error(`Waited in vain for ${what} (${deadlineMs} ms)`)
}
