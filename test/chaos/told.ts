import { call } from '../helpers/http-client.js'
import type { PostgresServer } from './postgres-server.js'

/** Facts from successful answers. They stay true during and after any fault. */
export type Told =
  | { kind: 'signed up', username: string }
  | { kind: 'started', sessionId: string, generation: number, access: string }
  | { kind: 'ended', sessionId: string, access: string }
  | { kind: 'accepted', username: string, step: number }
  | { kind: 'passkey accepted', username: string }
  | { kind: 'recovered', username: string }
  | { kind: 'disabled', username: string }
  | { kind: 'reset', username: string }
  | { kind: 'device removed', username: string, deviceId: string }
  | { kind: 'password changed', username: string, password: string }
  /** Requested, and possibly not answered. From then on, the data of the account can be gone. */
  | { kind: 'deleting', username: string }
  | { kind: 'deleted', username: string }

/** The newest items that a replica is asked about: each session costs a request, and each password a hash. */
const ASKED_SESSIONS = 100
const ASKED_PASSWORDS = 10

interface Facts { accepted: number, recovered: number, reset: number, disabled: number, step: number | null }
type Held = (one: never) => boolean

/** Returns the facts that are no longer true, in the tables or at a replica. */
export async function checkTold (told: Told[], { query }: Pick<PostgresServer, 'query'>, base: string): Promise<string[]> {
  const sessions = new Map((await query('select id, generation, ended_at from otp_session')).map((row) => [row['id'], row]))
  const devices = new Set((await query('select id::text as id from otp_device')).map(({ id }) => id))
  const users = new Map((await query(`
    select a.username, (select max(last_step) from otp_totp f join otp_device d on d.user_id = f.user_id and d.id = f.device_id
      where d.user_id = a.id::text and confirmed_at is not null) as step,
      ${counts({
        accepted: "'otp_enabled', 'otp_device_added', 'otp_verified'",
        recovered: "'recovery_used'",
        disabled: "'otp_disabled'",
        reset: "'otp_reset'"
      })}
    from account a`)).map((row) => [row['username'], row as unknown as Facts]))
  const leaving = new Set(told.filter(({ kind }) => kind === 'deleting').map((one) => (one as { username: string }).username))
  const times = (kind: Told['kind'], username: string) => told.filter(
    (one) => one.kind === kind && 'username' in one && one.username === username
  ).length

  /** Checks a fact of a user whose account exists, or was possibly deleted. */
  const of = (username: string, holds: (facts: Facts) => boolean): boolean => {
    const facts = users.get(username)
    return facts === undefined ? leaving.has(username) : holds(facts)
  }
  const holds: { [Kind in Told['kind']]: (one: Extract<Told, { kind: Kind }>) => boolean } = {
    'signed up': ({ username }) => of(username, () => true),
    started: ({ sessionId, generation }) => Number(sessions.get(sessionId)?.['generation']) >= generation,
    ended: ({ sessionId }) => sessions.get(sessionId)?.['ended_at'] instanceof Date,
    accepted: ({ username, step }) => of(username, ({ accepted, disabled, reset, step: last }) =>
      accepted >= times('accepted', username) + times('passkey accepted', username) &&
        (disabled > 0 || reset > 0 || times('device removed', username) > 0 || Number(last) >= step)),
    'passkey accepted': ({ username }) => of(
      username, ({ accepted }) => accepted >= times('accepted', username) + times('passkey accepted', username)
    ),
    recovered: ({ username }) => of(username, ({ recovered }) => recovered >= times('recovered', username)),
    disabled: ({ username }) => of(username, ({ disabled, step }) => disabled === 1 && step === null),
    reset: ({ username }) => of(username, ({ reset }) => reset >= times('reset', username)),
    'device removed': ({ deviceId }) => !devices.has(deviceId),
    'password changed': () => true,
    deleting: () => true,
    deleted: ({ username }) => !users.has(username)
  }
  const lost = told.filter((one) => !(holds[one.kind] as Held)(one as never)).map(({ kind }) => `lost: ${kind}`)
  return [...lost, ...await askReplica(told, base)]
}

const counts = (kinds: Record<string, string>) => Object.entries(kinds)
  .map(([name, list]) => `(select coalesce(sum(coalesce(e.count, 1)), 0)::int from otp_event e
    where e.user_id = a.id::text and kind in (${list})) as ${name}`).join(', ')

async function askReplica (told: Told[], base: string): Promise<string[]> {
  const wrong: string[] = []
  for (const { access } of told.filter((one) => one.kind === 'ended').slice(-ASKED_SESSIONS)) {
    const { status } = await call(base, 'GET', '/session', { access })
    if (status !== 401) wrong.push(`an ended session was answered with ${status}`)
  }
  for (const { username, password } of told.filter((one) => one.kind === 'password changed').slice(-ASKED_PASSWORDS)) {
    const { status } = await call(base, 'POST', '/token', { body: { username, password } })
    if (status !== 200) wrong.push(`a new password was answered with ${status}`)
  }
  return wrong
}
