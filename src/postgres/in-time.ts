/**
 * Returns the result of a promise, or rejects after `waitMs`.
 *
 * @param sentence message of the error, in pg's words, by which errors.ts recognises it
 */
export async function inTime<T> (asked: Promise<T>, waitMs: number, sentence: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => { reject(new Error(sentence)) }, waitMs)
  })
  return await Promise.race([asked, late]).finally(() => { clearTimeout(timer) })
}

/** Limits the wait for a connection: most pools of hosts wait without limit. A connection that comes too late is released at once. */
export async function connectInTime<Client extends { release (): void }> (connecting: Promise<Client>, waitMs: number): Promise<Client> {
  return await inTime(connecting, waitMs, 'timeout exceeded when trying to connect').catch((error: unknown) => {
    connecting.then((client) => { client.release() }, () => {})
    throw error
  })
}
