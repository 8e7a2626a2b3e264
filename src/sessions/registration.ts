import type { QueryCreator } from 'kysely'
import { amr } from '../core/assurance.js'
import type { Origin } from '../core/session.js'
import { isEndedId } from './revocations/ended-ids.js'
import { withEvent } from '../events/insert.js'
import {
  endedFor, endedIds, isAlive, readColumns, reading, sessionColumns, type SessionKey, type SessionReading
} from './statements.js'
import { isMarked } from './marks.js'
import { xidOfChange } from './replacement.js'
import type { Db, Tables } from '../tables/db.js'
import { insertFrom } from '../tables/insert-from.js'
import { statement, type Parameters } from '../tables/statement.js'
import { inTransaction, lockUser } from '../tables/transaction.js'
import { currentXid, later, textOf, timeOfSeconds, typed, withNow, type Now } from '../tables/values.js'

/** Unverified sessions of one user at a host: more than a user has browsers and devices, few enough to end in time. */
export const MOST_REGISTERED = 1_000
/** Sessions that one registration evicts at most, if the user has too many. */
const MOST_EVICTED = 100

/** How to register a session that began at a host. */
export interface Adoption {
  /** Unix seconds of the proof at the host, such as the password; null if the host does not give it: the proof counts as old. */
  authTime: number | null
  /** Seconds after which the registration expires; then the session begins again, unverified. */
  sessionSeconds: number
  origin: Origin
}

export interface Adopted extends SessionReading {
  /** Ids of the sessions that were evicted because the user had too many. */
  endedIds: string[]
}

/**
 * Waits for a cleanup that is deleting the row. Only later statements see the digest that replaces the row.
 * An insert that waited for the deletion itself would put the session back.
 */
const lockSession = statement('lock_session', (db, p: Parameters<SessionKey>) => db.selectFrom('otp_session as s').select('s.id')
  .where('s.user_id', '=', p.userId).where('s.id', '=', p.sessionId).forNoKeyUpdate('s'))

interface AdoptionValues extends SessionKey, Origin {
  /** Unix seconds of the proof; 0 for one of unknown age. */
  authTime: number
  /** The same in whole seconds, rounded up: the stored value must not be before the value that it is compared with. */
  claimed: number
  amr: string[]
  sessionSeconds: number
}

/** Inserts a host's session, or begins it again if it has expired, unless it has ended. */
const insertAdopted = (db: QueryCreator<Tables & { now: Now }>, p: Parameters<AdoptionValues>) => insertFrom(db, 'otp_session', (db) => db
  .selectFrom('now').where((eb) => eb.not(isEndedId(p))).where((eb) => eb.not(isMarked(p))), (eb) => ({
  user_id: textOf<string>(p.userId),
  id: textOf<string>(p.sessionId),
  started_at: eb.ref('now.at'),
  expires_at: later(eb.ref('now.at'), p.sessionSeconds),
  auth_at: eb.fn<Date>('least', ['now.at', timeOfSeconds(p.authTime)]),
  auth_claimed_at: eb.case().when(timeOfSeconds(p.claimed), '>', eb.ref('now.at')).then(timeOfSeconds(p.claimed)).end(),
  amr: typed<string[]>(p.amr, 'text[]'),
  otp_required: eb.exists(eb.selectFrom('otp_device as d').where('d.user_id', '=', p.userId).where('d.confirmed_at', 'is not', null))
    .$castTo<boolean>(),
  rotated_at: eb.ref('now.at'),
  ip: textOf<string>(p.ip),
  agent: textOf<string>(p.agent)
})).onConflict((oc) => oc.columns(['user_id', 'id']).doUpdateSet((eb) => ({
  started_at: eb.ref('excluded.started_at'),
  expires_at: eb.ref('excluded.expires_at'),
  amr: eb.ref('excluded.amr'),
  auth_at: eb.fn<Date>('least', ['excluded.auth_at', eb.case()
    .when('otp_session.auth_claimed_at', '>=', timeOfSeconds(p.claimed)).then(eb.ref('otp_session.auth_at')).end()]),
  auth_claimed_at: eb.fn<Date>('greatest', ['otp_session.auth_claimed_at', 'excluded.auth_claimed_at']),
  otp_required: eb.ref('excluded.otp_required'),
  otp_device_id: null,
  otp_at: null,
  otp_factor_ids: typed<string[]>([], 'text[]'),
  phr_at: null,
  rotated_at: eb.ref('excluded.rotated_at'),
  failures: 0,
  generation: eb('otp_session.generation', '+', 1),
  ip: eb.ref('excluded.ip'),
  agent: eb.ref('excluded.agent')
})).where((eb) => eb.and([
  eb('otp_session.ended_at', 'is', null), eb('otp_session.expires_at', '<=', eb.ref('excluded.started_at'))
]))).returningAll()

