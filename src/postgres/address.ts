/** One server of an address. If the host is empty or the port undefined, pg uses its environment (PGHOST, PGPORT). */
export interface PostgresHost { host: string, port: number | undefined }

/** Parts of a PostgreSQL address, decoded. For an empty part, pg uses its environment. */
export interface PostgresAddress {
  /** At least one, in the order in which they are tried. */
  hosts: readonly PostgresHost[]
  user: string
  password: string
  database: string
  /** Required kind of server: with several hosts, one that takes writes unless the address says otherwise. */
  target: 'any' | 'primary' | 'standby'
  /** The other parameters of the query: TLS, `application_name`, `options` and so on. */
  parameters: Readonly<Record<string, string>>
}

/**
 * Thrown for an address that cannot be read. The message completes "DATABASE_URL must …" and never contains the address, which
 * may hold a password.
 */
export class PostgresAddressError extends Error {
  override readonly name = 'PostgresAddressError'
}

const SCHEME = /^postgres(?:ql)?:\/\//
/** A name, an IPv4 address, or an IPv6 address in square brackets, then a port. Socket folders begin with %2F here. */
const HOST = /^(?:\[([0-9A-Fa-f:.]+(?:%[^\]]+)?)\]|([^[\]:\s\\]*))(?::([^:]*))?$/
/** `target_session_attrs` of libpq. */
const targets = {
  any: 'any',
  'read-write': 'primary',
  primary: 'primary',
  standby: 'standby',
  'read-only': 'standby',
  'prefer-standby': 'any'
} as const

/**
 * Reads `postgres://user:password@host:port/database?parameters` as pg and libpq do: sockets as `?host=/run/postgresql` or
 * `%2Frun%2Fpostgresql`, several hosts as `h1:1,h2:2`, missing parts from the environment. Special characters in the
 * password may be percent-encoded or literal.
 *
 * @throws {PostgresAddressError}
 */
export function parsePostgresAddress (url: string): PostgresAddress {
  if (!SCHEME.test(url) || /\p{Cc}/u.test(url)) {
    throw new PostgresAddressError('be an address that starts with postgres:// or postgresql://')
  }
  const [credentials, rest] = splitCredentials(url.replace(SCHEME, ''))
  const [, authority = '', path = '', query = ''] = /^([^/?]*)([^?]*)\??([^]*)$/.exec(rest)!
  const all = Object.fromEntries(new URLSearchParams(query))
  const { host, hostaddr, port, user, password, dbname, target_session_attrs: target, ...parameters } = all
  const named = authority.split(',').map(readHost)
  const places = host ?? hostaddr
  const hosts = places === undefined ? named : places.split(',').map((name) => ({ host: name, port: named[0]!.port }))
  const colon = credentials.indexOf(':')
  return {
    hosts: port === undefined ? hosts : withPorts(hosts, port.split(',')),
    user: user ?? decode(colon === -1 ? credentials : credentials.slice(0, colon)),
    password: password ?? (colon === -1 ? '' : decode(credentials.slice(colon + 1))),
    database: dbname ?? decode(path.slice(1)),
    target: target === undefined ? (hosts.length > 1 ? 'primary' : 'any') : readTarget(target),
    parameters
  }
}

/** Returns the message of the fault in an address; undefined if it can be read. */
export function addressFault (url: string): string | undefined {
  try {
    parsePostgresAddress(url)
    return undefined
  } catch (error) {
    if (error instanceof PostgresAddressError) return error.message
    throw error
  }
}

/**
 * Splits at the last @ before the first of / ? and #. If there is none, the password may contain one of those three literally:
 * then splits at the first @ after it. `host:5432/a@b` and `host?user=a@b` have no credentials.
 */
function splitCredentials (text: string): [credentials: string, rest: string] {
  const [plain = ''] = /^[^/?#]*/.exec(text)!
  const at = plain.lastIndexOf('@')
  if (at !== -1) return [plain.slice(0, at), text.slice(at + 1)]
  const raw = /^([^@]*)@([^/?#]*@)?/.exec(text)
  const mark = text[plain.length]
  if (raw === null || mark === undefined) return ['', text]
  const [all, before = ''] = raw
  const hasPort = /:[0-9]+$/.test(plain)
  const isPassword = mark === '#'
    ? !before.slice(0, before.indexOf('#')).includes('/')
    : plain.includes(':') && (!hasPort || (mark === '?' && !before.slice(plain.length).includes('=')))
  return isPassword ? [all.slice(0, -1), text.slice(all.length)] : ['', text]
}

function readHost (text: string): PostgresHost {
  const parts = HOST.exec(text)
  if (parts === null) {
    throw new PostgresAddressError('name a host and a port that can be read: percent-encode what is special in a user or password')
  }
  const [, address, name = '', port = ''] = parts
  return { host: address ?? decode(name), port: readPort(port) }
}

function readPort (text: string): number | undefined {
  if (text === '') return undefined
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0
  if (port < 1 || port > 65_535) throw new PostgresAddressError('name ports from 1 to 65535')
  return port
}

/** Assigns one port to all hosts, or one to each. */
function withPorts (hosts: readonly PostgresHost[], ports: readonly string[]): PostgresHost[] {
  if (ports.length !== 1 && ports.length !== hosts.length) throw new PostgresAddressError('name one port, or as many as hosts')
  return hosts.map(({ host }, i) => ({ host, port: readPort(ports[i] ?? ports[0]!) }))
}

function readTarget (text: string): PostgresAddress['target'] {
  if (!Object.hasOwn(targets, text)) {
    throw new PostgresAddressError(`have a target_session_attrs that is one of ${Object.keys(targets).join(', ')}`)
  }
  return targets[text as keyof typeof targets]
}

/** Decodes percent-encodings. As in pg, a % that begins no encoding stays literal. */
function decode (text: string): string {
  try {
    return text.replace(/(?:%[0-9A-Fa-f]{2})+/g, decodeURIComponent)
  } catch {
    throw new PostgresAddressError('have percent-encodings that are UTF-8')
  }
}
