import { Value } from '@sinclair/typebox/value'
import type { TSchema } from '@sinclair/typebox'
import ipaddr from 'ipaddr.js'
import { parsePostgresAddress } from '../postgres/address.js'
import { serversFault } from '../postgres/connect.js'
import { addDotenv, misspellings, readVariable } from './environment.js'
import { ConfigError } from '../core/config-error.js'
import { isPasskeyOrigin, isRpIdOf, relyingPartyOf } from '../core/passkeys/relying-party.js'
import type { RelyingParty } from '../core/passkeys/webauthn.js'
import { parseRing, ringFault, ringsOverlap } from '../core/keys/key-ring.js'
import { parseRedisAddress, RedisAddressError } from '../redis/address.js'
import {
  LISTENS, NETWORKS, ORIGINS, PASSKEYS, PROXIES, PUBLIC_ADDRESS, RANGE_SERVICE, SENDER,
  settings, type Config, type Variable
} from './settings.js'
import { UNIX_PEERS } from './trusted-proxies.js'
import { parseMailbox } from '../core/mailbox.js'
import { literalAddress, receiversAt } from '../events/webhook/address.js'

export type { Key } from '../core/keys/key-ring.js'
export { settings, type Config } from './settings.js'

/** Rules that concern more than the pattern of one variable, in the order in which they are checked. */
const rules: ReadonlyArray<readonly [Variable, must: string, holds: (config: Config) => boolean]> = [
  ['HOST', LISTENS, ({ host }) => isListenable(host)],
  ['OPS_HOST', LISTENS, ({ opsHost }) => isListenable(opsHost)],
  ['OPS_PORT', 'differ from PORT', ({ opsPort, port, opsHost, host }) =>
    opsPort !== port || port === 0 || isSocketPath(opsHost) || isSocketPath(host)],
  ['OPS_HOST', 'be another path than HOST', ({ opsHost, host }) => !isSocketPath(host) || opsHost !== host],
  ['REFRESH_SECONDS', 'be at least ACCESS_SECONDS', ({ refreshSeconds, accessSeconds }) => refreshSeconds >= accessSeconds],
  ['SESSION_SECONDS', 'be at least REFRESH_SECONDS', ({ sessionSeconds, refreshSeconds }) => sessionSeconds >= refreshSeconds],
  ['TRUSTED_PROXIES', PROXIES, ({ trustedProxies }) => trustedProxies.every((proxy) => proxy === UNIX_PEERS || isNetwork(proxy))],
  ['PASSKEY_ORIGINS', PASSKEYS, ({ passkeyOrigins }) => passkeyOrigins.every(isPasskeyOrigin)],
  ['PASSKEY_RP_ID', 'be the host of an origin in PASSKEY_ORIGINS, or a parent domain of it', ({ passkeyRpId, passkeyOrigins }) =>
    passkeyRpId === undefined || passkeyOrigins.some((origin) => isRpIdOf(passkeyRpId, origin))],
  ['STAFF_PASSKEY', 'be optional while there are no PASSKEY_ORIGINS', (config) =>
    config.staffPasskey === 'optional' || passkeyPartyOf(config) !== undefined],
  ['CORS_ORIGINS', ORIGINS, ({ corsOrigins }) => corsOrigins.every(isOrigin)],
  ['DATABASE_URL', 'lead to a server that takes writes: its target_session_attrs asks for another one', ({ databaseUrl }) =>
    databaseUrl === undefined || parsePostgresAddress(databaseUrl).target !== 'standby'],
  ['JWT_KEYS', 'be set where DATABASE_URL is', ({ databaseUrl, jwtKeys }) => databaseUrl === undefined || jwtKeys !== undefined],
  ['SEAL_KEYS', 'be set where DATABASE_URL is', ({ databaseUrl, sealKeys }) => databaseUrl === undefined || sealKeys !== undefined],
  ['SEAL_KEYS', 'share no key with JWT_KEYS', ({ jwtKeys, jwtAlg, sealKeys }) => !ringsOverlap(jwtKeys ?? [], jwtAlg, sealKeys ?? [])],
  ['WEBHOOK_URL', 'be an address', ({ webhookUrl }) => webhookUrl === undefined || URL.canParse(webhookUrl)],
  ['WEBHOOK_PRIVATE', NETWORKS, ({ webhookPrivate }) => webhookPrivate.every(isNetwork)],
  ['WEBHOOK_URL', 'start with https:// unless WEBHOOK_PRIVATE names where it leads', ({ webhookUrl, webhookPrivate }) =>
    webhookUrl === undefined || webhookPrivate.length > 0 || webhookUrl.startsWith('https://')],
  ['WEBHOOK_URL', 'not be at a private address that WEBHOOK_PRIVATE does not name', ({ webhookUrl, webhookPrivate }) =>
    webhookUrl === undefined || mayBeReceiver(webhookUrl, webhookPrivate)],
  ['WEBHOOK_KEYS', 'be set where WEBHOOK_URL is', ({ webhookUrl, webhookKeys }) => webhookUrl === undefined || webhookKeys !== undefined],
  ['PUBLIC_URL', PUBLIC_ADDRESS, ({ publicUrl }) => publicUrl === undefined || isPublicAddress(publicUrl)],
  ['PUBLIC_URL', 'be set where MAIL_URL is', ({ mailUrl, publicUrl }) => mailUrl === undefined || publicUrl !== undefined],
  ['BREACHED_PASSWORDS_URL', RANGE_SERVICE, ({ breachedPasswordsUrl: url }) => url === undefined || isRangeService(url)],
  ['MAIL_URL', 'be an address', ({ mailUrl }) => mailUrl === undefined || URL.canParse(mailUrl)],
  ['MAIL_FROM', 'be set where MAIL_URL is', ({ mailUrl, mailFrom }) => mailUrl === undefined || mailFrom !== undefined],
  ['MAIL_FROM', SENDER, ({ mailFrom }) => mailFrom === undefined || parseMailbox(mailFrom) !== null],
  ['WEBHOOK_KEYS', 'share no key with JWT_KEYS or SEAL_KEYS', ({ jwtKeys, jwtAlg, sealKeys, webhookKeys = [] }) =>
    !ringsOverlap(jwtKeys ?? [], jwtAlg, webhookKeys) && !ringsOverlap(sealKeys ?? [], 'HS256', webhookKeys)],
  ['CLIENT_KEYS', 'share no key with JWT_KEYS, SEAL_KEYS or WEBHOOK_KEYS', ({ jwtKeys, jwtAlg, sealKeys, webhookKeys, clientKeys = [] }) =>
    !ringsOverlap(jwtKeys ?? [], jwtAlg, clientKeys) &&
    !ringsOverlap([...sealKeys ?? [], ...webhookKeys ?? []], 'HS256', clientKeys)],
  ['REVOCATION_SECONDS', 'be 1 where CLIENT_KEYS is set: services that follow ended sessions know no other bound', (config) =>
    config.clientKeys === undefined || config.revocationSeconds === 1]
]

