import type { RedisClient } from './client.js'
import { adoptRedis, noRedis, type RedisLink, type RedisLog } from './link.js'

/** Client of a host, or the link of the service. The options of a host's client are not changed, and it is never closed here. */
export type HostRedis = RedisClient | RedisLink

export function isRedis (value: unknown): boolean {
  return typeof value === 'object' && value !== null && (isLink(value) || ('duplicate' in value && 'status' in value))
}

const isLink = (value: object): value is RedisLink => 'run' in value && 'state' in value

export interface OpenedRedis { link: RedisLink, close (): Promise<void> }

export function openHostRedis (redis: HostRedis | undefined, log: RedisLog): OpenedRedis {
  if (redis === undefined) return { link: noRedis, close: async () => {} }
  if (isLink(redis)) return { link: redis, close: async () => {} }
  const link = adoptRedis(redis, log)
  return { link, close: () => link.close() }
}
