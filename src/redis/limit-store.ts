import { LocalWindows } from './local-windows.js'
import type { Hit } from './local-windows.js'
import type { RedisLink } from './link.js'

/**
 * Counts and sets the expiry in one step: an INCR without its PEXPIRE would refuse a network for ever. For the same reason it
 * checks the TTL on each hit.
 */
const COUNT_HIT = `
local count = redis.call('INCR', KEYS[1])
local ttl = redis.call('PTTL', KEYS[1])
if ttl < 0 then
  ttl = tonumber(ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ttl)
end
return {count, ttl}`

/** Function that counts one hit on a key. Never throws. */
export type CountHit = (key: string, windowMs: number) => Promise<Hit>

/**
 * Counts in Redis, exactly across all replicas; while Redis does not answer, in this process with the same window. The limit
 * always holds: without Redis, each replica has the whole budget and starts at zero.
 */
export function countHits (redis: RedisLink, local = new LocalWindows()): CountHit {
  return async (key, windowMs) => {
    const answer = await redis.run((client) => client.eval(COUNT_HIT, 1, key, windowMs)) as [count: number, ttlMs: number] | undefined
    return answer ? { count: answer[0], ttlMs: answer[1] } : local.hit(key, windowMs, performance.now())
  }
}
