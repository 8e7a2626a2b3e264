import { Value } from '@sinclair/typebox/value'
import { serviceMigrations } from '../migrations/index.js'
import { requireDirect } from './commands/direct.js'
import { ConfigError, settings } from './config.js'
import { Refusal } from './core/refusals.js'
import { migrateUp } from './db/migrate.js'
import { openPostgres } from './db/postgres.js'

/*
 * `npm run migrate`: brings the tables at DATABASE_URL up to date, and ends. For deployments whose replicas start with
 * MIGRATE=off, and where they reach Postgres through a pooler only. Needs no keys.
 */

const { DATABASE_URL: schema } = settings.properties
const url = process.env['DATABASE_URL']?.trim()

try {
  if (!Value.Check(schema, url) || url === undefined || !URL.canParse(url)) throw new ConfigError('DATABASE_URL', String(schema['must']))
  await requireDirect(url)
  const pool = openPostgres(url, 2, () => {}, 0)
  const done = await migrateUp(pool.dialect, serviceMigrations).finally(() => pool.close())
  for (const { name } of done) console.log(`migrated: ${name}`)
  if (done.length === 0) console.log('The tables are up to date.')
} catch (error) {
  if (error instanceof ConfigError) console.error(error.message)
  else if (error instanceof Refusal) console.error(`PostgreSQL does not answer: ${(error.cause as Error).message}`)
  else console.error(error)
  process.exitCode = 1
}
