export type Query = <Row extends object = Record<string, unknown>> (text: string, values?: readonly unknown[]) => Promise<Row[]>

/** The database's clock, controlled by a test. Every process on that database uses it. */
export interface TestClock {
  /** Moves the clock forward. All users of the database are affected. */
  advance (seconds: number): Promise<void>
  /** Stops the clock, at this instant or at the present one. */
  freeze (at?: Date): Promise<void>
  /** Continues from the frozen instant. */
  unfreeze (): Promise<void>
  now (): Promise<Date>
  /**
   * Registers a function that runs after each change, because replicas extrapolate the clock between polls. @returns a function
   * that unregisters it
   */
  follow (reread: () => Promise<unknown>): () => void
}

/**
 * The product calls an unqualified `clock_timestamp()`. The test's function comes before pg_catalog's in the search path. New
 * tables are still created in `public`, which is first. `countersign` contains the tables of an attached app.
 */
export const SEARCH_PATH = 'public, test_clock, pg_catalog, countersign'

const statements = [
  'create schema test_clock',
  "create table test_clock.setting (frozen timestamptz, shift interval not null default '0')",
  'insert into test_clock.setting default values',
  `create function test_clock.clock_timestamp() returns timestamptz language sql volatile as $$
     select coalesce(frozen, pg_catalog.clock_timestamp() + shift) from test_clock.setting
   $$`
]

/** Installs a clock in the database. The caller sets the search path, for a database or for its one connection. */
export async function installClock (query: Query): Promise<TestClock> {
  for (const statement of statements) await query(statement)
  return installedClock(query)
}

/** Returns the clock of a database in which it is installed. */
export function installedClock (query: Query): TestClock {
  const followers = new Set<() => Promise<unknown>>()

  async function set (assignments: string, values: readonly unknown[]): Promise<void> {
    await query(`update test_clock.setting set ${assignments}`, values)
    await Promise.all(Array.from(followers, (reread) => reread()))
  }

  return {
    advance: (seconds) => set('frozen = frozen + make_interval(secs => $1), shift = shift + make_interval(secs => $1)', [seconds]),
    freeze: (at) => set('frozen = coalesce($1::timestamptz, test_clock.clock_timestamp())', [at?.toISOString() ?? null]),
    unfreeze: () => set('frozen = null, shift = coalesce(frozen - pg_catalog.clock_timestamp(), shift)', []),
    async now () {
      const [row] = await query<{ ms: number }>('select (extract(epoch from test_clock.clock_timestamp()) * 1000)::float8 as ms')
      return new Date(row?.ms ?? NaN)
    },
    follow (reread) {
      followers.add(reread)
      return () => { followers.delete(reread) }
    }
  }
}