/** Line for the operator, in the log or a terminal. Never contains a value. */
export interface Note { level: 'info' | 'warn', text: string }

const variables = Object.keys(settings.properties)
const inFiles = Object.entries<TSchema>(settings.properties).filter(([, schema]) => schema['mayBeInFile']).map(([variable]) => variable)
/** Service link of Kubernetes: a service with the name `ops` sets OPS_PORT in each container of its namespace. */
const SERVICE_LINK = /^(tcp|udp|sctp):\/\//i

/**
 * Reads the configuration. An empty value counts as unset, white space around a value is dropped, other variables are ignored.
 *
 * @param onNote called for values that are ignored, and for names that look misspelt
 * @throws {ConfigError} at the first mistake
 */
export function readConfig (env: NodeJS.ProcessEnv, onNote: (note: Note) => void = () => {}): Config {
  const values = Value.Default(settings, {}) as Record<string, unknown>
  for (const [variable, schema] of Object.entries<TSchema>(settings.properties)) {
    const given = readVariable(env, variable, inFiles.includes(variable))
    if (variable.endsWith('PORT') && SERVICE_LINK.test(given)) {
      const text = `${variable} is ignored: it is an address, as Kubernetes sets it for a service of that name`
      onNote({ level: 'info', text })
    } else if (given !== '') values[variable] = parse(schema, given)
    if (variable in values && !Value.Check(schema, values[variable])) throw new ConfigError(variable, schema.must)
  }
  noteMisspellings(env, values, onNote)
  const config = Object.fromEntries(variables.map((variable) => [camelCase(variable), freezeList(values[variable])])) as Config
  requireSound('JWT_KEYS', config.jwtKeys, (keys) => ringFault(keys, config.jwtAlg))
  const { sealKeys, webhookKeys, clientKeys } = config
  for (const [variable, ring] of [['SEAL_KEYS', sealKeys], ['WEBHOOK_KEYS', webhookKeys], ['CLIENT_KEYS', clientKeys]] as const) {
    requireSound(variable, ring, (keys) => ringFault(keys, 'seal'))
  }
  requireSound('DATABASE_URL', config.databaseUrl, serversFault)
  requireSound('REDIS_URL', config.redisUrl, redisFault)
  for (const [variable, must, holds] of rules) {
    if (!holds(config)) throw new ConfigError(variable, must)
  }
  return Object.freeze(config)
}

