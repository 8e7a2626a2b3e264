import { join } from 'node:path'
import type { Config } from './config.js'
import { parsePostgresAddress } from '../postgres/address.js'

/** Database in use, as shown to operators. The name contains neither user nor password. */
export interface Store { kind: 'postgres' | 'embedded', name: string }

export function storeOf ({ databaseUrl, dataDir }: Pick<Config, 'databaseUrl' | 'dataDir'>): Store {
  if (databaseUrl === undefined) return { kind: 'embedded', name: `embedded database in ${join(dataDir, 'postgres')}` }
  const { hosts, database } = parsePostgresAddress(databaseUrl)
  const places = hosts.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}${port === undefined ? '' : `:${port}`}`)
  return { kind: 'postgres', name: `PostgreSQL at ${places.join(',')}/${database}` }
}

/** Returns the notice of trial mode; undefined with a PostgreSQL server. */
export function trialNotice ({ kind }: Store): string | undefined {
  return kind === 'embedded' ? 'Trial mode: DATABASE_URL is not set, so data and keys are in DATA_DIR, for this process alone' : undefined
}
