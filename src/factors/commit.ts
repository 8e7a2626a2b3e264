import type { ExpressionBuilder, QueryCreator, Updateable } from 'kysely'
import { withRemembered } from '../budgets/known-networks.js'
import type { amr } from '../core/assurance.js'
import { Refusal } from '../core/refusals.js'
import { MOST_PENDING_TERMS, type Lifetimes, type Requester } from '../core/session.js'
import { byRequester, withEvent } from '../events/insert.js'
import type { EventKind } from '../events/kinds.js'
import {
  committed, evictSurplus, isCrowded, replacementValues, selectAnswer, withEndedFor, withReplacement, type CommittedSession, type Proof,
  type ReplacementValues, type RequesterRow, type Scope
} from '../sessions/replacement.js'
import type { MethodChange } from '../sessions/methods.js'
import { isAlive } from '../sessions/statements.js'
import type { Db, Tables } from '../tables/db.js'
import { statement, type Parameters } from '../tables/statement.js'
import { later, nothing, typed, withNow, type Now } from '../tables/values.js'

/** Kinds with devices: rows of `otp_device`. */
export type DeviceKind = Exclude<keyof typeof amr, 'password' | 'recovery'>

/** Row of a proof that was not used before: it is used from now on. */
export interface Consumed {
  user_id: string
  /** Id of the device, as a text; the name of the kind for one without devices. */
  id: string
  /** Name of the device. */
  name: string | null
  /** Detail of the event. */
  detail: string | null
}

export type Deciding = Tables & { now: Now, requester: RequesterRow }
type Accepting = ExpressionBuilder<Deciding & { u: Tables['otp_user'] }, 'u'>

/** What the one committing statement needs to know about the proofs of a kind. */
export interface ProofKind<Values extends object> {
  kind: Exclude<keyof typeof amr, 'password'>
  /** RFC 8176. */
  amr: readonly string[]
  /** `phr` for a phishing-resistant one. */
  acr: string | null
  by: Exclude<Proof['by'], 'password'>
  event: EventKind
  /** Makes the CTE `consumed`, from `requester` and `now`: the condition that makes the proof single use. */
  consume (db: QueryCreator<Deciding>, p: Parameters<Values>): QueryCreator<Deciding & { consumed: Consumed }>
  /** Counts of wrong codes after it. */
  counts (eb: Accepting): Updateable<Tables['otp_user']> | Record<string, unknown>
  /** True if a verified session consumed no attempt of the user, and clears none. */
  sparesVerified: boolean
  /** Sessions that end. */
  ends: Exclude<Scope, 'all'>
  /** True if a verified session that proves itself once more stays. */
  staysVerified: boolean
  /** True if the user's version must be that of the judgement; false if the user is locked meanwhile. */
  isVersioned: boolean
  /** Its effect on the user's methods. */
  change: MethodChange
}

interface CommitValues extends ReplacementValues {
  version: number
  seconds: number
  /** Longest life of a session of the service from the first proof. */
  mostSeconds: number
}

/** Commits a proof. @returns null if it was used before, or the session or the user's factors changed meanwhile */
export type Commit<Values extends object> = (
  db: Db, requester: Requester, proof: Values & { version: number }, newSessionId: string, lifetimes: Lifetimes
) => Promise<CommittedSession | null>

/**
 * Makes the one committing statement for a kind of proof: it consumes the proof, and does everything else only if it was consumed. The
 * user's counter is reset, sessions end, a verified one starts (or the requester's stays, with a new proof), the event is written.
 *
 * The user's row is locked first, and its version must be that of the statement that consumed the attempt. Two requests with one proof
 * meet at the condition that makes it single use, which PostgreSQL evaluates again for the second one.
 */
export function committing<Values extends object> (kind: ProofKind<Values>): Commit<Values> {
  const { acr, by } = kind
  const commit = statement(`commit_${kind.kind}`, (db, p: Parameters<CommitValues & Values>, facts) => {
    const judged = withNow(db).with('requester', (db) => db.selectFrom('otp_user as u')
      .innerJoin('otp_session as s', 's.user_id', 'u.user_id').innerJoin('now', (join) => join.onTrue())
      .selectAll('s')
      .select((eb) => {
        const isInPlace = typed(p.isInPlace, 'boolean')
        const stays = kind.staysVerified ? eb.or([eb('s.otp_device_id', 'is not', null), isInPlace]) : isInPlace
        return [
          stays.$castTo<boolean>().as('stays'),
          // An unverified session may have replaced one whose second factor was removed: no new life without the first factor.
          eb.case().when('s.otp_device_id', 'is not', null).then(eb.ref('s.expires_at'))
            .else(facts.hasAccounts ? later(eb.ref('s.auth_at'), typed(p.mostSeconds, 'integer')) : nothing<Date>('timestamptz')).end()
            .as('until')
        ]
      })
      .where('u.user_id', '=', p.userId).$if(kind.isVersioned, (query) => query.where('u.version', '=', p.version))
      .where('s.id', '=', p.sessionId).where(isAlive).forNoKeyUpdate(['u', 's']))
    const consumed = kind.consume(judged as unknown as QueryCreator<Deciding>, p)
      .with('released', (db) => db.updateTable('otp_user as u').from(['consumed', 'requester'])
        .set((eb) => kind.counts(eb as unknown as Accepting) as Updateable<Tables['otp_user']>)
        .whereRef('u.user_id', '=', 'consumed.user_id')
        .$if(kind.sparesVerified, (query) => query.where('requester.otp_device_id', 'is', null)))
    const ended = withEndedFor(consumed, 'consumed', p, kind.event, kind.ends)
    const replaced = withReplacement(ended, facts, 'consumed', p, {
      amr: kind.amr, acr, by, otpRequired: true, seconds: p.seconds
    })
    const written = withEvent(withRemembered(replaced, facts, 'consumed', p.network, true), facts,
      (db) => db.selectFrom(['consumed', 'now']), (eb) => ({
        ...byRequester(p), kind: kind.event, deviceName: eb.ref('consumed.name'), detail: eb.ref('consumed.detail')
      }))
    return selectAnswer(written, p.userId, { change: kind.change }).select(isCrowded(facts, p).as('crowded'))
  })
  return async (db, requester, proof, newSessionId, { sessionSeconds, pendingSeconds }) => {
    const mostSeconds = sessionSeconds + MOST_PENDING_TERMS * pendingSeconds
    const values = { ...replacementValues(requester, newSessionId), ...proof, seconds: sessionSeconds, mostSeconds }
    const found = await commit.first(db, values as never)
    if (found === undefined) return null
    const { crowded, ...answer } = found
    const session = committed(answer)!
    if (!crowded) return session
    const evictedIds = await evictSurplus(db, requester, session.context.sessionId).catch((error: unknown) => {
      // A transaction around it is rolled back as a whole. Without one the proof is used, and its answer must not be lost.
      if ('inTransaction' in db || !(error instanceof Refusal)) throw error
      return []
    })
    return { ...session, endedIds: [...session.endedIds, ...evictedIds] }
  }
}
