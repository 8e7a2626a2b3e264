import type { FastifyRequest } from 'fastify'
import { MOST_RECOVERY_CODES, otpDefaults } from '../../core/defaults.js'
import type { Key } from '../../core/keys/key-ring.js'
import { DEFAULT_NAMESPACE } from '../../core/keys/seal.js'
import type { SecurityEventNotice } from '../../events/notice.js'
import type { OtpSettings } from '../../factors/deps.js'
import { isRedis, type HostRedis } from '../../redis/host.js'
import type { HostDatabase } from '../../tables/host-database.js'
import { DEFAULT_SCHEMA, type TablesOptions } from '../tables.js'
import type { Identity } from './host-types.js'
import { isFunction, isObject, isText, isWhole, wholeNumber, type Rules } from './rule.js'

type Settings = Omit<OtpSettings, 'issuer'>

/** Options of the second factor itself: keys, stores, durations, and the requester of a request. */
export interface FactorOptions {
  /**
   * Name of the service in authenticator apps: 1 to 64 characters without a colon. Not digits and a slash at its beginning, as in
   * `24/7 Support`: ykman 4.0.9 reads them on a YubiKey as the period, and all codes are wrong. Not `Steam` at its beginning: Pass::OTP
   * 1.5, a library of Perl, then makes codes of the game shop.
   *
   * @example 'Example Corp'
   */
  issuer: string
  /**
   * Keys that encrypt secrets at rest: `kid:base64url` with 32 bytes or more, comma-separated. The first key encrypts, all
   * keys decrypt. `npx countersign keys new seal` makes one. Keep them: without them the stored secrets cannot be read.
   *
   * @example process.env.SEAL_KEYS
   */
  sealKeys: string | readonly Key[]
  /**
   * PostgreSQL of the host: a pg Pool, a Kysely instance of any version or an address. The host closes its own pools and instances. After a
   * failover, the old connections of a pool are replaced; those of an instance are not, so give its pool `maxLifetimeSeconds`.
   * The loss of an idle connection of a pool is logged. The pool of an instance needs a listener for `error`: without one, pg ends
   * the process. Its dialect must count changed rows, as `PostgresDialect` and `PGliteDialect` of kysely 0.29.9 do, and kysely-pglite
   * 0.6.1 does not.
   *
   * @example new pg.Pool({ connectionString: process.env.DATABASE_URL })
   */
  database: HostDatabase
  /**
   * Returns the user and the session of a request; called on every guarded request. Return null, or throw an error of your
   * own, for a request without a session.
   *
   * @example (request) => request.user ? { userId: request.user.id, sessionId: request.session.id } : null
   */
  identify: (request: FastifyRequest) => Identity | null | Promise<Identity | null>
  /**
   * Client of ioredis, or a Cluster. Redis only adds speed: without it, or during an outage, every check is as strict.
   *
   * @default none
   * @example new Redis(process.env.REDIS_URL)
   */
  redis?: HostRedis
  /**
   * Name that separates two apps which share one Redis or one key: part of every Redis key and of everything encrypted. Each
   * set of tables has one namespace, which cannot be changed later.
   *
   * @default 'countersign'
   * @example 'acme'
   */
  namespace?: string
  /**
   * PostgreSQL schema of the tables.
   *
   * @default { schema: 'countersign' }
   * @example { schema: 'second_factor' }
   */
  tables?: TablesOptions
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
   * Called for each security event that this process decided, after its commit. The caller does not wait for it, and logs an
   * error that it throws. An event may be lost if the process or PostgreSQL stops at that moment.
   *
   * @default none
   * @example async (event) => { await notify(event.userId, event.kind) }
   */
  onSecurityEvent?: (event: SecurityEventNotice) => void | Promise<void>
}

const YEAR_SECONDS = 366 * 86_400

const { window, setupSeconds, reauthSeconds, freshSeconds, recoveryCodes, sessionSeconds, pendingSeconds } = otpDefaults
export const defaultSettings: Settings = {
  window, setupSeconds, reauthSeconds, freshSeconds, recoveryCodes, sessionSeconds, pendingSeconds
}

/** Ranges of the settings that are no durations. */
const ranges: Partial<Record<string, readonly [least: number, most: number]>> = { window: [0, 2], recoveryCodes: [1, MOST_RECOVERY_CODES] }

const isSetting = ([name, number]: [string, unknown]): boolean =>
  Object.hasOwn(defaultSettings, name) && isWhole(...ranges[name] ?? [1, YEAR_SECONDS])(number)

export const factorRules: Rules<FactorOptions> = {
  issuer: { must: 'be 1 to 64 characters without a colon', holds: isText(/^[^:\p{Cc}\p{Cs}]{1,64}$/u), isRequired: true },
  sealKeys: {
    must: 'be kid:base64url, comma-separated',
    holds: (value) => typeof value === 'string' || (Array.isArray(value) && value.length > 0),
    isRequired: true
  },
  database: {
    must: 'be a pg Pool, a Kysely instance or an address',
    // Checked by name afterwards.
    holds: (value) => ['string', 'object', 'function'].includes(typeof value),
    isRequired: true
  },
  identify: { ...isFunction, isRequired: true },
  redis: { must: 'be a client of ioredis, or a Cluster', holds: isRedis },
  namespace: { must: 'be 1 to 64 letters, digits, _ . or -', holds: isText(/^[A-Za-z0-9_.-]{1,64}$/), fallback: DEFAULT_NAMESPACE },
  tables: {
    must: 'be { schema }',
    holds: (value) => isObject(value) && Object.keys(value).every((name) => name === 'schema'),
    fallback: { schema: DEFAULT_SCHEMA }
  },
  settings: {
    must: `hold whole numbers by the names ${Object.keys(defaultSettings).join(', ')}: ` +
      `window 0 to 2, recoveryCodes 1 to ${MOST_RECOVERY_CODES}, the others 1 to ${YEAR_SECONDS}`,
    holds: (value) => isObject(value) && Object.entries(value).every(isSetting),
    fallback: defaultSettings
  },
  revocationSeconds: wholeNumber(1, 300, otpDefaults.revocationSeconds),
  onSecurityEvent: isFunction
}
