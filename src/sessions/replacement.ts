import {
  expressionBuilder, sql, type Expression, type ExpressionBuilder, type QueryCreator, type Selectable
} from 'kysely'
import { addressed } from '../budgets/known-networks.js'
import { amr, amrOf, factorIdsOf, PHISHING_RESISTANT } from '../core/assurance.js'
import type { OtpMethod } from '../core/refusals.js'
import type { Requester, SessionFacts } from '../core/session.js'
import { byRequester, requesterValues, withEvent, type RequesterValues } from '../events/insert.js'
import type { Tables } from '../tables/db.js'
import type { Db } from '../tables/db.js'
import { insertFrom } from '../tables/insert-from.js'
import { statement, type Facts, type Parameters } from '../tables/statement.js'
import { currentXid, earlier, inOne, later, nothing, textOf, timeOfSeconds, typed, withNow, type Now } from '../tables/values.js'
import type { Ended } from './ending.js'
import { methodsOf, type MethodChange } from './methods.js'
import {
  endedFor, endedIds, isAlive, readColumns, reading, sessionColumns, type ReadAt, type SessionKey, type SessionReading
} from './statements.js'

/** Result of a committed decision: the session to return, the methods of its user, and the ids of the sessions that it ended. */
export interface CommittedSession extends SessionReading { otpMethods: OtpMethod[], endedIds: string[] }

/** Values of a statement after which the requester's session continues. */
export interface ReplacementValues extends RequesterValues {
  /** Id under which it continues; its own if its host cannot move it. */
  nextId: string
  isInPlace: boolean
  /** Unix seconds of the last phishing-resistant proof, by the requester's token. */
  phrTime: number | null
  /** Network of the request; null if it has no address. */
  network: string | null
}

export const replacementValues = (requester: Requester, nextId: string): ReplacementValues => ({
  ...requesterValues(requester),
  nextId,
  isInPlace: nextId === requester.context.sessionId,
  phrTime: requester.context.phrTime ?? null,
  network: addressed(requester.network)
})

type Row = Selectable<Tables['otp_session']>
/** Row of the requester's session. `stays`: it continues as itself. `until`: a new one must end by then. */
export type RequesterRow = Row & { stays: boolean, until: Date | null }

/** CTE of a decision: a row if it was made, with the factor that was proven. */
interface Decided { user_id: string, id: string }

interface Ctes { now: Now, requester: RequesterRow, decided: Decided, started: Row, kept: Row }
type Replacing = Tables & Ctes & Ended
type From = 'decided' | 'requester' | 'now'
type Eb = ExpressionBuilder<Replacing, From>

/** Selects the living session of the requester, locked, in the CTE `requester` beside `now`; `stays` if the id cannot change. */
export const selectRequester = (db: QueryCreator<Tables & { now: Now }>, p: ReplacementValues) => db
  .selectFrom('otp_session as s').innerJoin('now', (join) => join.onTrue()).selectAll('s')
  .where('s.user_id', '=', p.userId).where('s.id', '=', p.sessionId).where(isAlive)

/** Proofs of the session that continues, under its own id or as a new one. */
export interface Proof {
  /** RFC 8176. */
  amr: readonly string[]
  /** `phr` for a passkey. Another second factor keeps the time of an earlier passkey, and never renews it. */
  acr: string | null
  otpRequired: boolean
  /** The decision's `id` is that of a device, names a kind of proof without a device, or is none: only the password was proven. */
  by: 'device' | 'code' | 'password'
  /** Life of a new session in seconds. If it replaces a verified session, it ends no later than that one. */
  seconds: number
  /** Time from which the session opens only the set-up of a device. */
  deadline?: Expression<Date | null>
}

const isPhishingResistant = ({ acr }: Proof): boolean => acr === PHISHING_RESISTANT

/** Returns the methods of a session that also has an earlier proof by a passkey. */
const withPasskey = (methods: readonly string[]): string[] => [...new Set([...methods, ...amr.passkey])]

const textArray = (texts: readonly string[]) => typed<string[]>([...texts], 'text[]')

