import { setTimeout as delay } from 'node:timers/promises'
import { isRetriable } from './errors.js'

const RETRIES = 3

/** Repeats the whole attempt after a serialization failure or deadlock, three times at most, with jitter against a new conflict. */
export async function retrying<T> (attempt: () => Promise<T>): Promise<T> {
  for (let tried = 0; ; tried++) {
    try {
      return await attempt()
    } catch (error) {
      // `cause`: the error of a transaction has become a refusal before it arrives here.
      if (tried >= RETRIES || !isRetriable((error as Error).cause ?? error)) throw error
      await delay(5 + Math.random() * 20 * (tried + 1))
    }
  }
}
