import type { RedisClient } from './client.js'
import { adoptRedis, noRedis, type RedisLink, type RedisLog } from './link.js'

/** Client of a host. Its options are not changed, and it is never closed here. */
export type HostRedis = RedisClient

export function isRedis (value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'duplicate' in value && 'status' in value
}

export interface OpenedRedis { link: RedisLink, close (): Promise<void> }

export function openHostRedis (redis: HostRedis | undefined, log: RedisLog): OpenedRedis {
  if (redis === undefined) return { link: noRedis, close: async () => {} }
  const link = adoptRedis(redis, log)
  return { link, close: () => link.close() }
}
