/**
 * A connection, or an end to waiting for one: a host's pool, as most are made, waits for ever. What comes too late goes
 * back at once.
 *
 * @param deadlineMs by the monotonic clock
 */
export async function connectInTime<Client extends { release (): void }> (connecting: Promise<Client>, deadlineMs: number): Promise<Client> {
  let isLate = false
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      isLate = true
      reject(new Error('timeout exceeded when trying to connect'))
    }, deadlineMs - performance.now())
  })
  connecting.then((client) => { if (isLate) client.release() }, () => {})
  return await Promise.race([connecting, late]).finally(() => { clearTimeout(timer) })
}
