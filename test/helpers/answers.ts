import type { LightMyRequestResponse } from 'fastify'
import type { TestDatabase } from './database.js'
import type { Person } from './person.js'

/** What a client decides by: `200`, or the status and the code as `400 OTP_INVALID`. */
export function outcome (answer: LightMyRequestResponse): string {
  const { code } = answer.statusCode < 400 ? {} : answer.json<{ code?: string }>()
  return code === undefined ? String(answer.statusCode) : `${answer.statusCode} ${code}`
}

/** How many answers there were of each outcome. */
export function tally (answers: readonly LightMyRequestResponse[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const answer of answers) counts[outcome(answer)] = (counts[outcome(answer)] ?? 0) + 1
  return counts
}

export function userId (person: Person): string {
  return String(person.claims()['sub'])
}

/** How many events of these kinds a user has. */
export async function countEvents ({ query }: TestDatabase, person: Person, ...kinds: string[]): Promise<number> {
  const [found] = await query<{ count: number }>('select count(*)::int as count from otp_event where user_id = $1 and kind = any($2)', [userId(person), kinds])
  return found?.count ?? 0
}

/** The user's own counter, as it stands in the table. */
export async function failuresOf ({ query }: TestDatabase, person: Person): Promise<number> {
  const [found] = await query<{ failures: number }>('select failures from otp_user where user_id = $1', [userId(person)])
  return found?.failures ?? 0
}

/** That many more sessions of a person, unverified, one login after the other, on these apps by turns. */
export async function sessionsOf (person: Person, count: number, apps = [person.app]): Promise<Person[]> {
  const sessions = Array.from({ length: count }, (_, i) => person.elsewhere(apps[i % apps.length]))
  for (const session of sessions) {
    const answer = await session.login()
    if (answer.statusCode !== 200) throw new Error(`No login: ${answer.body}`)
  }
  return sessions
}
