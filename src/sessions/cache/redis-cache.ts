import { createHmac, timingSafeEqual } from 'node:crypto'
import type { SessionContext } from '../../core/assurance.js'
import type { ReadAt } from '../statements.js'
import { redisKey } from '../../redis/keys.js'
import type { RedisLink } from '../../redis/link.js'

/** Reading of "alive", with the time when it was true and the server whose clock that is. */
export interface Reading extends ReadAt { context: SessionContext }

/** Reading with the time for which it may be used, from when it was read. */
export interface Copy extends Reading { trustMs: number }

/** Redis copy as any release may have written it. */
export type WrittenCopy = Pick<Copy, 'context' | 'readAtMs'> & Partial<Copy>

/** Redis cache of readings from PostgreSQL. Each has its reading time and a MAC, so that write access to Redis cannot forge one. */
export interface Copies {
  /** A replica of another release may have left out the trust and the server. */
  get (userId: string, sessionId: string): Promise<WrittenCopy | undefined>
  put (copy: Copy): void
}

/** 128 bits: a MAC cannot be tried offline, and a Redis copy lives a minute at most. */
const MAC_BYTES = 16

/** @param macKeys the first one makes MACs, all check them */
export function createCopies (redis: RedisLink, namespace: string, macKeys: readonly Buffer[]): Copies {
  const mac = (key: Buffer, body: string) => createHmac('sha256', key).update(body).digest().subarray(0, MAC_BYTES)
  const keyOf = (userId: string, sessionId: string) => redisKey(namespace, userId, 'session', sessionId)

  return {
    async get (userId, sessionId) {
      const text = await redis.run((client) => client.get(keyOf(userId, sessionId)))
      if (typeof text !== 'string') return undefined
      const dot = text.indexOf('.')
      const given = Buffer.from(text.slice(0, dot), 'base64url')
      const body = text.slice(dot + 1)
      if (given.length !== MAC_BYTES || !macKeys.some((key) => timingSafeEqual(mac(key, body), given))) return undefined
      const copy = JSON.parse(body) as WrittenCopy
      // The MAC proves that we wrote it, not that we wrote it under this key.
      const { context } = copy
      return context.userId === userId && context.sessionId === sessionId ? copy : undefined
    },

    put ({ context, readAtMs, server, trustMs }) {
      // Only these fields: the ids of sessions that a log-in ended must not be stored here.
      const body = JSON.stringify({ context, readAtMs, server, trustMs })
      const text = `${mac(macKeys[0]!, body).toString('base64url')}.${body}`
      void redis.write((client) => client.set(keyOf(context.userId, context.sessionId), text, 'PX', trustMs))
    }
  }
}
