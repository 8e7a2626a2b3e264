import type { QueryCreator } from 'kysely'
import { withRemembered } from '../budgets/known-networks.js'
import type { Lifetimes, Requester } from '../core/session.js'
import { byRequester, withEvent, withSingleEvent } from '../events/insert.js'
import {
  committed, replacementValues, selectAnswer, withEndedFor, withReplacement, type CommittedSession, type ReplacementValues
} from '../sessions/replacement.js'
import { isAlive } from '../sessions/statements.js'
import type { Db } from '../tables/db.js'
import { statement, type Parameters } from '../tables/statement.js'
import { inTransaction, lockUser, type Tx } from '../tables/transaction.js'
import { typed, withNow } from '../tables/values.js'
import type { Consumed, Deciding, DeviceKind, ProofKind } from './commit.js'

/** Most confirmed devices of one user, of each kind. */
export const MOST_DEVICES = 10

/** What the one confirming statement needs to know about the first proof of a kind. */
export interface FirstProofKind<Values extends object> extends Pick<ProofKind<never>, 'amr' | 'acr' | 'by'> {
  kind: DeviceKind
  /** Stores the proof, so that it cannot be used again, from `consumed` (the confirmed device) and `now`. */
  use (db: QueryCreator<Deciding & { consumed: Consumed }>, p: Parameters<Values>): QueryCreator<Deciding & { consumed: Consumed }>
}

type Confirmed = Deciding & { consumed: Consumed }

/** Columns that only a pending device has. */
const withoutSetUp = { seed: null, session_id: null, expires_at: null, failures: 0 } as const

/** Adds what follows from a confirmed device, `consumed`: its first proof is used, its codes are valid, and other set-ups end. */
function withConfirmed<Values extends object> (db: QueryCreator<Confirmed>, kind: FirstProofKind<Values>, p: Parameters<Values>) {
  return kind.use(db, p)
    .with('raised', (db) => db.updateTable('otp_user as u').from('consumed')
      .set((eb) => ({ version: eb('u.version', '+', 1), setup_required: false, setup_digest: null, setup_expires_at: null }))
      .whereRef('u.user_id', '=', 'consumed.user_id'))
    .with('alive_codes', (db) => db.updateTable('otp_recovery_code as c').from('consumed').set({ pending_device_id: null })
      .whereRef('c.user_id', '=', 'consumed.user_id').whereRef('c.pending_device_id', '=', 'consumed.id'))
    .with('dropped', (db) => db.deleteFrom('otp_device as d').using('consumed')
      .whereRef('d.user_id', '=', 'consumed.user_id').where('d.confirmed_at', 'is', null).whereRef('d.id', '<>', 'consumed.id'))
    .with('dropped_codes', (db) => db.deleteFrom('otp_recovery_code as c').using('consumed')
      .whereRef('c.user_id', '=', 'consumed.user_id').where('c.pending_device_id', 'is not', null)
      .whereRef('c.pending_device_id', '<>', 'consumed.id'))
}

/** @returns null if another request was first, or the device or its session no longer lives, or the user has `MOST_DEVICES` */
export type Confirm<Values extends object> = (
  db: Db, requester: Requester, proof: Values & { deviceId: string }, newSessionId: string, lifetimes: Lifetimes
) => Promise<CommittedSession | null>

/**
 * Makes the one statement that commits the first proof of a pending device: it confirms the device, makes its recovery codes valid,
 * deletes the user's other pending devices and ends every session; a new one replaces the requester's. The user is locked.
 */