/** Values of a session's row that follow from a proof. `hasPasskey`: an earlier proof by a passkey, of the given factors, stays. */
function provenBy (eb: Eb, proof: Proof, hasPasskey: Expression<unknown>, phrAt: Expression<Date | null>, factorIds: Expression<string[]>) {
  const { amr: methods, otpRequired, by, deadline } = proof
  const own = by === 'device' ? eb.fn<string[]>('array_append', [textArray([]), textOf(eb.ref('decided.id'))]) : textArray([])
  const mayKeep = by !== 'password' && !isPhishingResistant(proof)
  const either = <Value>(kept: Expression<Value>, fresh: Expression<Value>) =>
    mayKeep ? eb.case().when(hasPasskey as Expression<boolean>).then(kept).else(fresh).end() as Expression<Value> : fresh
  return {
    amr: either(textArray(withPasskey(methods)), textArray(methods)),
    otp_required: typed(otpRequired, 'boolean'),
    otp_device_id: by === 'password' ? textOf<string | null>(null) : textOf<string | null>(eb.ref('decided.id')),
    otp_at: by === 'password' ? nothing<Date>('timestamptz') : eb.ref('now.at'),
    otp_deadline: deadline ?? nothing<Date>('timestamptz'),
    phr_at: isPhishingResistant(proof) ? eb.ref('now.at') : by === 'password' ? nothing<Date>('timestamptz') : phrAt,
    otp_factor_ids: either(eb.fn<string[]>('array_cat', [own, factorIds]), own)
  }
}

/** The CTE `started` alone, where the decision itself changes a session that stays. */
export function withReplaced<With> (
  db: QueryCreator<With>, decided: keyof With & string, p: ReplacementValues, proof: Proof
): QueryCreator<With & Pick<Ctes, 'started'>> {
  return (db as unknown as QueryCreator<Replacing>)
    .with('started', (db) => insertFrom(db, 'otp_session', (db) => db
      .selectFrom([`${decided} as decided` as 'decided', 'requester', 'now']).where('requester.stays', '=', false), (eb) => ({
      user_id: eb.ref('decided.user_id'),
      ...newSession(eb as unknown as Eb, p),
      expires_at: eb.fn<Date>('least', [later(eb.ref('now.at'), typed(proof.seconds, 'integer')), 'requester.until']),
      ...provenBy(eb as unknown as Eb, proof, eb(typed(p.phrTime, 'float8'), 'is not', null), timeOfSeconds(p.phrTime),
        eb.ref('requester.otp_factor_ids'))
    })).returningAll()) as never
}

/**
 * Session replacement: the requester's session continues under `nextId` as a new one, or as itself where it `stays`. It
 * stays if it is verified and proved itself once more, or if `nextId` is its own id, since its host cannot move it. The CTEs
 * `started` and `kept` beside `now` and `requester`, one row for each row of `decided`.
 *
 * A session that stays keeps its refresh generation: a tab that took no part, or lost the answer, goes on with the token that it has.
 */
export function withReplacement<With> (
  db: QueryCreator<With>, facts: Facts, decided: keyof With & string, p: ReplacementValues, proof: Proof
): QueryCreator<With & Pick<Ctes, 'started' | 'kept'>> {
  return (withReplaced(db, decided, p, proof) as unknown as QueryCreator<Replacing>)
    .with('kept', (db) => db.updateTable('otp_session as s').from([`${decided} as decided` as 'decided', 'requester', 'now'])
      .set((eb) => ({
        ...provenBy(eb as unknown as Eb, proof, eb('s.phr_at', 'is not', null), eb.ref('s.phr_at'), eb.ref('s.otp_factor_ids')),
        failures: 0,
        ended_xid: xidOfChange(facts)
      }))
      .whereRef('s.user_id', '=', 'decided.user_id').whereRef('s.id', '=', 'requester.id').where('requester.stays', '=', true)
      .returningAll('s')) as never
}

/** Values of a new session that follow from the requester's. */
const newSession = (eb: Eb, p: ReplacementValues) => ({
  id: textOf<string>(p.nextId),
  started_at: eb.ref('now.at'),
  auth_at: eb.ref('requester.auth_at'),
  auth_claimed_at: eb.ref('requester.auth_claimed_at'),
  rotated_at: eb.ref('now.at'),
  ip: textOf<string>(p.ip),
  agent: textOf<string>(p.agent)
})

/** Values of a session that continues with the proofs of the requester's token. */
export interface CarriedValues { otpDeviceId: string | null, otpTime: number | null, amr: string[], factorIds: string[] }

export const carriedValues = ({ context }: Requester): CarriedValues => ({
  otpDeviceId: context.otpDeviceId, otpTime: context.otpTime, amr: amrOf(context), factorIds: factorIdsOf(context.otpDeviceId)
})

/**
 * The CTE `started` without a new proof: the new session has the proofs of the requester's token, which may be fewer than those of
 * its row. It does not live longer and has no more wrong codes left.
 */
