import { serviceMigrations } from '../../migrations/index.js'
import type { Config } from '../config/config.js'
import { migrateDown, migrateUp, readMigrations, upToDate, type MigrationReport } from '../postgres/migrator.js'
import { ringsOf } from '../config/deployment-keys.js'
import { withPool } from './context.js'
import { requireDirect } from './direct.js'
import { MisuseError, type Io } from './io.js'

export async function migrateUpCommand (io: Io, config: Config): Promise<void> {
  await requireDirect(config.databaseUrl)
  const { done, unknown } = await withPool(config, async ({ dialect }) => {
    const done = await migrateUp(dialect, serviceMigrations)
    // Creates the keys of an embedded database too, so that commands work before the first start.
    await ringsOf(config)
    return { done, unknown: (await readMigrations(dialect, serviceMigrations)).unknown }
  }, true)
  io.print({ done, unknown }, done.length === 0 ? [upToDate(unknown)] : linesOf(done))
}

/** Reverts the newest migration and drops the data of its tables. */
export async function migrateDownCommand (io: Io, config: Config, { yes = false }: { yes?: boolean }): Promise<void> {
  if (!yes) throw new MisuseError('This drops the tables of the newest migration with all they hold: say --yes if you mean it.')
  await requireDirect(config.databaseUrl)
  const done = await withPool(config, ({ dialect }) => migrateDown(dialect, serviceMigrations))
  io.print({ done }, done.length === 0 ? ['There is nothing to take back.'] : linesOf(done))
}

/** Exits with 1 while migrations are pending. Tables of a newer version are accepted, because this version works with them. */
export async function migrateStatusCommand (io: Io, config: Config): Promise<number> {
  const { pending, unknown } = await withPool(config, ({ dialect }) => readMigrations(dialect, serviceMigrations))
  const lines = [...pending.map((name) => `to do: ${name}`), ...unknown.map((name) => `of a newer version: ${name}`)]
  io.print({ pending, unknown }, pending.length === 0 ? [upToDate(unknown)] : lines)
  return pending.length === 0 ? 0 : 1
}

const linesOf = (done: readonly MigrationReport[]) => done.map(({ name, direction }) => `${direction.toLowerCase()}: ${name}`)
