import type { Query } from './clock.js'

/** Returns how many connections of the test's database wait for a lock now. */
export async function countLockWaits (query: Query): Promise<number> {
  return (await query("select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'")).length
}
