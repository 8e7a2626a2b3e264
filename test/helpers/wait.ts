import { setTimeout as delay } from 'node:timers/promises'

const POLL_MS = 10

/**
 * Asks again and again until the answer is truthy, and gives it back.
 *
 * @param what completes the sentence "waited in vain for …"
 * @throws at the deadline, with what the last attempt threw as its cause
 */
export async function until<T> (what: string, ask: () => T | Promise<T>, deadlineMs = 10_000): Promise<NonNullable<T>> {
  const endAtMs = performance.now() + deadlineMs
  let cause: unknown
  do {
    try {
      const answer = await ask()
      if (answer) return answer
      cause = undefined
    } catch (error) {
      cause = error
    }
    await delay(POLL_MS)
  } while (performance.now() < endAtMs)
  throw new Error(`Waited in vain for ${what} (${deadlineMs} ms)`, { cause })
}
