import { setTimeout as delay } from 'node:timers/promises'
import { isRetriable } from './errors.js'

const RETRIES = 3

/** Serialization failures and deadlocks: the whole of it is tried again, three times at most, with jitter so that two do not meet again. */
export async function retrying<T> (attempt: () => Promise<T>): Promise<T> {
  for (let tried = 0; ; tried++) {
    try {
      return await attempt()
    } catch (error) {
      // `cause`: what was lost in a transaction is a refusal by the time it comes here.
      if (tried >= RETRIES || !isRetriable((error as Error).cause ?? error)) throw error
      await delay(5 + Math.random() * 20 * (tried + 1))
    }
  }
}
