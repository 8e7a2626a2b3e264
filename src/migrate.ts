import { serviceMigrations } from '../migrations/index.js'
import { requireDirect } from './commands/direct.js'
import { Refusal } from './core/refusals.js'
import { addDotenv, readVariable } from './config/environment.js'
import { ConfigError } from './core/config-error.js'
import { serversFault } from './postgres/connect.js'
import { migrateUp, readMigrations, upToDate } from './postgres/migrator.js'
import { openPostgres } from './postgres/server-pool.js'
import { lineOf, UnusableDatabaseError } from './postgres/unusable.js'

/*
 * `npm run migrate`: brings the tables at DATABASE_URL up to date, and ends. For deployments whose replicas start with
 * MIGRATE=off, or reach PostgreSQL through a pooler only. Needs no keys.
 */

try {
  addDotenv(process.env, process.cwd())
  const url = readVariable(process.env, 'DATABASE_URL', true)
  const fault = serversFault(url)
  if (fault !== undefined) throw new ConfigError('DATABASE_URL', fault)
  await requireDirect(url)
  const pool = openPostgres(url, 2, () => {}, 0)
  try {
    const done = await migrateUp(pool.dialect, serviceMigrations)
    for (const { name } of done) console.log(`migrated: ${name}`)
    if (done.length === 0) console.log(upToDate((await readMigrations(pool.dialect, serviceMigrations)).unknown))
  } finally {
    await pool.close()
  }
} catch (error) {
  if (error instanceof ConfigError || error instanceof UnusableDatabaseError) console.error(error.message)
  else if (error instanceof Refusal) console.error(lineOf(error))
  else console.error(error)
  process.exitCode = 1
}
