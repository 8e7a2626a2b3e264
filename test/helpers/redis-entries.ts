import type { RedisClient } from '../../src/redis/client.js'
import type { RedisLink } from '../../src/redis/link.js'

/** The entries of Redis, which never go by themselves, and a link by which a replica reads them or does not reach it. */
export function entries () {
  const values = new Map<string, string>()
  const client = {
    get: async (key: string) => values.get(key) ?? null,
    set: async (key: string, value: string) => { values.set(key, value) },
    publish: async () => 0
  } as unknown as RedisClient
  const link = (isUp: () => boolean): RedisLink => {
    const run: RedisLink['run'] = async (command) => isUp() ? await command(client) : undefined
    return { state: 'up', run, write: run, subscribe () {}, unsubscribe () {}, async close () {} }
  }
  return { link }
}
