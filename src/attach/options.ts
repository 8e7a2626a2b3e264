import type { TSchema } from '@sinclair/typebox'
import fastJson from 'fast-json-stringify'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { otpDefaults } from '../core/defaults.js'
import { isPasskeyOrigin, isRpIdOf } from '../core/relying-party.js'
import type { UserVerification } from '../core/webauthn.js'
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

/** Requester of a request, as the host identifies it. */
export interface Identity {
  /** The host's own id of the user: 1 to 255 bytes of text. */
  userId: string
  /**
   * The host's own id of the session, or the value that all tokens of one session have in common: 1 to 255 bytes of text.
   * Never reuse the id of another session of the user.
   */
  sessionId: string
  /**
   * Time of the password or another first factor, in Unix seconds. Without it, or with null, the proof counts as old: no
   * route takes it as fresh, and the first device needs `checkPassword`. A future time counts as the moment when it was
   * first seen.
   */
  authTime?: number | null
  /**
   * Proof that the host's own signed token recorded when it was issued. A token from before a step-up then keeps its old
   * proof. Without `phrTime` it has no proof by a passkey.
   */
  proven?: { otpDeviceId: string | null, otpTime: number | null, phrTime?: number | null }
}

/** Session that results from an accepted code or from the removal of a factor. */
export interface ProvenSession extends SessionFacts {
  /**
   * Id of the requesting session if that session goes on. Otherwise a random UUID for the host's new session; the host may
   * return another id.
   */
  sessionId: string
  /** Id of the device that verified the session; `recovery` for a recovery code; null if only the password is proven. */
  deviceId: string | null
}

/** Result of `complete`. */
export interface Completion {
  /**
   * Id of the host's session after the completion. It must differ from the id of the requesting session, unless that session
   * goes on or the option `sameSession` is set.
   */
  sessionId: string
  /** Answer for the client, sent as JSON. */
  answer: object
}

