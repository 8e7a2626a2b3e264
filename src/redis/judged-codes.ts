import { createHmac } from 'node:crypto'
import { redisKey } from './keys.js'
import type { RedisLink } from './link.js'

/** Three periods: as long as a code could be worth trying again. */
const REMEMBER_SECONDS = 90

/**
 * Codes that were judged already, by session and MAC: the same one again is refused without a statement. Only speed:
 * what Redis forgets, Postgres refuses. Only refusals are kept here, so nothing in Redis can let anybody in.
 */
export interface JudgedCodes {
  has (userId: string, sessionId: string, code: string): Promise<boolean>
  add (userId: string, sessionId: string, code: string): void
}

export function createJudgedCodes (redis: RedisLink, namespace: string, macKey: Buffer): JudgedCodes {
  const keyOf = (userId: string, sessionId: string, code: string) => redisKey(namespace, userId, 'judged',
    createHmac('sha256', macKey).update(`${userId}\0${sessionId}\0${code}`).digest('base64url'))
  return {
    has: async (userId, sessionId, code) => await redis.run((client) => client.exists(keyOf(userId, sessionId, code))) === 1,
    add (userId, sessionId, code) {
      void redis.run((client) => client.set(keyOf(userId, sessionId, code), '', 'EX', REMEMBER_SECONDS))
    }
  }
}
