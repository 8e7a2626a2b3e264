import { createHmac } from 'node:crypto'
import { redisKey } from '../../redis/keys.js'
import type { RedisLink } from '../../redis/link.js'

/** Three periods of 30 s: the time for which a code is accepted with a window of 1. */
const REMEMBER_SECONDS = 90

/**
 * Rejected-code cache, by session and MAC: a repeated code is refused without a statement. It only saves time: PostgreSQL
 * refuses the codes that Redis forgets. The cache has only refusals, so no entry in Redis can grant access.
 */
export interface RejectedCodes {
  /** Undefined if the code is new here; else the last known end of the user's lock (Unix seconds, 0 if none). */
  find (userId: string, sessionId: string, code: string): Promise<{ lockedUntil: number } | undefined>
  add (userId: string, sessionId: string, code: string): void
  /** Stores a lock, so that a code that was judged before it gets the same answer during it as any other code. */
  locked (userId: string, lockedUntil: number): void
  released (userId: string): void
}

export function createRejectedCodes (redis: RedisLink, namespace: string, macKey: Buffer): RejectedCodes {
  const codeKey = (userId: string, sessionId: string, code: string) => redisKey(namespace, userId, 'judged',
    createHmac('sha256', macKey).update(JSON.stringify([userId, sessionId, code])).digest('base64url'))
  const lockKey = (userId: string) => redisKey(namespace, userId, 'judged', 'lock')

  return {
    async find (userId, sessionId, code) {
      const [known, lock] = await redis.run((client) => client.mget(codeKey(userId, sessionId, code), lockKey(userId))) ?? []
      return typeof known === 'string' ? { lockedUntil: Number(lock ?? 0) } : undefined
    },
    add (userId, sessionId, code) {
      void redis.run((client) => client.set(codeKey(userId, sessionId, code), '', 'EX', REMEMBER_SECONDS))
    },
    locked (userId, lockedUntil) {
      void redis.run((client) => client.set(lockKey(userId), String(lockedUntil), 'EX', REMEMBER_SECONDS))
    },
    released (userId) {
      void redis.run((client) => client.del(lockKey(userId)))
    }
  }
}
