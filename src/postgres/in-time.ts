/**
 * What was asked for, or an end to waiting for it.
 *
 * @param sentence as pg says it: errors.ts knows it by that
 */
export async function inTime<T> (asked: Promise<T>, waitMs: number, sentence: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => { reject(new Error(sentence)) }, waitMs)
  })
  return await Promise.race([asked, late]).finally(() => { clearTimeout(timer) })
}

/** The same for a connection: a host's pool, as most are made, waits for ever. What comes too late goes back at once. */
export async function connectInTime<Client extends { release (): void }> (connecting: Promise<Client>, waitMs: number): Promise<Client> {
  return await inTime(connecting, waitMs, 'timeout exceeded when trying to connect').catch((error: unknown) => {
    connecting.then((client) => { client.release() }, () => {})
    throw error
  })
}
