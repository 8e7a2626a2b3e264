import { createHmac } from 'node:crypto'
import { redisKey } from '../../redis/keys.js'
import type { RedisLink } from '../../redis/link.js'

/** Three periods: as long as a code could be worth trying again. */
const REMEMBER_SECONDS = 90

/**
 * Codes that were judged already, by session and MAC: the same one again is refused without a statement. Only speed:
 * what Redis forgets, Postgres refuses. Only refusals are kept here, so nothing in Redis can let anybody in.
 */
export interface JudgedCodes {
  /** Undefined if the code is new here; else until when the user was last told that TOTP is locked (Unix seconds, 0: never). */
  find (userId: string, sessionId: string, code: string): Promise<{ lockedUntil: number } | undefined>
  add (userId: string, sessionId: string, code: string): void
  /** So that a code which was judged before the lock gets the same answer during it as any other. */
  locked (userId: string, lockedUntil: number): void
  freed (userId: string): void
}

export function createJudgedCodes (redis: RedisLink, namespace: string, macKey: Buffer): JudgedCodes {
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
    freed (userId) {
      void redis.run((client) => client.del(lockKey(userId)))
    }
  }
}
