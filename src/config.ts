import { Type, type Static, type TArray, type TInteger, type TRegExp, type TSchema, type TUnsafe } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import ipaddr from 'ipaddr.js'
import { otpDefaults } from './core/defaults.js'
import { parseRedisAddress } from './redis/address.js'
import { literalAddress, receiversAt } from './webhook/address.js'
import { UNIX_PEERS } from './trusted-proxies.js'
import { parseRing, ringFault, ringsOverlap, type Key, type KeyKind } from './key-ring.js'

export type { Key } from './key-ring.js'

/** A mistake in the configuration: one line that names the variable and what it must be, never its value. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly variable: string

  /** @param must the end of the sentence "VARIABLE must …", without the full stop. */
  constructor (variable: string, must: string) {
    super(`${variable} must ${must}.`)
    this.variable = variable
  }
}

const DAY_SECONDS = 86_400
const YEAR_SECONDS = 365 * DAY_SECONDS

/** Printable, for what ends up in tokens and QR codes: no control characters, no halves of surrogate pairs. */
const NAME = /^[^\p{Cc}\p{Cs}]{1,255}$/u

const DATABASE_ADDRESS = 'be an address that starts with postgres:// or postgresql://'
const NETWORK = /^[0-9A-Fa-f.:]+(\/[1-9][0-9]{0,2})?$/
const PROXY = /^(unix|[0-9A-Fa-f.:]+(\/[1-9][0-9]{0,2})?)$/
const PROXIES = 'be a comma-separated list of IPv4 or IPv6 addresses, CIDR ranges or unix, none of them everyone'
const NETWORKS = 'be a comma-separated list of IPv4 or IPv6 addresses or CIDR ranges, none of them everyone'
const ORIGINS = 'be a comma-separated list of exact origins: http or https, a lower-case host, no path, no default port, no *'

/**
 * Every setting, by the name of its environment variable. From here come the
 * `Config` type, the defaults, the checks, `.env.example` and the README's table;
 * `must` ends the sentence that refuses a bad value.
 */