export function withCarriedOn<With> (
  db: QueryCreator<With>, decided: keyof With & string, p: ReplacementValues & CarriedValues
): QueryCreator<With & Pick<Ctes, 'started'>> {
  return (db as unknown as QueryCreator<Replacing>)
    .with('started', (db) => insertFrom(db, 'otp_session', (db) => db
      .selectFrom([`${decided} as decided` as 'decided', 'requester', 'now']).where('requester.stays', '=', false), (eb) => ({
      user_id: eb.ref('decided.user_id'),
      ...newSession(eb as unknown as Eb, p),
      expires_at: eb.ref('requester.expires_at'),
      amr: typed(p.amr, 'text[]'),
      otp_required: eb.ref('requester.otp_required'),
      otp_device_id: textOf(p.otpDeviceId),
      otp_at: timeOfSeconds(p.otpTime),
      otp_deadline: eb.ref('requester.otp_deadline'),
      phr_at: timeOfSeconds(p.phrTime),
      otp_factor_ids: eb.case().when(typed(p.phrTime, 'float8'), 'is', null).then(typed(p.factorIds, 'text[]'))
        .else(eb.ref('requester.otp_factor_ids')).end(),
      failures: eb.ref('requester.failures')
    })).returningAll()) as never
}

/**
 * Value of `ended_xid` that makes the revocation poller name a session that changed and did not end: it is set, `ended_at` is not. The
 * service does not need that: its tokens hold the proofs, independent of the caches. There the value stays as it is: a switch of the
 * policy may have set it.
 */
export const xidOfChange = ({ hasAccounts }: Pick<Db, 'hasAccounts'>) => hasAccounts ? sql.ref<string | null>('s.ended_xid') : currentXid

const session = expressionBuilder<Replacing & { s: Tables['otp_session'] }, 's' | 'now' | 'requester'>()

/** Sessions of a user that end when the requester's continues: its own, those without a second factor too, or all. */
export type Scope = 'own' | 'unverified' | 'all'

const ofScope = (scope: 'own' | 'unverified') => session.or([
  session('s.id', '=', session.ref('requester.id')),
  ...(scope === 'unverified' ? [session('s.otp_device_id', 'is', null)] : [])
])

/**
 * Ends sessions in the CTE `ended`, and stores `nextId` in the requester's row, so that a repeated request is recognised. A session
 * that stays is not ended. Beside `now` and `requester`.
 */
export function withEndedFor<With> (
  db: QueryCreator<With>, decided: keyof With & string, p: ReplacementValues, reason: string, scope: Scope
): QueryCreator<With & Ended> {
  return (db as unknown as QueryCreator<Replacing>)
    .with('ended', (db) => db.updateTable('otp_session as s').from([`${decided} as decided` as 'decided', 'requester', 'now'])
      .set((eb) => ({
        ...endedFor(reason), replaced_by: eb.case().when('s.id', '=', eb.ref('requester.id')).then(textOf<string>(p.nextId)).end()
      }))
      .whereRef('s.user_id', '=', 'decided.user_id').where('s.ended_at', 'is', null)
      .where((eb) => eb.not(eb.and([eb('requester.stays', '=', true), eb('s.id', '=', eb.ref('requester.id'))])))
      .$if(scope !== 'all', (query) => query.where(ofScope(scope as 'own') as never))
      .returning(['s.id', 's.user_id'])) as never
}

/** Verified sessions of one user: more than a person has browsers and devices. A host may start one for each run of a program. */
const MOST_VERIFIED = { atService: 100, atHost: 1_000 }
/** Sessions that one verification evicts at most, if the user has too many. */
const MOST_EVICTED = 1_000

const sessions = expressionBuilder<Tables & { now: Now }>()

/** Verified sessions of a user beside the one that continues. An expired one counts until it is evicted. */
const others = (userId: string, except: string | Expression<string>) => sessions.selectFrom('otp_session as s')
  .where('s.user_id', '=', userId).where('s.id', '<>', except).where('s.ended_at', 'is', null).where('s.otp_device_id', 'is not', null)

const limitOf = ({ hasAccounts }: Pick<Facts, 'hasAccounts'>) => hasAccounts ? MOST_VERIFIED.atService : MOST_VERIFIED.atHost

/** Condition: the user has the most verified sessions without the requester's, which gets verified: `evictSurplus` has work. */
export const isCrowded = (facts: Facts, p: Pick<RequesterValues, 'userId' | 'sessionId'>) =>
  sessions.exists(others(p.userId, p.sessionId).offset(sessions.lit(limitOf(facts) - 1))).$castTo<boolean>()

