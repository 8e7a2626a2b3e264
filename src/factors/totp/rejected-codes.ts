import { createHmac } from 'node:crypto'
import { redisKey } from '../../redis/keys.js'
import type { RedisLink } from '../../redis/link.js'

/** Three periods of 30 s: the time for which a code is accepted with a window of 1. */
export const REMEMBER_SECONDS = 90

/** Code of a session. */
export interface SessionCode { userId: string, sessionId: string, code: string }

/**
 * Rejected-code cache, by session and MAC: a repeated code is refused without a statement. It only saves time: PostgreSQL
 * refuses the codes that Redis forgets. The cache has only refusals, so no entry in Redis can grant access.
 */
export interface RejectedCodes {
  /**
   * Returns undefined if the code must be judged; else the last known end of the user's lock (Unix seconds, 0 if none).
   *
   * @param nowSeconds time of PostgreSQL
   */
  find (code: SessionCode, nowSeconds: number): Promise<{ lockedUntil: number } | undefined>
  /** @param until Unix seconds of PostgreSQL, from which the code is judged again; at most `REMEMBER_SECONDS` ahead */
  add (code: SessionCode, until: number): void
  /** Stores a lock, so that a code that was judged before it gets the same answer during it as any other code. */
  locked (userId: string, lockedUntil: number): void
  released (userId: string): void
}

export function createRejectedCodes (redis: RedisLink, namespace: string, macKey: Buffer): RejectedCodes {
  const codeKey = ({ userId, sessionId, code }: SessionCode) => redisKey(namespace, userId, 'judged',
    createHmac('sha256', macKey).update(JSON.stringify([userId, sessionId, code])).digest('base64url'))
  const lockKey = (userId: string) => redisKey(namespace, userId, 'judged', 'lock')

  return {
    async find (code, nowSeconds) {
      const [until, lock] = await redis.run((client) => client.mget(codeKey(code), lockKey(code.userId))) ?? []
      return Number(until ?? 0) > nowSeconds ? { lockedUntil: Number(lock ?? 0) } : undefined
    },
    add (code, until) {
      void redis.run((client) => client.set(codeKey(code), String(until), 'EX', REMEMBER_SECONDS))
    },
    locked (userId, lockedUntil) {
      void redis.run((client) => client.set(lockKey(userId), String(lockedUntil), 'EX', REMEMBER_SECONDS))
    },
    released (userId) {
      void redis.run((client) => client.del(lockKey(userId)))
    }
  }
}
