import type { MailServer } from '../../helpers/mail-server.js'
import { pass } from '../../chaos/scenario.js'
import type { Random } from '../random.js'
import { resultOf, type Answer, type Recorder } from '../recorder.js'
import type { Databases } from '../stage/databases.js'
import type { Client } from './client.js'
import { claimsOf, living, type Person, type Session } from './person.js'
import type { Staff } from './staff.js'

/** What the people of a run share. */
export interface World {
  client: Client
  recorder: Recorder
  random: Random
  databases: Databases
  mail: MailServer
  staff: Staff
  /** Everyone of the service, for the end of all sessions. */
  people: Set<Person>
  isStopping: () => boolean
  /** Work beside the people's own, awaited at the end. */
  background: Set<Promise<unknown>>
}

/** Guards that try an ended session, and for how long. */
const TRIES = 6
const TRIED_MS = 3_000

/** Adds the session of an answer. The same id: the session stays, with new tokens. */
export function opened (person: Person, { access, refresh }: Record<string, unknown>, isVerified: boolean): Session {
  const isHost = person.isHost
  const id = isHost ? String(access).split('.')[0]! : claimsOf(String(access)).sid
  if (!isHost) person.userId = claimsOf(String(access)).sub
  const fresh: Session = {
    id,
    access: String(access),
    refresh: isHost ? null : String(refresh),
    generation: isHost ? 0 : claimsOf(String(refresh)).gen,
    former: null,
    isVerified,
    isOver: false
  }
  const known = person.sessions.find((session) => session.id === id)
  if (known === undefined) person.sessions.push(fresh)
  else Object.assign(known, { ...fresh, former: known.generation === fresh.generation ? known.former : null, isOver: known.isOver })
  return known ?? fresh
}

/** Records that a call ended sessions, and lets guards try them. */
export function ended (world: World, person: Person, answer: Answer, sessions: readonly Session[]): void {
  for (const session of sessions) {
    if (session.isOver) continue
    const result = world.recorder.add('end', session.id, answer)
    if (result !== 'ok') continue
    session.isOver = true
    const trying = haunt(world, person, session)
    world.background.add(trying)
    void trying.finally(() => world.background.delete(trying))
  }
  if (resultOf(answer) === 'ok') person.sessions = living(person)
}

/** Tries an ended session at each replica. */
async function haunt (world: World, person: Person, session: Session): Promise<void> {
  const { client, random } = world
  for (const replica of client.several(person.isHost, 2)) await guard(world, person, session, replica)
  for (let n = 0; n < TRIES && !world.isStopping(); n++) {
    await pass(random.between(0, 2 * TRIED_MS / TRIES))
    if (!person.isHost && n === TRIES - 1) await refreshOnce(world, session)
    else await guard(world, person, session)
  }
}

/** Shows a session to a replica. */
export async function guard (world: World, person: Person, session: Session, replica = world.client.anyOf(person.isHost)): Promise<Answer> {
  const path = session.isVerified ? '/session' : '/totp/status'
  const answer = await world.client.ask(replica, 'GET', path, { access: session.access })
  world.recorder.add('guard', session.id, answer)
  return answer
}

/** Presents a refresh token. @param token @default the newest one */
export async function refreshOnce (
  { client, recorder }: World, session: Session, token = { token: session.refresh!, generation: session.generation },
  replica = client.anyOf(false)
): Promise<Answer> {
  const answer = await client.ask(replica, 'POST', '/token/refresh', { body: { refresh: token.token } })
  const value = answer.status === 200 ? claimsOf(String(answer.body['refresh'])).gen : undefined
  recorder.add('refresh', session.id, answer, { given: token.generation, ...(value === undefined ? {} : { value }) })
  if (value !== undefined && value > session.generation) {
    Object.assign(session, {
      former: token, access: String(answer.body['access']), refresh: String(answer.body['refresh']), generation: value
    })
  }
  return answer
}

const DATABASE = 'database'

/** Reads the decided value in the table, as a call of the history. */
export async function observe (world: World, person: Person, kind: 'step' | 'generation', key: string): Promise<void> {
  const { databases, recorder } = world
  const schema = person.isHost ? 'countersign' : 'public'
  const [column, from] = kind === 'step'
    ? ['last_step::text', `${schema}.otp_totp where device_id::text = $1`]
    : ['generation::text', `${schema}.otp_session where id = $1`]
  const invokedMs = performance.now()
  const rows = await databases.query(person.isHost ? 'host' : 'service', `select ${column} as value from ${from}`, [key]).catch(() => [])
  if (rows[0] === undefined) return
  recorder.add(
    kind, key, { request: 0, at: DATABASE, status: 200, code: '', body: {}, invokedMs, answeredMs: performance.now() },
    { value: Number(rows[0]['value']) }
  )
}
