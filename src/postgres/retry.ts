import { repeat } from '../timing/repeat.js'
import { isRetriable } from './errors.js'

/** Waits of 5 to 25 ms at first: enough jitter against a new conflict. Nearly no attempt needs them, and each statement is one. */
const AFTER_CONFLICT = { tries: 4, firstMs: 15, longestMs: 35, jitter: 0.7, holdsProcess: true, waitsFirst: true }

/** `cause`: the error of a transaction has become a refusal before it arrives here. */
const isConflict = (error: unknown): boolean => isRetriable((error as Error).cause ?? error)

/** Repeats the whole attempt after a serialization failure or deadlock, three times at most. */
export async function retrying<T> (attempt: () => Promise<T>): Promise<T> {
  try {
    return await attempt()
  } catch (error) {
    if (!isConflict(error)) throw error
  }
  let result!: T
  await repeat(async (isLast) => {
    try {
      result = await attempt()
      return true
    } catch (error) {
      if (isLast || !isConflict(error)) throw error
      return false
    }
  }, AFTER_CONFLICT)
  return result
}
