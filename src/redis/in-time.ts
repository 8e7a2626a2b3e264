import { REDIS_COMMAND_MS } from '../timing/limits.js'

/** Result if no answer came in time. */
export const MUTE = Symbol('no answer in time')

/**
 * Returns the answer, or MUTE after REDIS_COMMAND_MS. Not by ioredis' `commandTimeout`: that one does not count the wait
 * behind an earlier pipeline, and takes a busy event loop for a server that does not answer. The `setImmediate` lets the
 * process read answers that are already in the socket first.
 */
export function answerInTime<T> (answer: Promise<T>): Promise<T | typeof MUTE> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => setImmediate(resolve, MUTE), REDIS_COMMAND_MS)
    answer.then((value) => {
      clearTimeout(timer)
      resolve(value)
    }, (error: unknown) => {
      clearTimeout(timer)
      reject(error)
    })
  })
}
