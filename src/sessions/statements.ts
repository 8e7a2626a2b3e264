import { expressionBuilder, sql, type Expression, type QueryCreator } from 'kysely'
import { withEvent } from '../events/insert.js'
import type { EventKind } from '../events/kinds.js'
import type { Origin, SessionFacts } from '../core/session.js'
import { isUnmarked } from './marks.js'
import { isWritable, requireWritable, serverStart, type ServerFacts } from '../tables/primary.js'
import type { Db, Tables } from '../tables/db.js'
import { statement, type Parameters } from '../tables/statement.js'
import { arrayAs, currentXid, inOne, jsonAs, milliseconds, numberAs, unixSeconds, withNow, type Now } from '../tables/values.js'

const session = expressionBuilder<Tables, 'otp_session'>()
const seconds = <Name extends string, Found>(at: Expression<Found>, name: Name) =>
  numberAs(session.fn<number | Extract<Found, null>>('floor', [unixSeconds(at)]), name)

/** The columns of a session as `SessionFacts` names them; Unix times are whole seconds. */
export const sessionColumns = [
  session.ref('user_id').as('userId'), session.ref('id').as('sessionId'), arrayAs(session.ref('amr'), 'amr'),
  session.ref('otp_required').as('otpRequired'), session.ref('otp_device_id').as('otpDeviceId'),
  seconds(session.ref('otp_deadline'), 'otpDeadline'), seconds(session.ref('phr_at'), 'phrTime'),
  seconds(session.ref('otp_at'), 'otpTime'), seconds(session.ref('auth_at'), 'authTime'),
  numberAs(unixSeconds(session.ref('auth_claimed_at')), 'authClaimedTime'), seconds(session.ref('expires_at'), 'expiresAt'),
  session.ref('generation').as('generation'), seconds(session.fn<Date>('greatest', ['rotated_at', 'otp_at']), 'issuedAt')
] as const

/** Time at which a statement read its answer, by that server's own clock: times of two servers are not compared. */
export interface ReadAt extends Pick<ServerFacts, 'server'> {
  /** Unix milliseconds, after the statement's snapshot was taken. */
  readAtMs: number
}

/** The columns of `ReadAt`, beside `now`. */
export const readColumns = [numberAs(milliseconds(sql.ref<Date>('now.at')), 'readAtMs'), serverStart.as('server')] as const

/** The ids of the sessions that a statement ended; beside its CTE `ended`. */
export const endedIds = jsonAs(sql<string[]>`coalesce((select json_agg(ended.id) from ended), '[]'::json)`, 'endedIds')

/** Key of a session. */
export interface SessionKey { userId: string, sessionId: string }

/** Reading of "alive", with its time and server. */
export interface SessionReading extends ReadAt { context: SessionFacts }

/** `reading` is null if the session has ended, has expired or never was. */
export interface Found extends Pick<ServerFacts, 'server'> { reading: SessionReading | null }

const living = expressionBuilder<{ s: Tables['otp_session'], now: Now }, 's' | 'now'>()
/** Condition on a session `s`, beside `now`: not ended, not expired, and no mark has ended it. */
export const isAlive = living.and([living('s.ended_at', 'is', null), living('s.expires_at', '>', living.ref('now.at')), isUnmarked])

const readSession = statement('read_session', (db, p: Parameters<SessionKey>) => withNow(db).selectFrom('now')
  .leftJoin('otp_session as s', (join) => join.on('s.user_id', '=', p.userId).on('s.id', '=', p.sessionId).on(isAlive))
  .select(inOne('session', [...sessionColumns, ...readColumns, isWritable])))

/** @throws {Refusal} UNAVAILABLE if the server takes no writes: it may have neither the session nor its end yet */
export async function readSessionContext (db: Db, userId: string, sessionId: string): Promise<Found> {
  const { isWritable: takesWrites, ...facts } = (await readSession.first(db, { userId, sessionId }))!
  requireWritable(db, takesWrites)
  return { server: facts.server, reading: facts.sessionId === null ? null : reading(facts) }
}

export function reading ({ readAtMs, server, ...context }: SessionFacts & ReadAt): SessionReading {
  return { context, readAtMs, server }
}

/** Values that end a session: three columns that always change together, beside `now`. Replicas follow the transaction's id. */
export const endedFor = (reason: string | Expression<string>) =>
  ({ ended_at: living.ref('now.at'), ended_xid: currentXid, end_reason: reason })

/** Row (user_id, id) of a session if it lives; beside `now`. A guard's reading may be a second old. */
export const selectLiving = (db: QueryCreator<Tables & { now: Now }>, { userId, sessionId }: SessionKey) =>
  db.selectFrom(['otp_session as s', 'now']).select(['s.user_id', 's.id'])
    .where('s.user_id', '=', userId).where('s.id', '=', sessionId).where(isAlive)

const selectLivingRequester = statement('living_requester', (db, p: Parameters<SessionKey>) => selectLiving(withNow(db), p))

/** Returns true if the session lives now, in a transaction that may have waited. */
export const livesNow = async (db: Db, { userId, sessionId }: SessionKey): Promise<boolean> =>
  await selectLivingRequester.first(db, { userId, sessionId }) !== undefined

const end = statement('end_session', (db, p: Parameters<SessionKey & Origin & { reason: EventKind }>, facts) => withEvent(
  withNow(db).with('ended', (db) => db.updateTable('otp_session as s').from('now').set(endedFor(p.reason))
    .where('s.user_id', '=', p.userId).where('s.id', '=', p.sessionId).where('s.ended_at', 'is', null).returning('s.user_id')),
  facts, (db) => db.selectFrom(['ended', 'now']), (eb) => ({
    userId: eb.ref('ended.user_id'), kind: p.reason, sessionId: p.sessionId, ip: p.ip, agent: p.agent
  })
).selectFrom('ended').select('ended.user_id'))

/** Ends one session. Returns false if it had ended before. */
export const endSession = async (
  db: Db, userId: string, sessionId: string, reason: EventKind, { ip, agent }: Origin
): Promise<boolean> => await end.first(db, { userId, sessionId, reason, ip, agent }) !== undefined
