import { LocalWindows } from './local-windows.js'
import type { Hit } from './local-windows.js'
import type { RedisLink } from './link.js'

/**
 * Counts and sets the expiry in one step: an INCR without its PEXPIRE would refuse a network for ever. For the same reason it
 * checks the TTL on each hit that it refuses; an accepted one has no need of it.
 */
const COUNT_HIT = `
local count = redis.call('INCR', KEYS[1])
local window = tonumber(ARGV[1])
if count > 1 and count <= tonumber(ARGV[2]) then return {count, window} end
local ttl = count == 1 and -1 or redis.call('PTTL', KEYS[1])
if ttl >= 0 then return {count, ttl} end
redis.call('PEXPIRE', KEYS[1], window)
return {count, window}`

/**
 * Counts one hit on a key. Never throws.
 *
 * @param max hits of a window; only past it the time until its end is exact, before it at most the window
 */
export type CountHit = (key: string, windowMs: number, max: number) => Promise<Hit>

/**
 * Counts in Redis, exactly across all replicas; while Redis does not answer, in this process with the same window. The limit
 * always holds: without Redis, each replica has the whole budget and starts at zero.
 *
 * The first hit of a window is one command in place of a script of two. A replica tries that unless it has seen a hit of the window:
 * so a network that sends many pays for it once.
 */
export function countHits (redis: RedisLink, local = new LocalWindows()): CountHit {
  const seen = new LocalWindows()

  /** Begins the window with this hit. @returns null if there is one already, undefined if Redis does not answer */
  async function begin (key: string, windowMs: number): Promise<Hit | null | undefined> {
    const answer = await redis.run((client) => client.set(key, '1', 'PX', windowMs, 'NX'))
    return answer === 'OK' ? { count: 1, ttlMs: windowMs } : answer
  }

  async function count (key: string, windowMs: number, max: number): Promise<Hit | undefined> {
    const answer = await redis.run((client) => client.eval(COUNT_HIT, 1, key, windowMs, max)) as [count: number, ttlMs: number] | undefined
    return answer && { count: answer[0], ttlMs: answer[1] }
  }

  return async (key, windowMs, max) => {
    const isSeen = seen.hit(key, windowMs, performance.now()).count > 1
    const begun = isSeen ? null : await begin(key, windowMs)
    const hit = begun === null ? await count(key, windowMs, max) : begun
    return hit ?? local.hit(key, windowMs, performance.now())
  }
}
