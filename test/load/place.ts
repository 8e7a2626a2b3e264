import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { serviceMigrations } from '../../migrations/index.js'
import { migrateUp } from '../../src/db/migrate.js'
import { openEmbedded, openPostgres } from '../../src/db/pool.js'
import { createDb, type Db } from '../../src/db/tables.js'
import { prepareDataDir } from '../../src/embedded/data-dir.js'
import { freePort } from '../helpers/redis-server.js'
import type { Stores } from '../helpers/stores.js'
import { until } from '../helpers/wait.js'

/** Told of what must be undone, last first. */
export type Undo = (undo: () => Promise<unknown>) => void

const SERVER = fileURLToPath(new URL('../../src/server.js', import.meta.url))
/** An embedded database is made in some seconds, in more where others are at work. */
const START_MS = 60_000
const A_DAY = '86400'

/**
 * Environment of a service with keys, a folder and (on a real server) a database of its own. Limits per network are
 * off, since there is one network; tokens last longer than any run. In Redis it shares the key space with whatever is
 * there: users' ids are random, and every key is gone by itself within 90 s.
 */
export async function makePlace ({ databaseUrl, redisUrl }: Stores, undo: Undo): Promise<Record<string, string>> {
  const dataDir = await mkdtemp(join(tmpdir(), 'countersign-load-'))
  undo(() => rm(dataDir, { recursive: true, force: true }))
  return {
    LOG_LEVEL: 'error',
    NETWORK_LIMITS: 'off',
    DATA_DIR: dataDir,
    JWT_KEYS: `load-jwt:${randomBytes(32).toString('base64url')}`,
    SEAL_KEYS: `load-seal:${randomBytes(32).toString('base64url')}`,
    ACCESS_SECONDS: A_DAY,
    ...(databaseUrl === undefined ? {} : { DATABASE_URL: await emptyDatabase(databaseUrl, undo) }),
    ...(redisUrl === undefined ? {} : { REDIS_URL: redisUrl })
  }
}

/** Not the tests' `freshDatabase`: the clock which that puts in would be measured too. */
async function emptyDatabase (server: string, undo: Undo): Promise<string> {
  const name = `countersign_load_${randomBytes(6).toString('hex')}`
  undo(() => onServer(server, `drop database if exists ${name} with (force)`))
  await onServer(server, `create database ${name} template template0 encoding 'UTF8'`)
  const address = new URL(server)
  address.pathname = `/${name}`
  return address.toString()
}

async function onServer (url: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 })
  client.on('error', () => {})
  await client.connect()
  await client.query(text).finally(() => client.end())
}

/** Lends out the migrated database while the service does not run yet: an embedded one takes one process at a time. */
export async function withDatabase<T> ({ DATABASE_URL: url, DATA_DIR: dataDir = '' }: Record<string, string>, work: (db: Db) => Promise<T>): Promise<T> {
  if (url === undefined) await prepareDataDir(dataDir)
  const pool = url === undefined ? await openEmbedded(join(dataDir, 'postgres')) : openPostgres(url, 2, () => {}, 0)
  try {
    await migrateUp(pool.dialect, serviceMigrations)
    return await work(createDb(pool.dialect))
  } finally {
    await pool.close()
  }
}

/** `npm start` as a process of its own, ready, with these settings and none of the caller's. @returns its address */
export async function startService (settings: Record<string, string>, undo: Undo): Promise<string> {
  const { PATH = '', HOME = '' } = process.env
  const port = String(await freePort())
  const service = spawn(process.execPath, [SERVER], { env: { PATH, HOME, PORT: port, ...settings }, stdio: ['ignore', 'inherit', 'inherit'] })
  const exit = once(service, 'exit')
  undo(async () => {
    service.kill('SIGTERM')
    await exit
  })
  const address = `http://127.0.0.1:${port}`
  const ready = until('the service', async () => service.exitCode !== null || (await fetch(`${address}/readyz`)).ok, START_MS)
  await Promise.race([ready, exit.then(() => { throw new Error('The service did not start') })])
  return address
}
