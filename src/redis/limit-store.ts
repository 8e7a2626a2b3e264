import { LocalWindows } from './local-windows.js'
import type { Hit } from './local-windows.js'
import type { RedisLink } from './link.js'

/**
 * One script, so that the count and its end are one step: an INCR whose PEXPIRE got lost would
 * shut a network out for ever. The TTL is looked at on each hit for the same reason.
 */
const COUNT_HIT = `
local count = redis.call('INCR', KEYS[1])
local ttl = redis.call('PTTL', KEYS[1])
if ttl < 0 then
  ttl = tonumber(ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ttl)
end
return {count, ttl}`

/** Counts one hit on a key. Never throws. */
export type CountHit = (key: string, windowMs: number) => Promise<Hit>

/**
 * Counts in Redis, exactly over all replicas; while Redis does not answer, in this process with the
 * same window. Never "everything allowed": with Redis away the budget is per replica and starts anew.
 */
export function countHits (redis: RedisLink, local = new LocalWindows()): CountHit {
  return async (key, windowMs) => {
    const answer = await redis.run((client) => client.eval(COUNT_HIT, 1, key, windowMs)) as [count: number, ttlMs: number] | undefined
    return answer ? { count: answer[0], ttlMs: answer[1] } : local.hit(key, windowMs, performance.now())
  }
}