export function confirming<Values extends object> (kind: FirstProofKind<Values>): Confirm<Values> {
  const { amr, acr, by } = kind
  type P = Parameters<ReplacementValues & { deviceId: string, seconds: number } & Values>
  const confirm = statement(`confirm_${kind.kind}`, (db, p: P, facts) => {
    const judged = withNow(db).with('requester', (db) => db.selectFrom(['otp_session as s', 'now']).selectAll('s')
      .select((eb) => {
        const devices = eb.selectFrom('otp_device as d').select((eb) => eb.fn.countAll<number>().as('devices'))
          .where('d.user_id', '=', p.userId).where('d.confirmed_at', 'is not', null)
        return [
          typed(p.isInPlace, 'boolean').as('stays'),
          eb.case().when('s.otp_device_id', 'is not', null).then(eb.ref('s.expires_at')).end().as('until'),
          devices.as('confirmed'), devices.where('d.kind', '=', kind.kind).as('of_kind')
        ]
      })
      .where('s.user_id', '=', p.userId).where('s.id', '=', p.sessionId).where(isAlive).forNoKeyUpdate('s'))
      .with('consumed', (db) => db.updateTable('otp_device as d').from(['requester', 'now'])
        .set((eb) => ({ ...withoutSetUp, confirmed_at: eb.ref('now.at') }))
        .whereRef('d.user_id', '=', 'requester.user_id').where('d.id', '=', p.deviceId).where('d.confirmed_at', 'is', null)
        .whereRef('d.session_id', '=', 'requester.id').whereRef('d.expires_at', '>', 'now.at')
        .where('requester.of_kind', '<', MOST_DEVICES)
        .where((eb) => eb.or([eb('requester.otp_device_id', 'is not', null), eb('requester.confirmed', '=', 0)]))
        .returning(['d.user_id', 'd.id', 'd.name']))
    const used = withConfirmed(judged as never, kind, p) as unknown as typeof judged
    const replaced = withReplacement(withEndedFor(used, 'consumed', p, 'otp_enabled', 'all'), facts, 'consumed', p, {
      amr, acr, by, otpRequired: true, seconds: p.seconds
    })
    const written = withEvent(withRemembered(replaced, facts, 'consumed', p.network, true), facts,
      (db) => db.selectFrom(['consumed', 'requester', 'now']), (eb) => ({
        ...byRequester(p),
        kind: eb.case().when('requester.confirmed', '=', 0).then('otp_enabled').else('otp_device_added').end(),
        deviceName: eb.ref('consumed.name')
      }))
    return selectAnswer(written, p.userId, { change: { confirmed: p.deviceId } })
  })
  return async (db, requester, proof, newSessionId, { sessionSeconds }) => await inTransaction(db, async (tx) => {
    await lockUser(tx, requester.context.userId)
    return committed(await confirm.first(tx, { ...replacementValues(requester, newSessionId), ...proof, seconds: sessionSeconds } as never))
  })
}

/** Proof that was judged before its device was stored, by an actor without a session. */
export interface ActorProof { userId: string, deviceId: string, ip: string, agent: string, actorId: string }

/** @returns false if there is no such pending device */
export type ConfirmProven<Values extends object> = (tx: Tx, proof: Values & ActorProof) => Promise<boolean>

/** Makes the same statement for a user who has no session yet, such as one that the command line creates. */
export function confirmingProven<Values extends object> (kind: FirstProofKind<Values>): ConfirmProven<Values> {
  const confirm = statement(`confirm_proven_${kind.kind}`, (db, p: Parameters<ActorProof & Values>, facts) => {
    const consumed = withNow(db).with('consumed', (db) => db.updateTable('otp_device as d').from('now')
      .set((eb) => ({ ...withoutSetUp, confirmed_at: eb.ref('now.at') }))
      .where('d.user_id', '=', p.userId).where('d.id', '=', p.deviceId).where('d.confirmed_at', 'is', null)
      .returning(['d.user_id', 'd.id', 'd.name']))
    const { userId, ip, agent, actorId } = p
    const used = withConfirmed(consumed as never, kind, p) as unknown as typeof consumed
    return withSingleEvent(used, facts, (db) => db.selectFrom(['consumed', 'now']), (eb) => ({
      userId, sessionId: null, ip, agent, actorId, kind: 'otp_enabled', deviceName: eb.ref('consumed.name')
    })).selectFrom('consumed').select('consumed.id')
  })
  return async (tx, proof) => await confirm.first(tx, proof as never) !== undefined
}
