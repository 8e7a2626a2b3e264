export type Query = <Row extends object = Record<string, unknown>> (text: string, values?: readonly unknown[]) => Promise<Row[]>

/** The database's clock, in a test's hands. Everyone on that database goes by it, in every process. */
export interface TestClock {
  /** Moves on at once. Everything moves: whoever shares the database grows older too. */
  advance (seconds: number): Promise<void>
  /** Stops, at this instant or at the present one. */
  freeze (at?: Date): Promise<void>
  /** Runs on from where it stands. */
  unfreeze (): Promise<void>
  now (): Promise<Date>
  /** Called after each change, since replicas keep the clock between polls. @returns the end of following */
  follow (reread: () => Promise<unknown>): () => void
}

/**
 * The product asks the time as an unqualified `clock_timestamp()`. This function stands before pg_catalog's in the
 * search path; tables are still made in `public`, which stands first. `countersign` is where an attached app's are.
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

/** Puts a clock into the database. The caller sets the search path: for a database or for its one connection. */
export async function installClock (query: Query): Promise<TestClock> {
  for (const statement of statements) await query(statement)
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
