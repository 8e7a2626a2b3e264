/** What pg says where a connection is taken and then nobody speaks: a Postgres that stands still, a network that is half-open. */
const MUTE = /connection timeout|timeout expired/

/**
 * The same `connect`, for a Postgres that stands still: once a new connection was not answered in time, one request at a
 * time tries for another, and the others wait for what comes of that and fail with it. Each would leave connections
 * behind otherwise, which Postgres, back again, has to take up one by one and find abandoned before it serves anybody.
 */
export function knockOneByOne<Client> (connect: () => Promise<Client>): () => Promise<Client> {
  let isMute = false
  let trying: Promise<unknown> | undefined

  async function knock (): Promise<Client> {
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
    if (!isMute) return await knock()
    if (trying !== undefined) {
      await trying
      return await knock()
    }
    const knocking = knock()
    trying = knocking
    return await knocking.finally(() => { trying = undefined })
  }
}
