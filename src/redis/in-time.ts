/** Longest that anyone waits for Redis, in milliseconds. */
export const COMMAND_TIMEOUT_MS = 250

/** Stands for an answer that did not come. */
export const MUTE = Symbol('no answer in time')

/**
 * The answer, or MUTE after COMMAND_TIMEOUT_MS. Ours, not ioredis' `commandTimeout`: that one does not count
 * the time a command waits behind the pipeline before it, and takes a busy event loop for a mute server.
 * Hence the setImmediate: answers that lie in the socket by then are read first.
 */
export function answerInTime<T> (answer: Promise<T>): Promise<T | typeof MUTE> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => setImmediate(resolve, MUTE), COMMAND_TIMEOUT_MS)
    answer.then((value) => {
      clearTimeout(timer)
      resolve(value)
    }, (error: unknown) => {
      clearTimeout(timer)
      reject(error)
    })
  })
}
