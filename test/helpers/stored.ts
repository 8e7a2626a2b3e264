import type { TestDatabase } from './database.js'
import { userId, type Person } from './person.js'

/** Counts a user's events of these kinds. */
export async function countEvents ({ query }: TestDatabase, person: Person, ...kinds: string[]): Promise<number> {
  const [found] = await query<{ count: number }>(
    'select count(*)::int as count from otp_event where user_id = $1 and kind = any($2)', [userId(person), kinds]
  )
  return found?.count ?? 0
}

/** Returns the user's own failure counter from the table. */
export async function failuresOf ({ query }: TestDatabase, person: Person): Promise<number> {
  const [found] = await query<{ failures: number }>('select failures from otp_user where user_id = $1', [userId(person)])
  return found?.failures ?? 0
}
