/** Messages of pg if a server accepts a connection and does not answer: a PostgreSQL that hangs, a half-open network. */
const MUTE = /connection timeout|timeout expired/

/**
 * Connection throttle: wraps `connect` for a PostgreSQL that hangs. After a new connection was not answered in time, one request
 * at a time tries to connect; the others wait for its result and fail with it. Otherwise each request would leave a connection
 * behind, and PostgreSQL would have to process all the abandoned ones after it recovers before it serves new requests.
 */
export function connectOneByOne<Client> (connect: () => Promise<Client>): () => Promise<Client> {
  let isMute = false
  let trying: Promise<unknown> | undefined

  async function tryToConnect (): Promise<Client> {
    try {
      const client = await connect()
      isMute = false
      return client
    } catch (error) {
      isMute ||= error instanceof Error && MUTE.test(error.message)
      throw error
    }
  }

  return async () => {
    if (!isMute) return await tryToConnect()
    if (trying !== undefined) {
      await trying
      return await tryToConnect()
    }
    const connecting = tryToConnect()
    trying = connecting
    return await connecting.finally(() => { trying = undefined })
  }
}