export interface CountersignOptions {
  /**
   * Name of the service in authenticator apps: 1 to 64 characters without a colon.
   *
   * @example 'Example Corp'
   */
  issuer: string
  /**
   * Keys that encrypt secrets at rest: `kid:base64url` with 32 bytes or more, comma-separated. The first key encrypts, all
   * keys decrypt.
   *
   * @example process.env.SEAL_KEYS
   */
  sealKeys: string | readonly Key[]
  /**
   * Name that separates two apps which share one Redis or one key: part of every Redis key and of everything encrypted.
   *
   * @default 'countersign'
   */
  namespace?: string
  /**
   * PostgreSQL of the host: a pg Pool, a Kysely instance or an address. The host closes its own pools and instances.
   *
   * @example new pg.Pool({ connectionString: process.env.DATABASE_URL })
   */
  database: HostDatabase
  /**
   * Client of ioredis, or a Cluster. Redis only adds speed: without it, or during an outage, every check is as strict.
   *
   * @default none
   * @example new Redis(process.env.REDIS_URL)
   */
  redis?: HostRedis
  /**
   * PostgreSQL schema of the tables.
   *
   * @default { schema: 'countersign' }
   */
  tables?: TablesOptions
  /**
   * Path of the routes.
   *
   * @default '/totp'
   */
  prefix?: string
  /**
   * Other names for `app.otpVerified` and `app.countersign`, for a second registration in one app.
   *
   * @default { otpVerified: 'otpVerified', countersign: 'countersign' }
   * @example { otpVerified: 'adminVerified', countersign: 'adminCountersign' }
   */
  decorators?: { otpVerified?: string, countersign?: string }
  /**
   * Returns the user and the session of a request; called on every guarded request. Return null, or throw an error of your
   * own, for a request without a session.
   *
   * @example (request) => request.user ? { userId: request.user.id, sessionId: request.session.id } : null
   */
  identify: (request: FastifyRequest) => Identity | null | Promise<Identity | null>
  /**
   * Returns the account name that authenticator apps show beside the issuer.
   *
   * @example async (userId) => (await findUser(userId)).email
   */
  label: (userId: string) => string | Promise<string>
  /**
   * Checks the password that came with `create`. Return false, or throw an error with a 4xx status, if it is wrong. Limits:
   * ten wrong passwords for a user and network in 15 minutes, a hundred for a user in an hour. An error with a 5xx status
   * counts as no attempt.
   *
   * @default `create` takes no password
   * @example async (request, userId, password) => await passwords.verify(userId, password)
   */
  checkPassword?: (request: FastifyRequest, userId: string, password: string) => Promise<void | boolean>
  /**
   * Moves the host to the new session and returns the answer for the client. Called after the code was consumed.
   *
   * @example
   * async (request, reply, { userId, sessionId }) => {
   *   await saveSession(sessionId, userId)
   *   return { sessionId, answer: { token: signToken(userId, sessionId) } }
   * }
   */
  complete: (request: FastifyRequest, reply: FastifyReply, session: ProvenSession) => Completion | Promise<Completion>
  /**
   * True for a host that cannot change its session id. The requesting session then becomes verified, and so does every
   * earlier copy of it.
   *
   * @default false
   */
  sameSession?: boolean
  /**
   * Called when Countersign ended the user's other sessions: a factor was confirmed, removed or reset, or new recovery codes
   * were created. End the same sessions at the host, all but `except`.
   *
   * @default none
   * @example async (userId, { except }) => { await deleteSessions(userId, except) }
   */
  endSessions?: EndSessions
  /**
   * Called for each security event that this process decided, after its commit. The caller does not wait for it, and logs an
   * error that it throws. An event may be lost if the process or PostgreSQL stops at that moment.
   *
   * @default none
   * @example async (event) => { await notify(event.userId, event.kind) }
   */
  onSecurityEvent?: (event: SecurityEventNotice) => void | Promise<void>
  /**
   * Passkeys as a second factor. `origins` are the exact origins of your pages and native apps. `rpId` is the domain to which
   * passkeys are bound: the host of an origin or a parent domain of it; never change it once there are passkeys. `rpName`
   * is shown by authenticators, by default the issuer. Needs the package `@simplewebauthn/server`.
   *
   * @default no passkeys: their routes do not exist
   * @example { rpId: 'example.org', origins: ['https://app.example.org'] }
   */
  passkeys?: { rpId: string, rpName?: string, origins: readonly string[], userVerification?: UserVerification }
  /**
   * Durations in seconds, `window` in time steps on each side of now, `recoveryCodes` in codes of a set.
   *
   * @default { window: 1, setupSeconds: 600, reauthSeconds: 300, freshSeconds: 300, recoveryCodes: 5,
   *   sessionSeconds: 2592000, pendingSeconds: 300 }
   * @example { freshSeconds: 600 }
   */
  settings?: Partial<Omit<OtpSettings, 'issuer'>>
  /**
   * Time after which every replica refuses an ended session, in seconds: 1 to 300.
   *
   * @default 1
   */
  revocationSeconds?: number
  /**
   * Days for which security events are kept: 1 to 3650.
   *
   * @default 400
   */
  eventsDays?: number
  /**
   * Days for which the id of an ended session is refused: 7 to 3650. Choose at least the time for which the host may present
   * the id.
   *
   * @default 400
   */
  endedSessionDays?: number
  /**
   * Security requirements for the host's OpenAPI document, by the names of its own security schemes. A name that the
   * document does not define makes it invalid.
   *
   * @default none
   * @example [{ cookie: [] }]
   */
  security?: ReadonlyArray<Record<string, readonly string[]>>

  // For a host that starts every session through Countersign and serves the reference system's clients: the service.

  /**
   * True if every session was started through `app.countersign`. An unknown session then counts as ended.
   *
   * @default false
   */
  knowsSessions?: boolean
  /**
   * JSON schema of `Completion.answer`, for the OpenAPI document and the serialiser.
   *
   * @default any object
   */
  answerSchema?: TSchema
  /**
   * Adds GET variants of the operations that change data, for clients of the reference system. Not for new clients.
   *
   * @default false
   */
  deprecatedGets?: boolean
  /**
   * Returns the route `config` for a budget of the host's rate limiter.
   *
   * @default none
   * @example (name) => app.limit(name)
   */
  limit?: (name: 'code' | 'enrol') => object
}

/** Options after the check, with the defaults filled in. */
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
const isWhole = (least: number, most: number) => (value: unknown): boolean =>
  Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most
