import { repeat } from '../timing/repeat.js'
import { isRetriable } from './errors.js'

/** Waits of 5 to 25 ms at first: enough jitter against a new conflict. */
const CONFLICT = { tries: 4, firstMs: 15, longestMs: 35, jitter: 0.7, holdsProcess: true }

/** Repeats the whole attempt after a serialization failure or deadlock, three times at most. */
export async function retrying<T> (attempt: () => Promise<T>): Promise<T> {
  let result!: T
  await repeat(async (isLast) => {
    try {
      result = await attempt()
      return true
    } catch (error) {
      // `cause`: the error of a transaction has become a refusal before it arrives here.
      if (isLast || !isRetriable((error as Error).cause ?? error)) throw error
      return false
    }
  }, CONFLICT)
  return result
}
