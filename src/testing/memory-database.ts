import { CompiledQuery, Kysely } from 'kysely'
import { secondFactorMigrations } from '../../migrations/index.js'
import { openEmbedded } from '../postgres/embedded/pglite.js'
import { migrateUp } from '../postgres/migrator.js'

/** PostgreSQL in this process' memory, with our tables, and with a clock that a test moves. */
export interface MemoryDatabase {
  /** What `database` takes; a host may keep its own tables there too. */
  readonly database: Kysely<unknown>
  /** The time that codes are judged by: `phone.code(await memory.now())`. */
  now (): Promise<Date>
  /**
   * Moves the clock on at once: for the next code, for what goes stale, for the end of a lock.
   *
   * @param told what reads that clock, `app.countersign`: it would otherwise notice within a quarter of a second
   */
  advance (seconds: number, ...told: Clocked[]): Promise<void>
  close (): Promise<void>
}

/** The part of `app.countersign` that keeps the time. */
export interface Clocked { catchUp (): Promise<unknown> }

/** Our statements ask for an unqualified `clock_timestamp()`: this one is found before pg_catalog's. */
const clock = [
  'create schema countersign_clock',
  "create table countersign_clock.setting (shift interval not null default '0')",
  'insert into countersign_clock.setting default values',
  `create function countersign_clock.clock_timestamp() returns timestamptz language sql volatile as $$
     select pg_catalog.clock_timestamp() + shift from countersign_clock.setting
   $$`,
  'set search_path = public, countersign_clock, pg_catalog'
]

/** Takes some seconds: make one for a file of tests, and users of its own for each test. */
export async function memoryDatabase ({ schema = 'countersign' } = {}): Promise<MemoryDatabase> {
  const pool = await openEmbedded('memory://')
  const database = new Kysely<unknown>({ dialect: pool.dialect })
  const run = async (text: string, values: readonly unknown[] = []) => (await database.executeQuery(CompiledQuery.raw(text, [...values]))).rows
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
