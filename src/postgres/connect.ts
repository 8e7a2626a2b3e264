import pg from 'pg'
import { parsePostgresAddress, PostgresAddressError, type PostgresAddress } from './address.js'
import { READ_ONLY_STATE } from './errors.js'
import type { PgPool } from './pool.js'

/** Parameters that pg takes from an address unchanged. */
const TAKEN = ['application_name', 'fallback_application_name', 'client_encoding', 'options', 'replication', 'sslnegotiation',
  'statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'query_timeout'] as const
/** Parameters from which pg makes its TLS settings. */
const OF_TLS = ['ssl', 'sslmode', 'sslcert', 'sslkey', 'sslrootcert', 'sslnegotiation', 'uselibpqcompat']

/** Shown in pg_stat_activity, unless the address says otherwise. */
export const APPLICATION = 'countersign'
const OF_THIS_KIND = { primary: 'f', standby: 't' } as const

export interface Servers {
  address: PostgresAddress
  /** One for each host, in order. */
  configs: pg.ClientConfig[]
}

/**
 * Returns pg's configuration for each host of an address. All connections by address are made from it.
 *
 * @param tls meaning of `sslmode`: for pg, `require` is `verify-full`; libpq (and psql) checks no certificate with `require`
 * @throws {PostgresAddressError}
 */
export function serversOf (url: string, tls: 'pg' | 'libpq' = 'pg'): Servers {
  const address = parsePostgresAddress(url)
  const { hosts, user, password, database, parameters } = address
  const taken = Object.fromEntries(TAKEN.filter((name) => parameters[name] !== undefined).map((name) => [name, parameters[name]]))
  const ssl = tlsOf(parameters, tls)
  return {
    address,
    configs: hosts.map(({ host, port }) => ({
      ...taken,
      ...(ssl === undefined ? {} : { ssl }),
      ...given({ host, user, password, database }),
      ...(port === undefined ? {} : { port })
    }))
  }
}

/** Returns the message of the fault in an address or its certificates; undefined if it can be used. */
export function serversFault (url: string): string | undefined {
  try {
    serversOf(url)
    return undefined
  } catch (error) {
    if (error instanceof PostgresAddressError) return error.message
    throw error
  }
}

/**
 * Connects to the first host that answers and is of the required kind.
 *
 * @param more settings of the caller
 */
export async function connectFirst ({ address, configs }: Servers, more: pg.ClientConfig): Promise<pg.Client> {
  for (const [i, config] of configs.entries()) {
    const client = new pg.Client({ application_name: APPLICATION, ...config, ...more })
    client.on('error', () => {})   // the running statement reports it
    try {
      await client.connect()
      await checkTarget(client, address.target)
      return client
    } catch (error) {
      await client.end().catch(() => {})
      if (i === configs.length - 1 || isRefused(error)) throw error
    }
  }
  throw new Error('unreachable: an address has a host')
}

/**
 * Checks if the server is a standby. `openPostgres` also checks the setting that makes a primary refuse writes.
 *
 * @throws an error with the SQLSTATE of a refused write, if the server is not of the required kind
 */
export async function checkTarget (client: pg.ClientBase, target: PostgresAddress['target'], queryMs = 1_000): Promise<void> {
  if (target === 'any') return
  const text = 'select pg_is_in_recovery()::text as recovers'
  const { rows: [answer] } = await client.query<{ recovers: string }>({ text, query_timeout: queryMs } as pg.QueryConfig)
  if (answer!.recovers.startsWith(OF_THIS_KIND[target])) return
  const fault = target === 'primary' ? 'this server takes no writes' : 'this server is no standby'
  throw Object.assign(new Error(fault), { code: READ_ONLY_STATE })
}

/** Returns a pool over the pools of several hosts: it connects to the host of the last connection, else to the next host. */
export function poolInTurn (pools: readonly PgPool[]): PgPool {
  let current = 0
  const sum = (name: 'totalCount' | 'idleCount' | 'waitingCount') => pools.reduce((total, pool) => total + pool[name], 0)
  return {
    async connect () {
      const first = current
      for (let tried = 0; ; tried++) {
        const at = (first + tried) % pools.length
        try {
          const client = await pools[at]!.connect()
          current = at
          return client
        } catch (error) {
          if (tried === pools.length - 1 || isRefused(error) || isCrowded(error)) throw error
        }
      }
    },
    get totalCount () { return sum('totalCount') },
    get idleCount () { return sum('idleCount') },
    get waitingCount () { return sum('waitingCount') }
  }
}

/** True if the server refused the user or database (wrong password, no such database): as in libpq, other hosts are not tried. */
function isRefused (error: unknown): boolean {
  return /^(28|3D)/.test(String((error as { code?: unknown }).code))
}

/** True if the host is reachable but all connections of its pool are in use. */
function isCrowded (error: unknown): boolean {
  return error instanceof Error && error.message === 'timeout exceeded when trying to connect'
}

/** Leaves out empty settings: pg reads its default or environment for an absent one. */
function given (settings: Record<string, string>): pg.ClientConfig {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== ''))
}

/** @throws {PostgresAddressError} */
function tlsOf (parameters: Readonly<Record<string, string>>, whose: 'pg' | 'libpq'): NonNullable<pg.ClientConfig['ssl']> | undefined {
  const query = new URLSearchParams(Object.entries(parameters).filter(([name]) => OF_TLS.includes(name)))
  if (query.size === 0) return undefined
  if (whose === 'libpq') {
    // libpq falls back to a connection without TLS for these modes; pg cannot.
    if (/^(allow|prefer)$/.test(query.get('sslmode') ?? '')) return false
    query.set('uselibpqcompat', 'true')
  }
  try {
    return (new pg.Client({ connectionString: `postgres://host/?${query}` }) as pg.Client & { ssl: boolean | object }).ssl
  } catch (error) {
    const { code = 'not understood' } = error as NodeJS.ErrnoException
    throw new PostgresAddressError(`have parameters of TLS that pg takes, and certificates that this process may read (${code})`)
  }
}
