import type { TSchema } from '@sinclair/typebox'
import fastJson from 'fast-json-stringify'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { otpDefaults } from '../core/defaults.js'
import type { SecurityEventNotice } from '../events/notice.js'
import { DEFAULT_NAMESPACE } from '../core/seal.js'
import type { SessionFacts } from '../core/session.js'
import { addressFault } from '../postgres/address.js'
import type { HostDatabase } from '../tables/host-database.js'
import type { OtpSettings } from '../factors/deps.js'
import { parseRing, ringFault, type Key } from '../core/key-ring.js'
import { isRedis, type HostRedis } from '../redis/host.js'
import type { EndSessions } from './host-sessions.js'
import { schemaOf, type TablesOptions } from './tables.js'

/** Who asks, in the host's words. */
export interface Identity {
  /** The host's own id of the user: 1 to 255 bytes of text. */
  userId: string
  /** The host's own id of the session, or of whatever its tokens have in common. Never one that was used for another session of the user. */
  sessionId: string
  /**
   * When the password, or another first factor, was given (Unix seconds). Without it, and with null, the proof is old: it is
   * fresh for no route, and the first device needs `checkPassword`. A time that is still to come counts as the moment when
   * it was first seen.
   */
  authTime?: number | null
  /**
   * What the host's own signed token says was proven when it was issued, if it says so: a token from before a step-up
   * then stays as old as it is.
   */
  proven?: { otpDeviceId: string | null, otpTime: number | null }
}

/** The session that came of an accepted code, or of a removal. */
export interface ProvenSession extends SessionFacts {
  /**
   * The asking session's id, if that goes on; else a random one (UUID), which the host may take for its new session, or
   * answer with one of its own.
   */
  sessionId: string
  /** The device that verified it, `recovery` for a recovery code, null if the password is all. */
  deviceId: string | null
}

export interface Completion {
  /** Where the host went on: never the asking session's id, unless that goes on or `sameSession` says that the host cannot move. */
  sessionId: string
  /** What the client gets, as JSON. */
  answer: object
}

export interface CountersignOptions {
  /** Shown in authenticator apps; no colon. */
  issuer: string
  /** Keys that encrypt secrets at rest, `kid:base64url` of 32 bytes or more, comma-separated; the first one seals, all open. */
  sealKeys: string | readonly Key[]
  /** In Redis keys and in what is sealed: two apps on one Redis, or with one key, do not meet. `countersign` by default. */
  namespace?: string
  database: HostDatabase
  /** Only speed: without it, or while it is down, nothing is less safe. */
  redis?: HostRedis
  /** Where our tables live: the schema `countersign` by default. */
  tables?: TablesOptions
  /** Where the routes are; `/totp` by default. */
  prefix?: string
  /** Other names for `app.otpVerified` and `app.countersign`, for a second registration. */
  decorators?: { otpVerified?: string, countersign?: string }
  /** Null, or an error of the host's own choice, for nobody. It is asked on every guarded request. */
  identify: (request: FastifyRequest) => Identity | null | Promise<Identity | null>
  /** What the authenticator app shows beside the issuer. */
  label: (userId: string) => string | Promise<string>
  /**
   * Whether the password that came with `create` is right; answers false or throws an error with a 4xx status if not. At most
   * ten wrong ones for a user and network in 15 minutes, and a hundred for a user in an hour; an error with a 5xx status costs none.
   * Without it, `create` takes no password.
   */
  checkPassword?: (request: FastifyRequest, userId: string, password: string) => Promise<void | boolean>
  /** Moves the host to the new session, and says what the client gets for it. Called after the code was used up. */
  complete: (request: FastifyRequest, reply: FastifyReply, session: ProvenSession) => Completion | Promise<Completion>
  /** The host cannot move: the asking session itself becomes verified, and so does any copy of it that somebody made before. */
  sameSession?: boolean
  /** Told when the user's other sessions ended here: a factor was confirmed, removed or reset, or codes were made anew. */
  endSessions?: EndSessions
  /**
   * Told of each security event that was decided by this process, once it is committed. Nobody waits for it; what it
   * throws is logged. An event may be missed when the process or Postgres goes down right then.
   */
  onSecurityEvent?: (event: SecurityEventNotice) => void | Promise<void>
  /** In seconds, steps and codes; DESIGN's numbers by default. */
  settings?: Partial<Omit<OtpSettings, 'issuer'>>
  /** How soon an ended session is refused by every replica (seconds). */
  revocationSeconds?: number
  /** How long security events are kept. */
  eventsDays?: number
  /** For how long the id of an ended session is refused after it ended: as long as the host may present it. 400 by default. */
  endedSessionDays?: number
  /**
   * How one proves who one is, for a host's OpenAPI document: names of its own security schemes, such as `[{ cookie: [] }]`.
   * Nothing by default: a scheme that the document does not have breaks it.
   */
  security?: ReadonlyArray<Record<string, readonly string[]>>