const adopt = statement('adopt_session', (db, p: Parameters<AdoptionValues>, facts) => {
  const ended = withNow(db)
    .with('begun', (db) => insertAdopted(db, p))
    .with('surplus', (db) => db.selectFrom(['otp_session as s', 'begun', 'now']).select('s.id')
      .where('s.user_id', '=', p.userId).whereRef('s.id', '<>', 'begun.id').where('s.ended_at', 'is', null)
      .where('s.otp_device_id', 'is', null)
      .orderBy((eb) => eb('s.expires_at', '>', eb.ref('now.at')), 'desc').orderBy('s.rotated_at', 'desc')
      .offset((eb) => eb.lit(MOST_REGISTERED - 1)).limit((eb) => eb.lit(MOST_EVICTED)))
    .with('ended', (db) => db.updateTable('otp_session as s').from(['surplus', 'now']).set(endedFor('session_evicted'))
      .where('s.user_id', '=', p.userId).whereRef('s.id', '=', 'surplus.id').where('s.ended_at', 'is', null).returning('s.id'))
  return withEvent(ended, facts, (db) => db.selectFrom('now').where((eb) => eb.exists(eb.selectFrom('ended'))), (eb) => ({
    userId: p.userId,
    kind: 'session_evicted',
    sessionId: p.sessionId,
    ip: p.ip,
    agent: p.agent,
    detail: eb.selectFrom('ended').select((eb) => eb.case().when(eb.fn.countAll(), '=', eb.lit(1)).then(eb.fn.min('ended.id'))
      .else(eb.cast<string>(eb.fn.countAll(), 'text')).end().as('detail')).$asScalar()
  }))
    .selectFrom((eb) => eb.selectFrom('begun').selectAll()
      .unionAll(eb.selectFrom('otp_session as s').selectAll().where('s.user_id', '=', p.userId).where('s.id', '=', p.sessionId)
        .where((eb) => eb.not(eb.exists(eb.selectFrom('begun'))))).as('s'))
    .innerJoin('now', (join) => join.onTrue())
    .where(isAlive)
    .select([...sessionColumns, ...readColumns, endedIds])
})

/**
 * Registers a host's session that is not known here yet or has expired here. From now on it has a row in which its end can
 * be stored. It has the proof that the host states, and needs a code if the user has a device. The user is locked, since
 * the confirmation of a device at the same time ends every session that has a row. A session that begins again increases
 * `generation`, which has no other use for a host's session.
 *
 * @returns null if it has ended
 */
export async function adoptSession (db: Db, userId: string, sessionId: string, adoption: Adoption): Promise<Adopted | null> {
  const { authTime, sessionSeconds, origin: { ip, agent } } = adoption
  return await inTransaction(db, async (tx) => {
    await lockUser(tx, userId)
    await lockSession.first(tx, { userId, sessionId })
    const found = await adopt.first(tx, {
      userId, sessionId, ip, agent, authTime: authTime ?? 0, claimed: Math.ceil(authTime ?? 0), amr: [...amr.password], sessionSeconds
    })
    if (found === undefined) return null
    const { endedIds: ids, ...facts } = found
    return { ...reading(facts), endedIds: ids }
  })
}

const updateClaim = statement('record_claim', (db, p: Parameters<SessionKey & { claimed: number }>, { hasAccounts }) => withNow(db)
  .updateTable('otp_session as s').from('now')
  .set((eb) => ({
    auth_at: eb.fn<Date>('least', ['now.at', timeOfSeconds(p.claimed)]),
    auth_claimed_at: timeOfSeconds(p.claimed),
    ended_xid: xidOfChange({ hasAccounts })
  }))
  .where('s.user_id', '=', p.userId).where('s.id', '=', p.sessionId).where(isAlive)
  .where((eb) => eb.or([eb('s.auth_claimed_at', 'is', null), eb('s.auth_claimed_at', '<', timeOfSeconds(p.claimed))]))
  .returning('s.id'))

/**
 * Records a host's proof that is dated ahead of PostgreSQL's clock: it counts as given now, once. Nothing changes if the
 * session ended meanwhile or another request recorded the proof.
 *
 * @returns true if it was recorded
 */
