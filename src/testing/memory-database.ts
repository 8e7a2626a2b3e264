import { CompiledQuery, Kysely } from 'kysely'
import { secondFactorMigrations } from '../../migrations/index.js'
import { openEmbedded } from '../postgres/embedded/pglite.js'
import { migrateUp } from '../postgres/migrator.js'

/** PostgreSQL in the memory of this process, with our tables and a clock that a test can move. */
export interface MemoryDatabase {
  /** Value for the option `database`; a host may have its own tables there too. */
  readonly database: Kysely<unknown>
  /** Returns the time by which codes are judged: `phone.code(await memory.now())`. */
  now (): Promise<Date>
  /**
   * Moves the clock forward at once: for the next code, a proof that becomes too old, or the end of a lock.
   *
   * @param told readers of that clock, such as `app.countersign`, to notify at once; otherwise they notice within 250 ms
   */
  advance (seconds: number, ...told: Clocked[]): Promise<void>
  /** Closes the database, which is then gone. */
  close (): Promise<void>
}

/** Part of `app.countersign` that reads the clock. */
export interface Clocked { catchUp (): Promise<unknown> }

/** Our statements call `clock_timestamp()` without a schema, so the search path finds this one before pg_catalog's. */
const clock = [
  'create schema countersign_clock',
  "create table countersign_clock.setting (shift interval not null default '0')",
  'insert into countersign_clock.setting default values',
  `create function countersign_clock.clock_timestamp() returns timestamptz language sql volatile as $$
     select pg_catalog.clock_timestamp() + shift from countersign_clock.setting
   $$`,
  'set search_path = public, countersign_clock, pg_catalog'
]

/** Opens a database, which takes some seconds: open one for a file of tests, and make new users for each test. */
export async function memoryDatabase ({ schema = 'countersign' } = {}): Promise<MemoryDatabase> {
  const pool = await openEmbedded('memory://')
  const database = new Kysely<unknown>({ dialect: pool.dialect })
  const run = async (text: string, values: readonly unknown[] = []) =>
    (await database.executeQuery(CompiledQuery.raw(text, [...values]))).rows
  for (const statement of clock) await run(statement)
  await migrateUp(pool.dialect, secondFactorMigrations, schema)
  return {
    database,
    async now () {
      const [row] = await run('select countersign_clock.clock_timestamp() as now') as [{ now: Date }]
      return row.now
    },
    async advance (seconds, ...told) {
      await run('update countersign_clock.setting set shift = shift + make_interval(secs => $1)', [seconds])
      await Promise.all(told.map((one) => one.catchUp()))
    },
    async close () {
      await database.destroy()
      await pool.close()
    }
  }
}
