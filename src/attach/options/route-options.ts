import type { TSchema } from '@sinclair/typebox'
import fastJson from 'fast-json-stringify'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { otpDefaults } from '../../core/defaults.js'
import { isPasskeyOrigin, isRpIdOf } from '../../core/passkeys/relying-party.js'
import type { UserVerification } from '../../core/passkeys/webauthn.js'
import type { EndSessions } from '../host-sessions.js'
import type { Completion, ProvenSession } from './host-types.js'
import { checkGroup, isBoolean, isFunction, isObject, isText, wholeNumber, type Filled, type Rules } from './rule.js'

/** Options of the routes: the host's users, sessions and document. */
export interface RouteOptions {
  /**
   * Returns the account name that authenticator apps show beside the issuer; not empty. Any other value is an error in the log,
   * and 500 `INTERNAL_ERROR` for the client; nothing is stored.
   *
   * @example async (userId) => (await findUser(userId)).email
   */
  label: (userId: string) => string | Promise<string>
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
   * Checks the password that came with `create`. Return false, or throw an error with a 4xx status, if it is wrong. Limits:
   * ten wrong passwords for a user and network in 15 minutes, a hundred for a user in an hour. An error with a 5xx status
   * counts as no attempt.
   *
   * @default none: the first device needs an `authTime` of the last five minutes
   * @example async (request, userId, password) => await passwords.verify(userId, password)
   */
  checkPassword?: (request: FastifyRequest, userId: string, password: string) => Promise<void | boolean>
  /**
   * True for a host that cannot change its session id. The requesting session then becomes verified, and so does every
   * earlier copy of it.
   *
   * @default false
   */
  sameSession?: boolean
  /**
   * Called when Countersign ended the user's other sessions: a factor was confirmed, removed or reset, or new recovery codes
   * were created. End the same sessions at the host, all but `except`. Best effort: guards refuse the sessions in any case.
   *
   * @default none
   * @example async (userId, { except }) => { await deleteSessions(userId, except) }
   */
  endSessions?: EndSessions
  /**
   * Passkeys as a second factor. `origins` are the exact origins of your pages and native apps. `rpId` is the domain to which
   * passkeys are bound: the host of an origin or a parent domain of it; never change it once there are passkeys. `rpName`
   * is shown by authenticators, by default the issuer. Needs the package `@simplewebauthn/server`.
   *
   * @default none: the routes of passkeys do not exist
   * @example { rpId: 'example.org', origins: ['https://app.example.org'] }
   */
  passkeys?: { rpId: string, rpName?: string, origins: readonly string[], userVerification?: UserVerification }
  /**
   * Path of the routes.
   *
   * @default '/totp'
   * @example '/me/second-factor'
   */
  prefix?: string
  /**
   * Path of the guard as an endpoint, for a back end beside this app: it asks with the credentials of its own request, and is answered
   * 200 with the user and the session, or the refusal. The query asks for more: `/session?maxAge=300&required&phishingResistant`.
   *
   * @default none: the route does not exist
   * @example '/session'
   */
  session?: string
  /**
   * Other names for `app.otpVerified` and `app.countersign`, for a second registration in one app.
   *
   * @default { otpVerified: 'otpVerified', countersign: 'countersign' }
   * @example { otpVerified: 'adminVerified', countersign: 'adminCountersign' }
   */
  decorators?: { otpVerified?: string, countersign?: string }
  /**
   * Days for which security events are kept: 1 to 3650. They go a table at a time, up to a thirteenth of it later.
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
  /**
   * JSON schema of `Completion.answer`, for the OpenAPI document and the serialiser.
   *
   * @default any object
   * @example { type: 'object', required: ['token'], properties: { token: { type: 'string' } } }
   */
  answerSchema?: TSchema
  /**
   * Returns the route `config` for a budget of the host's rate limiter.
   *
   * @default none
   * @example (name) => app.limit(name)
   */
  limit?: (name: 'code' | 'enrol') => object
}

const isPath = isText(/^\/[^?#\s]*[^/?#\s]$/)

/** Names of the two decorators. */
export interface Decorators { otpVerified: string, countersign: string }

const decoratorNames: Decorators = { otpVerified: 'otpVerified', countersign: 'countersign' }

export const routeRules: Rules<RouteOptions> = {
  label: { ...isFunction, isRequired: true },
  complete: { ...isFunction, isRequired: true },
  checkPassword: isFunction,
  sameSession: { ...isBoolean, fallback: false },
  endSessions: isFunction,
  passkeys: {
    must: 'be { rpId, rpName, origins, userVerification }: exact origins (https, or http at localhost), and a domain of them',
    holds: isPasskeys
  },
  prefix: { must: 'begin with /, and not end with one', holds: isPath, fallback: '/totp' },
  session: { must: 'begin with /, and not end with one', holds: isPath },
  decorators: {
    must: 'be { otpVerified, countersign }',
    holds: (value) => isObject(value) &&
      Object.entries(value).every(([name, as]) => Object.hasOwn(decoratorNames, name) && isText(/^[A-Za-z_$][\w$]*$/)(as)),
    fallback: decoratorNames
  },
  eventsDays: wholeNumber(1, 3650, otpDefaults.eventsDays),
  endedSessionDays: wholeNumber(7, 3650, otpDefaults.endedSessionDays),
  security: {
    must: 'be a list of security requirements',
    holds: (value) => Array.isArray(value) && value.every((one) => isObject(one) && Object.values(one).every(Array.isArray))
  },
  answerSchema: { must: 'be a JSON schema that fast-json-stringify takes, and whole in itself', holds: isSerializable },
  limit: isFunction
}

export type CheckedRouteOptions = Filled<Omit<RouteOptions, 'decorators'>, 'prefix' | 'eventsDays' | 'endedSessionDays'> &
  { decorators: Decorators }

/** @throws {TypeError} */
export function checkRouteOptions (given: RouteOptions): CheckedRouteOptions {
  const { decorators, ...rest } = checkGroup(given, routeRules)
  return { ...rest as Filled<typeof rest, 'prefix' | 'eventsDays' | 'endedSessionDays'>, decorators: { ...decoratorNames, ...decorators } }
}

function isPasskeys (value: unknown): boolean {
  if (!isObject(value)) return false
  const { rpId, rpName, origins, userVerification = 'preferred', ...others } = value as Record<string, unknown>
  if (Object.keys(others).length > 0 || typeof rpId !== 'string' || !Array.isArray(origins) || origins.length === 0) return false
  if (rpName !== undefined && !isText(/^[^\p{Cc}\p{Cs}]{1,64}$/u)(rpName)) return false
  return ['preferred', 'required'].includes(userVerification as string) &&
    origins.every((origin) => typeof origin === 'string' && isPasskeyOrigin(origin)) &&
    origins.some((origin) => isRpIdOf(rpId, origin as string))
}

/** Compiles the serializer at once. Fastify does so at the first answer, after the code was consumed. */
function isSerializable (schema: unknown): boolean {
  if (!isObject(schema)) return false
  try {
    fastJson(schema)
    return true
  } catch {
    return false
  }
}
