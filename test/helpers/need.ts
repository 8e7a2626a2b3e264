import { accessSync, constants, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import t from 'tap'
import { stores } from './stores.js'

/** What a test file may need that `npm ci` does not bring: where to find it, and what to say if it is not there. */
const needs = {
  postgres: { find: async () => (await stores()).databaseUrl, missing: 'needs PostgreSQL: set DATABASE_URL, or let one answer on 127.0.0.1:5432' },
  redis: { find: async () => (await stores()).redisUrl, missing: 'needs Redis: set REDIS_URL, or let one answer on 127.0.0.1:6379' },
  initdb: { find: async () => findProgram('initdb', postgresFolders()), missing: 'needs the programs of a PostgreSQL server (initdb)' },
  pgbouncer: { find: async () => findProgram('pgbouncer'), missing: 'needs pgbouncer' },
  'redis-server': { find: async () => findProgram('redis-server'), missing: 'needs redis-server' },
  oathtool: { find: async () => findProgram('oathtool'), missing: 'needs oathtool' },
  chromium: { find: async () => findProgram('chromium'), missing: 'needs chromium' }
} as const satisfies Record<string, { find: () => Promise<string | undefined>, missing: string }>

export type Need = keyof typeof needs

/**
 * For the top of a test file: `const pg = await need('postgres')`. Where the thing is missing, the whole file is
 * reported as skipped, with the reason, and nothing after this line runs.
 *
 * @returns the store's address, or the program's path
 */
export async function need (what: Need): Promise<string> {
  const found = await needs[what].find()
  if (found !== undefined) return found
  t.plan(0, needs[what].missing)
  process.exit(0)
}

/** Administrators' programs are not on everybody's path. */
function findProgram (name: string, folders: readonly string[] = []): string | undefined {
  return [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', ...folders]
    .filter(Boolean)
    .map((folder) => join(folder, name))
    .find(isExecutable)
}

function isExecutable (path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Debian keeps them apart by version; the newest first. */
function postgresFolders (): string[] {
  const root = '/usr/lib/postgresql'
  try {
    return readdirSync(root).sort((a, b) => Number(b) - Number(a)).map((version) => join(root, version, 'bin'))
  } catch {
    return []
  }
}
