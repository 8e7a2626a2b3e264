import { sql, type RawBuilder } from 'kysely'
import { event } from '../events/insert.js'
import type { EventKind } from '../events/kinds.js'
import type { Requester, Origin, SessionFacts } from '../core/session.js'
import { isWritable, requireWritable, serverStart, type ServerFacts } from '../tables/primary.js'
import { row, type Db } from '../tables/db.js'
import { jsonAs, numberAs, now } from '../tables/values.js'

const seconds = (at: RawBuilder<unknown>, name: string) => numberAs(sql`floor(extract(epoch from ${at}))`, name)

/** The columns of a session as `SessionFacts` names them; Unix times are whole seconds. */
export const sessionFacts = sql`
  user_id as "userId", id as "sessionId", ${jsonAs(sql`to_json(amr)`, 'amr')}, otp_required as "otpRequired",
  otp_device_id as "otpDeviceId",
  ${seconds(sql`otp_deadline`, 'otpDeadline')}, ${seconds(sql`otp_at`, 'otpTime')}, ${seconds(sql`phr_at`, 'phrTime')},
  ${seconds(sql`auth_at`, 'authTime')},
  ${numberAs(sql`extract(epoch from auth_claimed_at)`, 'authClaimedTime')},
  ${seconds(sql`expires_at`, 'expiresAt')}, generation, ${seconds(sql`greatest(rotated_at, otp_at)`, 'issuedAt')}`

/** Time at which a statement read its answer, by that server's own clock: times of two servers are not compared. */
export interface ReadAt extends Pick<ServerFacts, 'server'> {
  /** Unix milliseconds, after the statement's snapshot was taken. */
  readAtMs: number
}

/** The columns of `ReadAt`, beside `now`. */
export const readAt = sql`${numberAs(sql`extract(epoch from now.at) * 1000`, 'readAtMs')}, ${serverStart} as server`

/** The ids of the sessions that a statement ended; beside its CTE `ended`. */
export const endedIds = jsonAs(sql`coalesce((select json_agg(ended.id) from ended), '[]'::json)`, 'endedIds')

/** Assignments that end a session: three columns that always change together. Replicas follow the transaction's id. */
export const ending = (reason: string | RawBuilder<unknown>) => sql`
  ended_at = now.at, ended_xid = pg_current_xact_id(), end_reason = ${reason}`

/** Row of the requester's session if it lives, as `user_id` and `id`; beside `now`. A guard's reading may be a second old. */
export const livingSession = ({ table }: Db, { context: { userId, sessionId } }: Requester) => sql`
  select s.user_id, s.id from ${table.otp_session} s, now
  where s.user_id = ${userId} and s.id = ${sessionId} and s.ended_at is null and s.expires_at > now.at`

/** Reading of "alive", with its time and server. */
export interface SessionReading extends ReadAt { context: SessionFacts }

/** `reading` is null if the session has ended, has expired or never was. */
export interface Found extends Pick<ServerFacts, 'server'> { reading: SessionReading | null }

/** @throws {Refusal} UNAVAILABLE if the server takes no writes: it may have neither the session nor its end yet */
export async function readStanding (db: Db, userId: string, sessionId: string): Promise<Found> {
  const found = await row<SessionFacts & ReadAt & ServerFacts>(db, sql`
    with ${now}
    select ${sessionFacts}, ${readAt}, ${isWritable}
    from now left join ${db.table.otp_session} s
      on s.user_id = ${userId} and s.id = ${sessionId} and s.ended_at is null and s.expires_at > now.at`)
  const { isWritable: takesWrites, ...facts } = found!
  requireWritable(db, takesWrites)
  return { server: facts.server, reading: facts.sessionId === null ? null : reading(facts) }
}

export function reading ({ readAtMs, server, ...context }: SessionFacts & ReadAt): SessionReading {
  return { context, readAtMs, server }
}

/** Ends one session. Returns false if it had ended before. */
export async function endSession (db: Db, userId: string, sessionId: string, reason: EventKind, origin: Origin): Promise<boolean> {
  const { table } = db
  const ended = await row(db, sql`
    with ${now},
    ended as (
      update ${table.otp_session} s set ${ending(reason)} from now
      where s.user_id = ${userId} and s.id = ${sessionId} and s.ended_at is null
      returning s.user_id
    ),
    ${event(db, { userId: sql`ended.user_id`, kind: reason, sessionId, origin }, sql`ended, now`)}
    select user_id from ended`)
  return ended !== undefined
}
