import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { redisKey } from '../../redis/keys.js'
import type { RedisLink } from '../../redis/link.js'
import type { Ends, MarkedUser, NamedSession } from './revocations.js'

/**
 * Part of the names in Redis and of the MAC. Releases with another form of readings have a reader of their own: change it
 * with every change of `SharedReading`.
 */
const FORMAT = 'readings-2'
/** 72 bits: a mark is good for a part of a second, and cannot be guessed within it. */
const MARK_BYTES = 9
const MAC_BYTES = 16
/** Marks of one reading, and sessions and users that it names: a message of 200 kB at most. Replicas past that read by themselves. */
const MOST_MARKS = 1_000
const MOST_NAMED = 1_000
/** Longer texts are not read. */
const MOST_CHARACTERS = 1 << 20

/** Revocation reading of another replica, with what is needed to continue one's own. */
export interface SharedReading extends Omit<Ends, 'tooMany' | 'isWritable' | 'named' | 'marked'> {
  /** Snapshot of the reading before it: all ends of transactions that finished between the two are named. */
  since: string
  /** Null if it names none, since there were too many, or since it does not continue the one before. */
  named: readonly NamedSession[] | null
  /** Users that it names; null where `named` is. */
  marked: readonly MarkedUser[] | null
  /** Marks of the announcements that were there before PostgreSQL was asked. */
  marks: readonly string[]
}

/** Answer to an announcement. */
export interface Announced {
  /** Replica that reads for the others. */
  reader: string
  isReader: boolean
  /** Marks of the other replicas since the last call, if this replica is the reader. */
  marks: string[]
}

/**
 * Place in Redis by which one replica reads for all. Nothing in it is trusted: a mark proves by itself when it was made, a reading has
 * a MAC, and the rest decides only about who reads.
 */
export interface ReadingExchange {
  /**
   * Announces a question and learns which replica reads. Without a reader, or if `suspect` is the reader, this replica becomes it.
   *
   * @returns undefined if Redis does not answer
   */
  announce (mark: string, suspect: string | null): Promise<Announced | undefined>
  /** Announces a question to a reader that is known, by one command. @returns false if Redis refuses it or is not there */
  remind (mark: string): Promise<boolean>
  /**
   * Returns the marks of the other replicas since the last call, for a replica that is known to be the reader, by one command.
   *
   * @returns undefined if Redis does not answer, or does not know the command (before 6.2)
   */
  collect (): Promise<string[] | undefined>
  publish (reading: SharedReading): void
  /** Calls back with each reading of another replica that has a MAC of these keys. */
  onReading (listener: (reading: SharedReading) => void): void
  /** Says that there is news: the replica that reads does so soon. */
  tellNews (): void
  /** Calls back when there is news; null: no more. A replica that follows another one does not need it. */
  onNews (listener: (() => void) | null): void
}

/** Length of a mark as text: one of another length would only make the reading longer. */
const MARK_CHARACTERS = MARK_BYTES / 3 * 4

const isMark = ({ length }: string): boolean => length === MARK_CHARACTERS

/** Makes a mark that no one can know before it is announced. */
export const newMark = (): string => randomBytes(MARK_BYTES).toString('base64url')

/** KEYS: reader, marks. ARGV: this replica, its mark, milliseconds for which the reader stays one, replica to replace or '', most marks. */
const ANNOUNCE = `
local reader = redis.call('GET', KEYS[1])
if not reader or reader == ARGV[4] then reader = ARGV[1] end
if reader ~= ARGV[1] then
  redis.call('RPUSH', KEYS[2], ARGV[2])
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
  return {reader}
end
redis.call('SET', KEYS[1], reader, 'PX', ARGV[3])
local marks = redis.call('LRANGE', KEYS[2], 0, ARGV[5] - 1)
redis.call('DEL', KEYS[2])
return {reader, unpack(marks)}`

export interface ExchangeOptions {
  redis: RedisLink
  namespace: string
  /** The first one makes MACs, all check them. */
  macKeys: readonly Buffer[]
  /** Milliseconds after which a reader that says nothing is one no more. */
  leaseMs: number
}

export function createExchange ({ redis, namespace, macKeys, leaseMs }: ExchangeOptions): ReadingExchange {
  const own = newMark()
  /** Last message of this replica, which hears it too. */
  let sent = ''
  const channel = `${namespace}:${FORMAT}`
  // Not part of the format: it carries no data.
  const news = `${namespace}:ends`
  const [reader, announced] = ['reader', 'marks'].map((part) => redisKey(namespace, FORMAT, part)) as [string, string]
  const mac = (key: Buffer, body: string) => createHmac('sha256', key).update(`${FORMAT}\n${body}`).digest().subarray(0, MAC_BYTES)

  function read (text: string): SharedReading | null {
    if (text.length > MOST_CHARACTERS) return null
    const dot = text.indexOf('.')
    const given = Buffer.from(text.slice(0, dot), 'base64url')
    const body = text.slice(dot + 1)
    if (given.length !== MAC_BYTES || !macKeys.some((key) => timingSafeEqual(mac(key, body), given))) return null
    return JSON.parse(body) as SharedReading
  }

  return {
    async announce (mark, suspect) {
      const answer = await redis.write((client) => (
        client.eval(ANNOUNCE, 2, reader, announced, own, mark, leaseMs, suspect ?? '', MOST_MARKS)
      ))
      if (!Array.isArray(answer) || answer.length === 0) return undefined
      const [found, ...marks] = answer.map(String) as [string, ...string[]]
      return { reader: found, isReader: found === own, marks: marks.filter(isMark) }
    },

    async remind (mark) {
      const count = await redis.write((client) => client.rpush(announced, mark))
      // The first one of a list gives it an end. Without one, as after a crash here, the next reader's turn takes the list away.
      if (count === 1) void redis.write((client) => client.pexpire(announced, leaseMs))
      return count !== undefined
    },

    async collect () {
      const marks = await redis.write((client) => client.lpop(announced, MOST_MARKS))
      return marks === undefined ? undefined : (marks ?? []).map(String).filter(isMark)
    },

    publish (reading) {
      const { named, marked } = reading
      const isShort = named !== null && marked !== null && named.length + marked.length <= MOST_NAMED
      const body = JSON.stringify(isShort ? reading : { ...reading, named: null, marked: null })
      const text = `${mac(macKeys[0]!, body).toString('base64url')}.${body}`
      sent = text
      // Not a write: a read-only replica passes messages on.
      void redis.run((client) => client.publish(channel, text))
    },

    onReading (listener) {
      redis.subscribe(channel, (text) => {
        if (text === sent) return
        const reading = read(text)
        if (reading !== null) listener(reading)
      })
    },

    tellNews () {
      void redis.run((client) => client.publish(news, ''))
    },

    onNews (listener) {
      if (listener === null) redis.unsubscribe(news)
      else redis.subscribe(news, listener)
    }
  }
}