/**
 * Reads the configuration of a process from its environment, and from the file `.env` of a folder for unset variables.
 * The variables of the file are added to `env`, so that drivers find their own there.
 *
 * @throws {ConfigError} at the first mistake
 */
export function readProcess (env: NodeJS.ProcessEnv, folder: string): { config: Config, notes: Note[] } {
  const notes: Note[] = []
  const added = addDotenv(env, folder)
  if (added !== null) {
    const names = added.length === 0 ? 'nothing that is not set already' : added.join(', ')
    notes.push({ level: 'info', text: `.env is read: ${names}` })
  }
  return { config: readConfig(env, (note) => { notes.push(note) }), notes }
}

/** @throws {ConfigError} if the embedded database would start because the address of another one is under a misspelt name */
function noteMisspellings (env: NodeJS.ProcessEnv, values: Readonly<Record<string, unknown>>, onNote: (note: Note) => void): void {
  for (const { given, meant } of misspellings(env, [...variables, ...inFiles.map((variable) => `${variable}_FILE`)])) {
    if (meant.startsWith('DATABASE_URL') && values['DATABASE_URL'] === undefined) {
      throw new ConfigError(meant, `be spelled like this: ${given} looks like it, and without it the embedded database would be used`)
    }
    onNote({ level: 'warn', text: `${given} is ignored: is ${meant} meant?` })
  }
}

/** Checks a value by its own reader, whose message says the fault. @throws {ConfigError} */
function requireSound<T> (variable: Variable, value: T | undefined, faultOf: (value: T) => string | undefined): void {
  const fault = value && faultOf(value)
  if (fault) throw new ConfigError(variable, fault)
}

/** Converts text to the schema's type. Text that cannot be converted stays text, and fails the schema's check. */
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

/** Returns the relying party of passkeys; undefined if there are none. */
export function passkeyPartyOf (config: Config): RelyingParty | undefined {
  const { passkeyOrigins, passkeyRpId: rpId, passkeyUserVerification: userVerification, otpIssuer, databaseUrl, port } = config
  // With PORT=0 the port is not known yet: `followPort` in app.ts sets it.
  const local = databaseUrl === undefined ? [`http://localhost:${port}`] : []
  return relyingPartyOf({ origins: passkeyOrigins.length > 0 ? passkeyOrigins : local, rpId, rpName: otpIssuer, userVerification })
}

/** True for the path of a Unix socket, rather than a name or an address. */
export const isSocketPath = (host: string): boolean => host.startsWith('/')

/** True if metrics and probes have a port or socket of their own. */
export const servesOps = ({ opsPort, opsHost }: Config): boolean => opsPort !== undefined || isSocketPath(opsHost)

/** Refuses long paths of sockets: Node cuts them off at the kernel's limit (107 bytes on Linux, 103 on macOS) without an error. */
function isListenable (host: string): boolean {
  return !isSocketPath(host) || (Buffer.byteLength(host) <= 103 && !host.endsWith('/'))
}

/** Accepts the values of Fastify's `trustProxy`, except short (10.1) and mapped (::ffff:10.0.0.1) spellings, which are misleading. */
function isNetwork (text: string): boolean {
  const [address = ''] = text.split('/')
  const known = ipaddr.IPv4.isValidFourPartDecimal(address) ||
    (ipaddr.IPv6.isValid(address) && !ipaddr.IPv6.parse(address).isIPv4MappedAddress())
  return known && (address === text || ipaddr.isValidCIDR(text))
}

/** Judges literal addresses alone: a host name is resolved and judged when the sender connects. */
function mayBeReceiver (url: string, named: readonly string[]): boolean {
  const target = new URL(url)
  const address = literalAddress(target)
  return address === null || receiversAt(target, named)(address)
}

function redisFault (text: string): string | undefined {
  try {
    parseRedisAddress(text)
    return undefined
  } catch (error) {
    if (error instanceof RedisAddressError) return `be an address as docs/operations.md has them: this one ${error.message}`
    throw error
  }
}

function isOrigin (text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text
}

/** Its answers decide about passwords, so a network on the way must not write them. */
function isRangeService (text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname, search, hash, username, password } = new URL(text)
  const isLoopback = hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname)
  return (protocol === 'https:' || isLoopback) && [search, hash, username, password].every((part) => part === '')
}

/** One spelling alone: links are this text and a path. */
function isPublicAddress (text: string): boolean {
  if (!URL.canParse(text)) return false
  const { href, search, hash, username, password } = new URL(text)
  return !text.endsWith('/') && search === '' && hash === '' && username === '' && password === '' && [text, `${text}/`].includes(href)
}