  // For a host whose sessions begin here, and that serves the first clients: the service.

  /** Whether every session was started through `app.countersign`: then one that is not known has ended. */
  knowsSessions?: boolean
  /** Of `Completion.answer`, for the OpenAPI document and the serialiser. Any object by default. */
  answerSchema?: TSchema
  /** GET twins of what changes something, for the clients of the reference system. Off for anybody new. */
  deprecatedGets?: boolean
  /** Budget names for the host's limiter, by `config.limit`. */
  limit?: (name: 'code' | 'enrol') => object
}

/** What is always there once it was checked. */
export interface CheckedOptions extends Omit<CountersignOptions, 'tables'> {
  sealKeys: readonly Key[]
  namespace: string
  schema: string
  prefix: string
  settings: Omit<OtpSettings, 'issuer'>
  decorators: { otpVerified: string, countersign: string }
  revocationSeconds: number
  eventsDays: number
  endedSessionDays: number
}

type Rule = readonly [must: string, holds: (value: unknown) => boolean]

const isText = (pattern: RegExp) => (value: unknown): boolean => typeof value === 'string' && pattern.test(value)
const isWhole = (least: number, most: number) => (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most
const isFunction: Rule = ['be a function', (value) => typeof value === 'function']
const isBoolean: Rule = ['be true or false', (value) => typeof value === 'boolean']
const YEAR_SECONDS = 366 * 86_400

const required: ReadonlyArray<keyof CountersignOptions> = ['issuer', 'sealKeys', 'database', 'identify', 'label', 'complete']

/** Every option there is, and what it must be. The end of "countersign: "option" must …". */
const rules: Readonly<Record<keyof CountersignOptions, Rule>> = {
  issuer: ['be 1 to 64 characters without a colon', isText(/^[^:\p{Cc}\p{Cs}]{1,64}$/u)],
  sealKeys: ['be kid:base64url, comma-separated', (value) => value !== undefined],
  namespace: ['be 1 to 64 letters, digits, _ . or -', isText(/^[A-Za-z0-9_.-]{1,64}$/)],
  database: ['be a pg Pool, a Kysely instance or an address', (value) => typeof value === 'string' || (typeof value === 'object' && value !== null)],
  redis: ['be a client of ioredis, or a Cluster', isRedis],
  tables: ['be { schema }', (value) => typeof value === 'object' && value !== null],
  prefix: ['begin with /, and not end with one', isText(/^\/[^?#\s]*[^/?#\s]$/)],
  decorators: ['be { otpVerified, countersign }', (value) => typeof value === 'object' && value !== null && Object.entries(value).every(([name, as]) => ['otpVerified', 'countersign'].includes(name) && isText(/^[A-Za-z_$][\w$]*$/)(as))],
  identify: isFunction,
  label: isFunction,
  checkPassword: isFunction,
  complete: isFunction,
  sameSession: isBoolean,
  endSessions: isFunction,
  onSecurityEvent: isFunction,
  settings: [`hold whole numbers by the names ${Object.keys(settingsOf({})).join(', ')}`, (value) => typeof value === 'object' && value !== null &&
    Object.entries(value).every(([name, number]) => name in settingsOf({}) && isWhole(name === 'window' ? 0 : 1, name === 'window' ? 2 : YEAR_SECONDS)(number))],
  revocationSeconds: ['be a whole number from 1 to 300', isWhole(1, 300)],
  eventsDays: ['be a whole number from 1 to 3650', isWhole(1, 3650)],
  endedSessionDays: ['be a whole number from 7 to 3650', isWhole(7, 3650)],
  security: ['be a list of security requirements', (value) => Array.isArray(value) && value.every((one) => typeof one === 'object' && one !== null && Object.values(one).every(Array.isArray))],
  knowsSessions: isBoolean,
  answerSchema: ['be a JSON schema that fast-json-stringify takes, and whole in itself', isSerializable],
  deprecatedGets: isBoolean,
  limit: isFunction
}

/** Serializers are made when the first answer needs one: for this one, a code would have been used up by then. */
function isSerializable (schema: unknown): boolean {
  if (typeof schema !== 'object' || schema === null) return false
  try {
    fastJson(schema)
    return true
  } catch {
    return false
  }
}

/** Fastify hands its own on, too. */
const OF_FASTIFY = ['logLevel', 'logSerializers']

/**
 * Refuses, by name and never by value, what is missing, wrong or unknown.
 *
 * @throws {TypeError}
 */
export function checkOptions (options: CountersignOptions): CheckedOptions {
  const fail = (name: string, must: string) => { throw new TypeError(`countersign: "${name}" must ${must}`) }
  const given = options as unknown as Readonly<Record<string, unknown>>
  for (const name of required) {
    if (given[name] === undefined) fail(name, 'be given')
  }
  for (const [name, value] of Object.entries(given)) {
    if (OF_FASTIFY.includes(name)) continue
    if (!Object.hasOwn(rules, name)) throw new TypeError(`countersign: there is no option "${name}"`)
    const [must, holds] = rules[name as keyof typeof rules]
    if (value !== undefined && !holds(value)) fail(name, must)
  }
  const unreadable = typeof options.database === 'string' ? addressFault(options.database) : undefined
  if (unreadable !== undefined) fail('database', unreadable)
  const sealKeys = typeof options.sealKeys === 'string' ? parseRing(options.sealKeys) : options.sealKeys
  if (sealKeys === undefined || sealKeys.length === 0) return fail('sealKeys', rules.sealKeys[0]) as never
  const fault = ringFault(sealKeys, 'seal')
  if (fault !== undefined) fail('sealKeys', fault)
  const { tables, ...rest } = options
  return {
    ...rest,
    sealKeys,
    namespace: options.namespace ?? DEFAULT_NAMESPACE,
    schema: schemaOf(tables),
    prefix: options.prefix ?? '/totp',
    settings: settingsOf(options.settings ?? {}),
    decorators: { otpVerified: 'otpVerified', countersign: 'countersign', ...options.decorators },
    revocationSeconds: options.revocationSeconds ?? otpDefaults.revocationSeconds,
    eventsDays: options.eventsDays ?? otpDefaults.eventsDays,
    endedSessionDays: options.endedSessionDays ?? otpDefaults.endedSessionDays
  }
}

function settingsOf (given: NonNullable<CountersignOptions['settings']>): Omit<OtpSettings, 'issuer'> {
  const { window, setupSeconds, reauthSeconds, freshSeconds, recoveryCodes, sessionSeconds, pendingSeconds } = otpDefaults
  return { window, setupSeconds, reauthSeconds, freshSeconds, recoveryCodes, sessionSeconds, pendingSeconds, ...given }
}
