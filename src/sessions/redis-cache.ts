import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Standing } from '../core/assurance.js'
import type { ReadAt } from './statements.js'
import { redisKey } from '../redis/keys.js'
import type { RedisLink } from '../redis/link.js'

/** A reading of "alive", and when it was true, by which server's clock. */
export interface Reading extends ReadAt { standing: Standing }

/** With how long it may be used, from when it was read. */
export interface Copy extends Reading { trustMs: number }

/** As any release may have written it. */
export type WrittenCopy = Pick<Copy, 'standing' | 'readAtMs'> & Partial<Copy>

/** Redis' copies of what replicas read in Postgres, each with its reading time and a MAC: who can write to Redis cannot make one up. */
export interface Copies {
  /** A replica of another release may have written neither its trust nor the server. */
  get (userId: string, sessionId: string): Promise<WrittenCopy | undefined>
  put (copy: Copy): void
}

/** 128 bits: nobody can try a MAC offline, and the copy lives a minute at most. */
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
      // The MAC says that we wrote it, not that it was written under this key.
      const { standing } = copy
      return standing.userId === userId && standing.sessionId === sessionId ? copy : undefined
    },

    put ({ standing, readAtMs, server, trustMs }) {
      // Nothing else that may hang on it: which sessions a log-in ended is nobody's affair here.
      const body = JSON.stringify({ standing, readAtMs, server, trustMs })
      const text = `${mac(macKeys[0]!, body).toString('base64url')}.${body}`
      void redis.run((client) => client.set(keyOf(standing.userId, standing.sessionId), text, 'PX', trustMs))
    }
  }
}
