import { setTimeout as delay } from 'node:timers/promises'

const POLL_MS = 10
/** Longer than any wait, except on an overloaded machine. */
const DEADLINE_MS = 30_000

/**
 * Calls `ask` until the result is truthy, and returns it.
 *
 * @param what completes the sentence "waited in vain for …"
 * @throws at the deadline; and at once if `ask` throws. If an error is normal for some time, catch it in `ask`
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