export const settings = Type.Object({
  PORT: whole(0, 65_535, 'Port to listen on; 0 takes any free one.', { default: 3000 }),
  HOST: text(/^[A-Za-z0-9._:%-]{1,253}$/, 'be a host name or an address', 'Address to listen on; 0.0.0.0 or :: for all.', { default: '127.0.0.1' }),
  OPS_PORT: Type.Optional(whole(0, 65_535, 'Port for /metrics alone; unset, it is served on PORT.')),
  LOG_LEVEL: choice(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], 'info', 'Least severe log lines to write.'),
  DATA_DIR: text(/^\P{Cc}+$/u, 'be a path', 'Folder of the embedded database and the keys made on first start.', { default: '.countersign' }),
  DATABASE_URL: Type.Optional(text(/^postgres(ql)?:\/\/\S+$/, DATABASE_ADDRESS, 'PostgreSQL to use; unset, an embedded one under DATA_DIR.')),
  DATABASE_POOL_SIZE: whole(1, 1000, 'Connections to PostgreSQL, at most, of each process.', { default: 10 }),
  MIGRATE: choice(['on', 'off'], 'on', 'Whether to migrate the database at start.'),
  REDIS_URL: Type.Optional(text(/^rediss?(\+sentinel|\+cluster)?:\/\/\S+$/, 'be an address that starts with redis://, rediss://, redis+sentinel://, rediss+sentinel://, redis+cluster:// or rediss+cluster://', 'Redis to use for speed; unset, none.')),
  JWT_ALG: choice(['HS256', 'EdDSA'], 'HS256', 'How tokens are signed.'),
  JWT_KEYS: Type.Optional(ring('Signing keys as kid:base64url, comma-separated; the first signs, all verify (HS256: 32 bytes or more; EdDSA: PKCS8 DER). Required with DATABASE_URL; else made under DATA_DIR.')),
  JWT_ISSUER: text(NAME, 'be 1 to 255 characters', 'Claim iss of the tokens.', { default: 'countersign' }),
  JWT_AUDIENCE: text(NAME, 'be 1 to 255 characters', 'Claim aud of the tokens.', { default: 'countersign' }),
  SEAL_KEYS: Type.Optional(ring('Keys that encrypt secrets at rest, spelled as JWT_KEYS, 32 bytes or more; the first seals, all open. Required with DATABASE_URL; else made under DATA_DIR.')),
  ACCESS_SECONDS: whole(1, DAY_SECONDS, 'Life of an access token.', { default: 300 }),
  REFRESH_SECONDS: whole(1, YEAR_SECONDS, 'Life of a refresh token: how long a session may idle.', { default: DAY_SECONDS }),
  SESSION_SECONDS: whole(1, YEAR_SECONDS, 'Life of a session, however busy.', { default: otpDefaults.sessionSeconds }),
  REVOCATION_SECONDS: whole(1, 300, 'How soon an ended session is refused by every replica, and how long, a minute at most, known sessions are served without PostgreSQL.', { default: otpDefaults.revocationSeconds }),
  PASSWORD_MIN_LENGTH: whole(8, 128, 'Shortest password accepted, in characters; 15 where it is the only factor.', { default: 8 }),
  SIGN_UP: choice(['open', 'closed'], 'open', 'Whether POST /users is open to everyone.'),
  OTP_ISSUER: text(/^[^:\p{Cc}\p{Cs}]{1,64}$/u, 'be 1 to 64 characters without a colon', 'Name of the service that authenticator apps show.', { default: 'Countersign' }),
  OTP_WINDOW: whole(0, 2, 'Time steps of 30 s accepted on each side of the current one.', { default: otpDefaults.window }),
  OTP_SETUP_SECONDS: whole(1, DAY_SECONDS, 'Life of a device that waits for its first code.', { default: otpDefaults.setupSeconds }),
  OTP_REAUTH_SECONDS: whole(1, DAY_SECONDS, 'How recent the password must be to set up a first device.', { default: otpDefaults.reauthSeconds }),
  OTP_PENDING_SECONDS: whole(1, DAY_SECONDS, 'Life of a session that still owes its second factor.', { default: otpDefaults.pendingSeconds }),
  OTP_FRESH_SECONDS: whole(1, DAY_SECONDS, 'How recent the second factor must be for sensitive changes.', { default: otpDefaults.freshSeconds }),
  EVENTS_DAYS: whole(1, 3650, 'How long security events are kept.', { default: otpDefaults.eventsDays }),
  OTP_RECOVERY_CODES: whole(1, 20, 'Recovery codes in a set.', { default: otpDefaults.recoveryCodes }),
  OTP_POLICY: choice(['optional', 'required', 'staff'], 'optional', 'Who must have a second factor: nobody, everybody, or staff.'),
  OTP_GRACE_DAYS: whole(0, 365, 'How long somebody may go without one where it is required, from sign-up or from when the policy was switched on.', { default: 14 }),
  WEBHOOK_URL: Type.Optional(text(/^https?:\/\/\S+$/, 'be an address that starts with https://', 'Where security events are sent; unset, nowhere.')),
  WEBHOOK_KEYS: Type.Optional(ring('Keys that sign what is sent there, spelled as SEAL_KEYS; each of them signs, so that the receiver can move from one to the next. Required with WEBHOOK_URL.')),
  WEBHOOK_PRIVATE: list(NETWORK, NETWORKS, 'Private addresses where the receiver may be, and the only ones where http:// will do: addresses or CIDR ranges, comma-separated.'),
  NETWORK_LIMITS: choice(['on', 'off'], 'on', 'Limits per network; off where a gateway does that.'),
  TRUSTED_PROXIES: list(PROXY, PROXIES, 'Proxies whose X-Forwarded-For is believed, comma-separated: addresses, CIDR ranges, or unix for the peers of a Unix socket.'),
  CORS_ORIGINS: list(/^https?:\/\/[^\s/*]+$/, ORIGINS, 'Browser origins that may call, such as https://app.example.org, comma-separated.')
})

type Settings = Static<typeof settings>
type Variable = keyof Settings & string

type CamelCase<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Lowercase<Head>}${Capitalize<CamelCase<Tail>>}`
  : Lowercase<S>

/** The settings under camelCase names: ACCESS_SECONDS is `accessSeconds`. What is unset and has no default is undefined. */
export type Config = { readonly [V in Variable as CamelCase<V>]: Settings[V] }

/** What one variable alone cannot tell, in the order it is judged. */
const rules: ReadonlyArray<readonly [Variable, must: string, holds: (config: Config) => boolean]> = [
  ['OPS_PORT', 'differ from PORT', ({ opsPort, port }) => opsPort !== port || port === 0],
  ['REFRESH_SECONDS', 'be at least ACCESS_SECONDS', ({ refreshSeconds, accessSeconds }) => refreshSeconds >= accessSeconds],
  ['SESSION_SECONDS', 'be at least REFRESH_SECONDS', ({ sessionSeconds, refreshSeconds }) => sessionSeconds >= refreshSeconds],
  ['TRUSTED_PROXIES', PROXIES, ({ trustedProxies }) => trustedProxies.every((proxy) => proxy === UNIX_PEERS || isNetwork(proxy))],
  ['CORS_ORIGINS', ORIGINS, ({ corsOrigins }) => corsOrigins.every(isOrigin)],
  ['DATABASE_URL', DATABASE_ADDRESS, ({ databaseUrl }) => databaseUrl === undefined || URL.canParse(databaseUrl)],
  ['REDIS_URL', 'be an address of Redis, as docs/operations.md spells them', ({ redisUrl }) => redisUrl === undefined || isRedisAddress(redisUrl)],
  ['JWT_KEYS', 'be set where DATABASE_URL is', ({ databaseUrl, jwtKeys }) => databaseUrl === undefined || jwtKeys !== undefined],
  ['SEAL_KEYS', 'be set where DATABASE_URL is', ({ databaseUrl, sealKeys }) => databaseUrl === undefined || sealKeys !== undefined],
  ['SEAL_KEYS', 'share no key with JWT_KEYS', ({ jwtKeys, jwtAlg, sealKeys }) => !ringsOverlap(jwtKeys ?? [], jwtAlg, sealKeys ?? [])],
  ['WEBHOOK_URL', 'be an address', ({ webhookUrl }) => webhookUrl === undefined || URL.canParse(webhookUrl)],
  ['WEBHOOK_PRIVATE', NETWORKS, ({ webhookPrivate }) => webhookPrivate.every(isNetwork)],
  ['WEBHOOK_URL', 'start with https:// unless WEBHOOK_PRIVATE names where it leads', ({ webhookUrl, webhookPrivate }) => webhookUrl === undefined || webhookPrivate.length > 0 || webhookUrl.startsWith('https://')],
  ['WEBHOOK_URL', 'not be at a private address that WEBHOOK_PRIVATE does not name', ({ webhookUrl, webhookPrivate }) => webhookUrl === undefined || mayBeReceiver(webhookUrl, webhookPrivate)],
  ['WEBHOOK_KEYS', 'be set where WEBHOOK_URL is', ({ webhookUrl, webhookKeys }) => webhookUrl === undefined || webhookKeys !== undefined],
  ['WEBHOOK_KEYS', 'share no key with JWT_KEYS or SEAL_KEYS', ({ jwtKeys, jwtAlg, sealKeys, webhookKeys = [] }) =>
    !ringsOverlap(jwtKeys ?? [], jwtAlg, webhookKeys) && !ringsOverlap(sealKeys ?? [], 'HS256', webhookKeys)]
]

/**
 * Reads the configuration, once. Empty counts as unset, white space around a value is dropped, other variables are ignored.
 *
 * @throws {ConfigError} at the first mistake
 */
export function readConfig (env: NodeJS.ProcessEnv): Config {
  const values = Value.Default(settings, {}) as Record<string, unknown>
  for (const [variable, schema] of Object.entries<TSchema>(settings.properties)) {
    const given = env[variable]?.trim()
    if (given) values[variable] = parse(schema, given)
    if (variable in values && !Value.Check(schema, values[variable])) throw new ConfigError(variable, schema.must)
  }
  const config = Object.fromEntries(Object.keys(settings.properties).map((variable) => [camelCase(variable), freezeList(values[variable])])) as Config
  requireSoundRing('JWT_KEYS', config.jwtKeys, config.jwtAlg)
  requireSoundRing('SEAL_KEYS', config.sealKeys, 'seal')
  requireSoundRing('WEBHOOK_KEYS', config.webhookKeys, 'seal')
  for (const [variable, must, holds] of rules) {
    if (!holds(config)) throw new ConfigError(variable, must)
  }
  return Object.freeze(config)
}

function requireSoundRing (variable: Variable, keys: readonly Key[] | undefined, kind: KeyKind): void {
  const fault = keys && ringFault(keys, kind)
  if (fault) throw new ConfigError(variable, fault)
}

/** Text as the schema's kind of value. What cannot be one stays text, and fails the schema's check. */
function parse (schema: TSchema, text: string): unknown {
  if (schema.type === 'integer') return /^[0-9]{1,10}$/.test(text) ? Number(text) : text
  if (schema.type !== 'array') return text
  return schema.items.type === 'object' ? parseRing(text) ?? text : text.split(',').map((item) => item.trim())
}

function camelCase (variable: string): string {
  return variable.toLowerCase().replace(/_[a-z]/g, (match) => match.slice(1).toUpperCase())
}

function freezeList (value: unknown): unknown {
  return Array.isArray(value) ? Object.freeze(value) : value
}

/** What Fastify's `trustProxy` takes too; but no short (10.1) or mapped (::ffff:10.0.0.1) spelling, which reads as one range and means another. */
function isNetwork (text: string): boolean {
  const [address = ''] = text.split('/')
  const known = ipaddr.IPv4.isValidFourPartDecimal(address) || (ipaddr.IPv6.isValid(address) && !ipaddr.IPv6.parse(address).isIPv4MappedAddress())
  return known && (address === text || ipaddr.isValidCIDR(text))
}

/** A name is looked up when it is connected to. */
function mayBeReceiver (url: string, named: readonly string[]): boolean {
  const target = new URL(url)
  const address = literalAddress(target)
  return address === null || receiversAt(target, named)(address)
}

function isRedisAddress (text: string): boolean {
  try {
    parseRedisAddress(text)
    return true
  } catch {
    return false
  }
}

function isOrigin (text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text
}

function whole (minimum: number, maximum: number, description: string, options: { default?: number } = {}): TInteger {
  return Type.Integer({ minimum, maximum, description, must: `be a whole number from ${minimum} to ${maximum}`, ...options })
}

function text (pattern: RegExp, must: string, description: string, options: { default?: string } = {}): TRegExp {
  return Type.RegExp(pattern, { must, description, ...options })
}

function choice<const T extends string> (values: readonly T[], initial: NoInfer<T>, description: string): TUnsafe<T> {
  return Type.Unsafe<T>(Type.Union(values.map((value) => Type.Literal(value)), { default: initial, description: `${description} One of ${values.join(', ')}.`, must: `be one of ${values.join(', ')}` }))
}

function list (item: RegExp, must: string, description: string): TArray<TRegExp> {
  return Type.Array(Type.RegExp(item), { default: [], description, must })
}

function ring (description: string): TUnsafe<Key[]> {
  const key = Type.Object({ kid: Type.String(), bytes: Type.Uint8Array() })
  return Type.Unsafe<Key[]>(Type.Array(key, { description, must: 'be a comma-separated list of kid:base64url (kid: 1 to 32 letters, digits, - or _; no padding)' }))
}