const isFunction: Rule = ['be a function', (value) => typeof value === 'function']
const isBoolean: Rule = ['be true or false', (value) => typeof value === 'boolean']
const YEAR_SECONDS = 366 * 86_400

const required: ReadonlyArray<keyof CountersignOptions> = ['issuer', 'sealKeys', 'database', 'identify', 'label', 'complete']

/** Rule of every option. Its text ends the sentence "countersign: "option" must …". */
const rules: Readonly<Record<keyof CountersignOptions, Rule>> = {
  issuer: ['be 1 to 64 characters without a colon', isText(/^[^:\p{Cc}\p{Cs}]{1,64}$/u)],
  sealKeys: ['be kid:base64url, comma-separated', (value) => value !== undefined],
  namespace: ['be 1 to 64 letters, digits, _ . or -', isText(/^[A-Za-z0-9_.-]{1,64}$/)],
  database: ['be a pg Pool, a Kysely instance or an address', (value) => typeof value === 'string' ||
    (typeof value === 'object' && value !== null)],
  redis: ['be a client of ioredis, or a Cluster', isRedis],
  tables: ['be { schema }', (value) => typeof value === 'object' && value !== null &&
    Object.keys(value).every((name) => name === 'schema')],
  prefix: ['begin with /, and not end with one', isText(/^\/[^?#\s]*[^/?#\s]$/)],
  decorators: ['be { otpVerified, countersign }', (value) => typeof value === 'object' && value !== null &&
    Object.entries(value).every(([name, as]) => ['otpVerified', 'countersign'].includes(name) && isText(/^[A-Za-z_$][\w$]*$/)(as))],
  identify: isFunction,
  label: isFunction,
  checkPassword: isFunction,
  complete: isFunction,
  sameSession: isBoolean,
  endSessions: isFunction,
  onSecurityEvent: isFunction,
  passkeys: ['be { rpId, rpName, origins, userVerification }: exact origins (https, or http at localhost), and a domain of them',
    isPasskeys],
  settings: [`hold whole numbers by the names ${Object.keys(settingsOf({})).join(', ')}`, (value) => typeof value === 'object' &&
    value !== null && Object.entries(value).every(([name, number]) => name in settingsOf({}) &&
      isWhole(name === 'window' ? 0 : 1, name === 'window' ? 2 : YEAR_SECONDS)(number))],
  revocationSeconds: ['be a whole number from 1 to 300', isWhole(1, 300)],
  eventsDays: ['be a whole number from 1 to 3650', isWhole(1, 3650)],
  endedSessionDays: ['be a whole number from 7 to 3650', isWhole(7, 3650)],
  security: ['be a list of security requirements', (value) => Array.isArray(value) &&
    value.every((one) => typeof one === 'object' && one !== null && Object.values(one).every(Array.isArray))],
  knowsSessions: isBoolean,
  answerSchema: ['be a JSON schema that fast-json-stringify takes, and whole in itself', isSerializable],
  deprecatedGets: isBoolean,
  limit: isFunction
}

function isPasskeys (value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { rpId, rpName, origins, userVerification = 'preferred', ...others } = value as Record<string, unknown>
  if (Object.keys(others).length > 0 || typeof rpId !== 'string' || !Array.isArray(origins) || origins.length === 0) return false
  if (rpName !== undefined && !isText(/^[^\p{Cc}\p{Cs}]{1,64}$/u)(rpName)) return false
  return ['preferred', 'required'].includes(userVerification as string) &&
    origins.every((origin) => typeof origin === 'string' && isPasskeyOrigin(origin)) &&
    origins.some((origin) => isRpIdOf(rpId, origin as string))
}

/** Compiles the serializer at once. Fastify does so at the first answer, after the code was consumed. */
function isSerializable (schema: unknown): boolean {
  if (typeof schema !== 'object' || schema === null) return false
  try {
    fastJson(schema)
    return true
  } catch {
    return false
  }
}

/** Options that Fastify passes through. */
const OF_FASTIFY = ['logLevel', 'logSerializers']

/**
 * Checks the options and fills in the defaults. Messages name an option that is missing, wrong or unknown, never its value.
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