const evict = statement('evict_surplus', (db, p: Parameters<RequesterValues & { keptId: string }>, facts) => {
  const evicted = withNow(db)
    .with('surplus', (db) => db.selectFrom('now').innerJoinLateral(others(p.userId, p.keptId).selectAll().as('s'), (join) => join.onTrue())
      .select('s.id')
      .orderBy((eb) => eb('s.expires_at', '>', eb.ref('now.at')), 'desc')
      .orderBy((eb) => eb.fn('greatest', ['s.rotated_at', 's.otp_at']), 'desc')
      .offset((eb) => eb.lit(limitOf(facts) - 1)).limit((eb) => eb.lit(MOST_EVICTED)))
    .with('ended', (db) => db.updateTable('otp_session as s').from(['surplus', 'now']).set(endedFor('session_evicted'))
      .where('s.user_id', '=', p.userId).whereRef('s.id', '=', 'surplus.id').where('s.ended_at', 'is', null).returning('s.id'))
    .with('evicted', (db) => db.selectFrom('ended')
      .select((eb) => [eb.fn.min('ended.id').as('id'), eb.fn.countAll<number>().as('sessions')]))
  return withEvent(evicted, facts, (db) => db.selectFrom(['evicted', 'now']).where('evicted.sessions', '>', 0), (eb) => ({
    ...byRequester(p),
    kind: 'session_evicted',
    detail: eb.case().when('evicted.sessions', '=', 1).then(eb.ref('evicted.id'))
      .else(eb.fn<string>('concat', ['evicted.sessions', textOf(' sessions')])).end()
  })).selectNoFrom(endedIds)
})

/**
 * Ends verified sessions of a user past the most that one may have: first the expired ones, then those idle longest. Writes one
 * event for all: it names the session or says how many. A statement of its own, which nearly no verification needs. It may not see
 * sessions that other requests verify at this moment, and a fault may prevent it: the next verification evicts the surplus.
 *
 * @param keptId id of the session that was verified
 * @returns the ids of the ended sessions
 */
export async function evictSurplus (db: Db, requester: Requester, keptId: string): Promise<string[]> {
  return (await evict.first(db, { ...requesterValues(requester), keptId }))!.endedIds
}

/** Seconds in which a repeated request is recognised as such: longer than a request takes. */
const REPEAT_SECONDS = 10

const selectReplaced = statement('reason_replaced', (db, p: Parameters<SessionKey>) => withNow(db)
  .selectFrom(['otp_session as s', 'now']).select('s.end_reason as reason')
  .where('s.user_id', '=', p.userId).where('s.id', '=', p.sessionId).where('s.replaced_by', 'is not', null)
  .where((eb) => eb('s.ended_at', '>', earlier(eb.ref('now.at'), REPEAT_SECONDS))))

/** Returns the end reason if the session was replaced by its own request a moment ago; else null. */
export const reasonReplaced = async (db: Db, { userId, sessionId }: SessionKey): Promise<string | null> =>
  (await selectReplaced.first(db, { userId, sessionId }))?.reason ?? null

/**
 * Selects the resulting session, the methods of its user after the statement, and the ids of the ended sessions.
 *
 * @param change what the statement changes about the methods; `none` if it removes all
 */
export function selectAnswer (
  db: unknown, userId: string, { kept = true, change = {} }: { kept?: boolean, change?: MethodChange | 'none' } = {}
) {
  return (db as QueryCreator<Replacing>)
    .selectFrom((eb) => {
      const started = eb.selectFrom('started').selectAll()
      return (kept ? started.unionAll(eb.selectFrom('kept').selectAll()) : started).as('session')
    })
    .innerJoin('now', (join) => join.onTrue())
    .select(inOne('answer', [
      ...sessionColumns, ...readColumns,
      change === 'none' ? methodsOf(null, 'otpMethods') : methodsOf(userId, 'otpMethods', change),
      endedIds
    ]))
}

/** A log-in selects no methods. */
type Answer = SessionFacts & ReadAt & Pick<CommittedSession, 'endedIds'> & { otpMethods?: OtpMethod[] }

export function committed (found: Answer | undefined): CommittedSession | null {
  if (found === undefined) return null
  const { endedIds, otpMethods, ...facts } = found
  return { ...reading(facts), endedIds, otpMethods: otpMethods as OtpMethod[] }
}
