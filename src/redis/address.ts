/** One host and port of a Redis server, Sentinel or Cluster node. */
export interface Endpoint {
  host: string
  port: number
}

/** Options of every connection to the servers, under the names of ioredis. */
export interface ServerCredentials {
  username?: string
  password?: string
  tls?: object
}

export interface ServerOptions extends ServerCredentials, Endpoint {
  db: number
}

/** Server on this machine, by the path of its Unix socket. */
export interface SocketOptions extends ServerCredentials {
  path: string
  db: number
}

export interface SentinelOptions extends ServerCredentials {
  sentinels: Endpoint[]
  name: string
  db: number
  sentinelUsername?: string
  sentinelPassword?: string
  sentinelTLS?: object
  enableTLSForSentinelMode?: true
}

/** Address of Redis: one server (by name or through Sentinel), or the first nodes of a Cluster. */
export type RedisAddress =
  | { kind: 'server', options: ServerOptions | SocketOptions | SentinelOptions }
  | { kind: 'cluster', nodes: Endpoint[], options: ServerCredentials }

/** Thrown for an address that cannot be read. The message never contains the address, which may hold a password. */
export class RedisAddressError extends Error {
  override name = 'RedisAddressError'
}

const ADDRESS = /^(rediss?)(\+sentinel|\+cluster)?:\/\/(?:([^@]*)@)?([^@/?#]+)(?:\/([^?#]*))?$/
const SOCKET = /^unix:\/\/(?:([^@/]*)@)?(\/[^?#@]*[^?#@/])(?:\?([^#]*))?$/
const ENDPOINT = /^(?:\[([0-9a-f:.]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/i
const DB = /^\d{1,5}$/

/**
 * Reads `redis://[user:password@]host:port[/db]`,
 * `redis+sentinel://[user:password@]h1:26379,h2:26379/<master-name>[/db]` and
 * `redis+cluster://[user:password@]h1:7000,h2:7001`, the same with `rediss…` over TLS, and
 * `unix://[user:password@]/path/of/the/socket[?db=1]`.
 * User, password and master's name are percent-decoded. Sentinels get the servers' user and password.
 *
 * @throws {RedisAddressError} with one line that says the fault
 */
export function parseRedisAddress (url: string): RedisAddress {
  if (url.startsWith('unix:')) return { kind: 'server', options: readSocket(url) }
  const parts = ADDRESS.exec(url)
  if (!parts) throw new RedisAddressError('must look like redis://user:password@host:port/db')
  const [, scheme, topology, userInfo, hosts = '', path = ''] = parts
  const credentials: ServerCredentials = { ...readUserInfo(userInfo), ...(scheme === 'rediss' && { tls: {} }) }
  switch (topology) {
    case '+cluster':
      if (path !== '') throw new RedisAddressError('names a database, and Redis Cluster has none')
      return { kind: 'cluster', nodes: readEndpoints(hosts, 6379), options: credentials }
    case '+sentinel':
      return { kind: 'server', options: readSentinel(readEndpoints(hosts, 26379), path, credentials) }
    default:
      return { kind: 'server', options: { ...readSingle(readEndpoints(hosts, 6379)), db: readDb(path), ...credentials } }
  }
}

function readSocket (url: string): SocketOptions {
  const parts = SOCKET.exec(url)
  if (!parts) throw new RedisAddressError('must look like unix:///path/of/the/socket?db=0')
  const [, userInfo, path = '', query = ''] = parts
  const { db = '', ...others } = Object.fromEntries(new URLSearchParams(query))
  if (Object.keys(others).length > 0) throw new RedisAddressError('has a parameter other than db')
  return { path: decode(path), db: readDb(db), ...readUserInfo(userInfo) }
}

function readSentinel (sentinels: Endpoint[], path: string, credentials: ServerCredentials): SentinelOptions {
  const [name = '', db = '', ...rest] = path.split('/')
  if (name === '' || rest.length > 0) throw new RedisAddressError('must end in /<master-name> or /<master-name>/<db>')
  const { username, password, tls } = credentials
  return {
    sentinels,
    name: decode(name),
    db: readDb(db),
    ...credentials,
    ...(username !== undefined && { sentinelUsername: username }),
    ...(password !== undefined && { sentinelPassword: password }),
    ...(tls && { sentinelTLS: tls, enableTLSForSentinelMode: true as const })
  }
}

function readUserInfo (userInfo: string | undefined): ServerCredentials {
  if (userInfo === undefined) return {}
  const colon = userInfo.indexOf(':')
  const username = decode(userInfo.slice(0, colon))
  const password = decode(userInfo.slice(colon + 1))
  if (colon === -1 || password === '') throw new RedisAddressError('has a user without a password')
  return username === '' ? { password } : { username, password }
}

function readEndpoints (hosts: string, defaultPort: number): Endpoint[] {
  return hosts.split(',').map((text) => {
    const parts = ENDPOINT.exec(text)
    const host = parts?.[1] ?? parts?.[2]
    const port = Number(parts?.[3] ?? defaultPort)
    if (host === undefined || port < 1 || port > 65535) throw new RedisAddressError('has a host or port that cannot be read')
    return { host, port }
  })
}

function readSingle ([first, ...rest]: Endpoint[]): Endpoint {
  if (!first || rest.length > 0) throw new RedisAddressError('names several hosts: that takes +sentinel or +cluster')
  return first
}

function readDb (text: string): number {
  if (text === '') return 0
  if (!DB.test(text)) throw new RedisAddressError('has a database that is no number')
  return Number(text)
}

function decode (text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new RedisAddressError('has a broken percent-encoding')
  }
}
