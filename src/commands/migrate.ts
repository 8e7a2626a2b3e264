import { serviceMigrations } from '../../migrations/index.js'
import type { Config } from '../config.js'
import { migrateDown, migrateUp, pendingMigrations, type MigrationReport } from '../db/migrate.js'
import { ringsOf } from '../embedded/keys.js'
import { withPool } from './context.js'
import { requireDirect } from './direct.js'
import { CommandError, type Io } from './io.js'

export async function migrateUpCommand (io: Io, config: Config): Promise<void> {
  await requireDirect(config.databaseUrl)
  const done = await withPool(config, async ({ dialect }) => {
    const report = await migrateUp(dialect, serviceMigrations)
    // With an embedded database come its keys, so that commands can be used before the first start.
    await ringsOf(config)
    return report
  }, true)
  print(io, done, 'The tables are up to date.')
}

/** Takes back the newest migration, and what its tables hold. */
export async function migrateDownCommand (io: Io, config: Config, { yes = false }: { yes?: boolean }): Promise<void> {
  if (!yes) throw new CommandError('This drops the tables of the newest migration with all they hold: say --yes if you mean it.')
  await requireDirect(config.databaseUrl)
  const done = await withPool(config, ({ dialect }) => migrateDown(dialect, serviceMigrations))
  print(io, done, 'There is nothing to take back.')
}

/** Exits with 1 while there is something to do. */
export async function migrateStatusCommand (io: Io, config: Config): Promise<number> {
  const pending = await withPool(config, ({ dialect }) => pendingMigrations(dialect, serviceMigrations))
  io.print({ pending }, pending.length === 0 ? ['The tables are up to date.'] : pending.map((name) => `to do: ${name}`))
  return pending.length === 0 ? 0 : 1
}

function print (io: Io, done: MigrationReport[], nothing: string): void {
  io.print({ done }, done.length === 0 ? [nothing] : done.map(({ name, direction }) => `${direction.toLowerCase()}: ${name}`))
}
