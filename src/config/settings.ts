import { Type, type Static, type TArray, type TInteger, type TRegExp, type TSchema, type TUnsafe } from '@sinclair/typebox'
import { MOST_RECOVERY_CODES, otpDefaults } from '../core/defaults.js'
import type { Key } from '../core/keys/key-ring.js'

const DAY_SECONDS = 86_400
const YEAR_SECONDS = 365 * DAY_SECONDS

/** Text for tokens and QR codes: no control characters, no unpaired surrogates. */
const NAME = /^[^\p{Cc}\p{Cs}]{1,255}$/u

const DATABASE_ADDRESS = 'be an address that starts with postgres:// or postgresql://'
const REDIS_ADDRESS = 'be an address that starts with redis://, rediss://, unix://, redis+sentinel://, rediss+sentinel://, ' +
  'redis+cluster:// or rediss+cluster://'
export const LISTENS = 'be a host name, an address, or the absolute path of a Unix socket, of at most 103 bytes'
const NETWORK = /^[0-9A-Fa-f.:]+(\/[1-9][0-9]{0,2})?$/
const PROXY = /^(unix|[0-9A-Fa-f.:]+(\/[1-9][0-9]{0,2})?)$/
export const PROXIES = 'be a comma-separated list of IPv4 or IPv6 addresses, CIDR ranges or unix, none of them everyone'
export const NETWORKS = 'be a comma-separated list of IPv4 or IPv6 addresses or CIDR ranges, none of them everyone'
export const ORIGINS = 'be a comma-separated list of exact origins: http or https, a lower-case host, no path, no default port, no *'

export const PASSKEYS = 'be a comma-separated list of exact origins as browsers write them: https with a lower-case host name, no path, ' +
  'no default port; or http://localhost with a port; or android:apk-key-hash:…'

export const PUBLIC_ADDRESS = 'be an address that starts with https:// or http://, without query, fragment or a slash at the end'
export const RANGE_SERVICE = 'be an address that starts with https://, or http:// on a loopback address, without query or fragment'
export const SENDER = 'be an address, or Name <address>, without quotes or commas'
const PATH = /^\/[A-Za-z0-9._~/-]{0,200}$/
const A_PATH = 'be a path that starts with /, of letters, digits and - . _ ~ /'

/**
 * Every setting, by the name of its environment variable. The `Config` type, the defaults, the checks, `.env.example` and
 * docs/settings.md are made from it. `must` ends the sentence that refuses a bad value.
 */