export async function recordClaim (db: Db, userId: string, sessionId: string, authTime: number): Promise<boolean> {
  return await updateClaim.first(db, { userId, sessionId, claimed: Math.ceil(authTime) }) !== undefined
}

/** `taken`: the other id was known before. `wasSeen`: it was registered as an unverified session while the host moved to it. */
export type Moved = { outcome: 'moved', session: SessionReading, wasSeen: boolean } | { outcome: 'ended' | 'taken' }

/** Columns that a session keeps under its new id. */
const moving = [
  'started_at', 'expires_at', 'auth_at', 'auth_claimed_at', 'amr', 'otp_required', 'otp_device_id', 'otp_at', 'otp_factor_ids', 'phr_at',
  'otp_deadline', 'generation', 'rotated_at', 'failures', 'ip', 'agent'
] as const

const move = statement('move_session', (db, p: Parameters<{ userId: string, fromId: string, toId: string }>, { hasAccounts }) => withNow(db)
  .with('leaving', (db) => db.selectFrom(['otp_session as s', 'now']).selectAll('s')
    .where('s.user_id', '=', p.userId).where('s.id', '=', p.fromId).where(isAlive).forNoKeyUpdate('s'))
  .with('other', (db) => db.selectFrom('otp_session as s').select((eb) => eb.and([
    eb('s.ended_at', 'is', null), eb('s.otp_device_id', 'is', null), eb('s.generation', '=', eb.lit(0)),
    eb.fn.coalesce(eb('s.started_at', '>', eb.selectFrom('leaving')
      .select((eb) => eb.fn<Date>('greatest', ['leaving.rotated_at', 'leaving.otp_at']).as('seen_at'))), eb.lit(false))
  ]).$castTo<boolean>().as('isNew')).where('s.user_id', '=', p.userId).where('s.id', '=', p.toId))
  .with('target', (db) => db.selectNoFrom((eb) => eb.or([
    eb.exists(eb.selectFrom('other').where((eb) => eb.not(eb.ref('other.isNew')))), isEndedId({ userId: p.userId, sessionId: p.toId })
  ]).$castTo<boolean>().as('isTaken')))
  .with('ended', (db) => db.updateTable('otp_session as s').from(['leaving', 'target', 'now']).set(endedFor('moved'))
    .whereRef('s.user_id', '=', 'leaving.user_id').whereRef('s.id', '=', 'leaving.id')
    .where((eb) => eb.not(eb.ref('target.isTaken'))).returningAll('s'))
  .with('moved', (db) => db.insertInto('otp_session').columns(['user_id', 'id', ...moving])
    .expression((eb) => eb.selectFrom('ended').select(['ended.user_id', textOf<string>(p.toId).as('to_id')]).select(moving))
    .onConflict((oc) => oc.columns(['user_id', 'id']).doUpdateSet((eb) => ({
      ...Object.fromEntries(moving.map((column) => [column, eb.ref(`excluded.${column}`)])),
      ended_xid: hasAccounts ? eb.ref('otp_session.ended_xid') : currentXid
    })))
    .returningAll())
  .selectFrom('now').innerJoin('target', (join) => join.onTrue()).leftJoin('moved', (join) => join.onTrue())
  .select([...sessionColumns, ...readColumns])
  .select((eb) => ['target.isTaken', eb.exists(eb.selectFrom('other')).$castTo<boolean>().as('wasSeen')]))

/**
 * Moves a session to the id under which the host continues: the new session has all proofs, and the old one has ended. The
 * user is locked first. So this sees a session that was registered while it waited, and statements that end all of the
 * user's sessions see the new row.
 *
 * Requests may name the new session as soon as the host has made it, before `complete` has answered. Its row is then that
 * of an unverified session which began after the proof, and the move replaces it. An id that began earlier is refused: it
 * may be known to an attacker.
 */
export async function moveSession (db: Db, userId: string, fromId: string, toId: string): Promise<Moved> {
  return await inTransaction(db, async (tx) => {
    await lockUser(tx, userId)
    await lockSession.first(tx, { userId, sessionId: toId })
    const { isTaken, wasSeen, ...facts } = (await move.first(tx, { userId, fromId, toId }))!
    if (isTaken) return { outcome: 'taken' }
    return facts.sessionId === null ? { outcome: 'ended' } : { outcome: 'moved', session: reading(facts), wasSeen }
  })
}