export const settings = Type.Object({
  PORT: whole(0, 65_535, 'Port to listen on; 0 takes any free one.', { default: 3000 }),
  HOST: text(/^([A-Za-z0-9._:%-]{1,253}|\/\P{Cc}+)$/u, LISTENS,
    'Address to listen on, 0.0.0.0 or :: for all; or the path of a Unix socket, /run/countersign.sock.', { default: '127.0.0.1' }),
  OPS_PORT: Type.Optional(whole(0, 65_535, 'Port for /metrics and the probes; unset, /metrics is served on PORT.')),
  OPS_HOST: text(/^([A-Za-z0-9._:%-]{1,253}|\/\P{Cc}+)$/u, LISTENS,
    'Address for OPS_PORT; or the path of a Unix socket, which needs no OPS_PORT.', { default: '127.0.0.1' }),
  METRICS: choice(['on', 'off'], 'on', 'Serve /metrics.'),
  DOCS: choice(['on', 'off'], 'on', 'Serve /docs and /openapi.json.'),
  PAGES: choice(['on', 'off'], 'on', 'Serve the pages for people: / to sign in, /me and /staff. Off, / leads to /docs where DOCS is on.'),
  KEEP_ALIVE_SECONDS: whole(1, 3600, 'Time for which an idle connection is kept. Must be longer than that of the proxy in front.', {
    default: 72
  }),
  LOG_LEVEL: choice(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], 'info', 'Least severe log lines to write.'),
  DATA_DIR: text(/^\P{Cc}+$/u, 'be a path', 'Folder of the embedded database and the keys made on first start.', {
    default: '.countersign'
  }),
  DATABASE_URL: Type.Optional(secret('DATABASE_URL', text(/^postgres(ql)?:\/\/\P{Cc}+$/u, DATABASE_ADDRESS,
    'PostgreSQL to use; unset, an embedded one under DATA_DIR.'))),
  DATABASE_POOL_SIZE: whole(1, 1000, 'Connections to PostgreSQL, at most, of each process.', { default: 10 }),
  MIGRATE: choice(['on', 'off'], 'on', 'Migrate the database at start.'),
  REDIS_URL: Type.Optional(secret('REDIS_URL', text(/^(rediss?(\+sentinel|\+cluster)?|unix):\/\/\S+$/, REDIS_ADDRESS,
    'Redis to use for speed; unset, none.'))),
  JWT_ALG: choice(['HS256', 'EdDSA'], 'HS256', 'Algorithm that signs tokens.'),
  JWT_KEYS: Type.Optional(secret('JWT_KEYS', ring('Signing keys as kid:base64url, comma-separated; the first signs, all verify ' +
    '(HS256: 32 bytes or more; EdDSA: PKCS8 DER). Required with DATABASE_URL; else made under DATA_DIR.'))),
  JWT_ISSUER: text(NAME, 'be 1 to 255 characters', 'Claim iss of the tokens.', { default: 'countersign' }),
  JWT_AUDIENCE: text(NAME, 'be 1 to 255 characters', 'Claim aud of the tokens.', { default: 'countersign' }),
  SEAL_KEYS: Type.Optional(secret('SEAL_KEYS', ring('Keys that encrypt secrets at rest, in the form of JWT_KEYS, 32 bytes or more; ' +
    'the first encrypts, all decrypt. Required with DATABASE_URL; else made under DATA_DIR.'))),
  ACCESS_SECONDS: whole(1, DAY_SECONDS, 'Lifetime of an access token.', { default: 300 }),
  REFRESH_SECONDS: whole(1, YEAR_SECONDS, 'Lifetime of a refresh token: the longest idle time of a session.', { default: DAY_SECONDS }),
  SESSION_SECONDS: whole(1, YEAR_SECONDS, 'Lifetime of a session, in use or not.', { default: otpDefaults.sessionSeconds }),
  REVOCATION_SECONDS: whole(1, 300, 'Time within which every replica refuses an ended session; ' +
    'also the time, at most a minute, for which known sessions are served without PostgreSQL.', { default: otpDefaults.revocationSeconds }),
  PASSWORD_MIN_LENGTH: whole(8, 128, 'Shortest password accepted, in characters; 15 where it is the only factor.', { default: 8 }),
  BREACHED_PASSWORDS_URL: Type.Optional(text(/^https?:\/\/\S+$/, RANGE_SERVICE,
    'Range service for breached passwords, such as https://api.pwnedpasswords.com/range: new passwords that it knows are refused. ' +
    'It learns 5 of 40 digits of their SHA-1. Unset, none is asked.')),
  SIGN_UP: choice(['open', 'closed'], 'open', 'Access to POST /users.'),
  OTP_ISSUER: text(/^[^:\p{Cc}\p{Cs}]{1,64}$/u, 'be 1 to 64 characters without a colon',
    'Name of the service that authenticator apps show.', { default: 'Countersign' }),
  OTP_WINDOW: whole(0, 2, 'Time steps of 30 s accepted on each side of the current one.', { default: otpDefaults.window }),
  OTP_SETUP_SECONDS: whole(1, DAY_SECONDS, 'Lifetime of a device that waits for its first code.', { default: otpDefaults.setupSeconds }),
  OTP_REAUTH_SECONDS: whole(1, DAY_SECONDS, 'Greatest age of the password for the set-up of a first device.', {
    default: otpDefaults.reauthSeconds
  }),
  OTP_PENDING_SECONDS: whole(1, DAY_SECONDS, 'Lifetime of a session that still owes its second factor; its user may extend it ten times.', {
    default: otpDefaults.pendingSeconds
  }),
  OTP_FRESH_SECONDS: whole(1, DAY_SECONDS, 'Greatest age of the second factor for sensitive changes.', {
    default: otpDefaults.freshSeconds
  }),
  PASSKEY_ORIGINS: list(/^[a-z][a-z0-9+.-]*:[^\s*]+$/, PASSKEYS, 'Exact origins of the pages, and of native apps, that may use passkeys, ' +
    'comma-separated: https://app.example.org. Unset, there are no passkeys; with the embedded database, http://localhost:PORT.'),
  PASSKEY_RP_ID: Type.Optional(text(/^[a-z0-9.-]{1,253}$/, 'be the host of an origin in PASSKEY_ORIGINS, or a parent domain of it',
    'Domain to which passkeys are bound: never change it once there are some. By default the host of the first origin.')),
  PASSKEY_USER_VERIFICATION: choice(['preferred', 'required'], 'preferred', 'PIN or biometric check of a passkey.'),
  STAFF_PASSKEY: choice(['optional', 'required'], 'optional', 'Passkey of staff, for every operation of theirs.'),
  EVENTS_DAYS: whole(1, 3650, 'Time for which security events are kept. They go a table at a time, up to a thirteenth of it later.',
    { default: otpDefaults.eventsDays }),
  OTP_RECOVERY_CODES: whole(1, MOST_RECOVERY_CODES, 'Recovery codes in a set.', { default: otpDefaults.recoveryCodes }),
  OTP_POLICY: choice(['optional', 'required', 'staff'], 'optional', 'Users that must have a second factor: none, all, or staff.'),
  OTP_GRACE_DAYS: whole(0, 365, 'Time that a user has to set one up where it is required, ' +
    'from the sign-up or from the start of the policy.', { default: 14 }),
  WEBHOOK_URL: Type.Optional(secret('WEBHOOK_URL', text(/^https?:\/\/\S+$/, 'be an address that starts with https://',
    'Receiver of security events; unset, none.'))),
  WEBHOOK_KEYS: Type.Optional(secret('WEBHOOK_KEYS', ring('Keys that sign the messages to WEBHOOK_URL, in the form of SEAL_KEYS; ' +
    'each of them signs, so that the receiver can change from one to the next. Required with WEBHOOK_URL.'))),
  WEBHOOK_PRIVATE: list(NETWORK, NETWORKS, 'Private addresses that the receiver may have, the only ones for which http:// is accepted: ' +
    'addresses or CIDR ranges, comma-separated.'),
  CLIENT_KEYS: Type.Optional(secret('CLIENT_KEYS', ring('Keys of the services that may follow ended sessions at GET /revocations, in the ' +
    'form of SEAL_KEYS; each of them counts. Unset, there is no such operation.'))),
  PUBLIC_URL: Type.Optional(text(/^https?:\/\/\S+$/, PUBLIC_ADDRESS,
    'Address at which people reach this service, for links in mails: scheme, host, and the path prefix if there is one. ' +
    'Required with MAIL_URL.')),
  MAIL_URL: Type.Optional(secret('MAIL_URL', text(/^smtps?:\/\/\S+$/, 'be an address that starts with smtp:// or smtps://',
    'Mail server, with user and password if it asks for them: smtps://user:password@mail.example.org. Unset, there are no mails.'))),
  MAIL_FROM: Type.Optional(text(/^\P{Cc}{3,320}$/u, SENDER, 'Sender of mails: an address, or Name <address>. Required with MAIL_URL.')),
  MAIL_TLS: choice(['on', 'off'], 'on', 'Refuse mail servers without STARTTLS, except on this machine; off sends in plain text too.'),
  VERIFY_EMAIL_PATH: text(PATH, A_PATH, 'Page, below PUBLIC_URL, to which links that verify an address lead.', {
    default: '/verify-email'
  }),
  RESET_PASSWORD_PATH: text(PATH, A_PATH, 'The same for links for a new password.', { default: '/reset-password' }),
  UNDO_EMAIL_CHANGE_PATH: text(PATH, A_PATH, 'The same for links that undo a change of the address.', { default: '/undo-email-change' }),
  NETWORK_LIMITS: choice(['on', 'off'], 'on', 'Limits per network; off if a gateway has them.'),
  LIMIT_TOKEN_PER_MINUTE: limit('Log-ins, changes of passwords and uses of links from mails, of a network in a minute.', 30),
  LIMIT_USERS_PER_HOUR: limit('Sign-ups of a network in an hour.', 10),
  LIMIT_CREATE_PER_HOUR: limit('Set-ups of second factors by a user in an hour.', 20),
  LIMIT_CODES_PER_MINUTE: limit('Codes, recovery codes and passkeys of a network in a minute.', 60),
  LIMIT_MAIL_PER_HOUR: limit('Mails that a network asks for in an hour.', 20),
  LIMIT_OTHER_PER_MINUTE: limit('All other requests of a network in a minute, refreshes of tokens among them; ' +
    'requests to /session have the same limit, counted by each process for itself.', 600),
  TRUSTED_PROXIES: list(PROXY, PROXIES, 'Proxies whose X-Forwarded-For is trusted, comma-separated: ' +
    'addresses, CIDR ranges, or unix for the peers of a Unix socket.'),
  CORS_ORIGINS: list(/^https?:\/\/[^\s/*]+$/, ORIGINS, 'Browser origins that may call, such as https://app.example.org, comma-separated.')
})

type Settings = Static<typeof settings>
export type Variable = keyof Settings & string

type CamelCase<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Lowercase<Head>}${Capitalize<CamelCase<Tail>>}`
  : Lowercase<S>

/** The settings under camelCase names: ACCESS_SECONDS is `accessSeconds`. An unset one without a default is undefined. */
export type Config = { readonly [V in Variable as CamelCase<V>]: Settings[V] }

function whole (minimum: number, maximum: number, description: string, options: { default?: number } = {}): TInteger {
  return Type.Integer({ minimum, maximum, description, must: `be a whole number from ${minimum} to ${maximum}`, ...options })
}

function limit (description: string, initial: number): TInteger {
  return whole(1, 1_000_000, description, { default: initial })
}

function text (pattern: RegExp, must: string, description: string, options: { default?: string } = {}): TRegExp {
  return Type.RegExp(pattern, { must, description, ...options })
}

function choice<const T extends string> (values: readonly T[], initial: NoInfer<T>, description: string): TUnsafe<T> {
  const all = values.join(', ')
  const options = { default: initial, description: `${description} One of ${all}.`, must: `be one of ${all}` }
  return Type.Unsafe<T>(Type.Union(values.map((value) => Type.Literal(value)), options))
}

function list (item: RegExp, must: string, description: string): TArray<TRegExp> {
  return Type.Array(Type.RegExp(item), { default: [], description, must })
}

function ring (description: string): TUnsafe<Key[]> {
  const key = Type.Object({ kid: Type.String(), bytes: Type.Uint8Array() })
  const must = 'be a comma-separated list of kid:base64url (kid: 1 to 32 letters, digits, - or _; no padding)'
  return Type.Unsafe<Key[]>(Type.Array(key, { description, must }))
}

/** Marks a setting that may be in a file, as orchestrators provide secrets: NAME_FILE holds the path. */
function secret<T extends TSchema> (variable: string, schema: T): T {
  return { ...schema, description: `${schema.description} Or ${variable}_FILE: the path of a file that holds it.`, mayBeInFile: true }
}
