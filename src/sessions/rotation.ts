import { expressionBuilder, type Expression } from 'kysely'
import type { AnsweredSession, ClientOrigin } from '../core/session.js'
import { withEvent } from '../events/insert.js'
import type { Db, Tables } from '../tables/db.js'
import { statement, type Parameters } from '../tables/statement.js'
import { currentXid, earlier, inOne, later, numberAs, textOf, typed, unixSeconds, withNow, type Now } from '../tables/values.js'
import { methodsOf } from './methods.js'
import { endedFor, isAlive, sessionColumns } from './statements.js'

/** Refresh token as the client presented it. */
export interface PresentedToken {
  userId: string
  sessionId: string
  /** Generation that the token was issued for. */
  generation: number
  /** True if its own life is over: then it is accepted only as the parent of a child that was never used. */
  isExpired: boolean
}

export interface Rotation {
  /** The session, with PostgreSQL's clock in Unix seconds: the row as it was read, since a copy of it costs 2 µs. */
  facts: AnsweredSession & { nowSeconds: number }
  /** False if the session ended: the token's child had been used, or parents came from another network twice in a row. */
  rotated: boolean
  /** True if the session ended since its stored generation is older than the token: PostgreSQL lost commits. */
  isNewer: boolean
}

/** Limits of a session, in seconds. */
export interface RotationLimits {
  idleSeconds: number
  /** Life of an unverified session from now on; 0 leaves its end as it is. */
  pendingSeconds: number
  /** Longest life of an unverified session from its start. */
  mostPendingSeconds: number
  /** Longest life from the first proof, which the session may have from one that it replaced. */
  sessionSeconds: number
}

interface RotationValues extends Omit<PresentedToken, 'isExpired'>, RotationLimits { network: string }
interface RepetitionValues extends PresentedToken, ClientOrigin { idleSeconds: number }

const session = expressionBuilder<{ s: Tables['otp_session'], now: Now }, 's' | 'now'>()

/** Condition on a session `s` beside `now`: it is the token's, alive, and has not idled too long. */
const isUsable = (p: Parameters<Pick<RotationValues, 'userId' | 'sessionId' | 'idleSeconds'>>) => session.and([
  session('s.user_id', '=', p.userId), session('s.id', '=', p.sessionId), isAlive,
  session(session.fn<Date>('greatest', ['s.rotated_at', 's.otp_at']), '>', earlier(session.ref('now.at'), p.idleSeconds))
])

/** End of a session `s` beside `now`: an unverified one may get more time. */
const extended = (p: Parameters<RotationLimits>) => session.case()
  .when(session.and([session('s.otp_required', '=', true), session('s.otp_device_id', 'is', null)]))
  .then(session.fn<Date>('greatest', ['s.expires_at', session.fn<Date>('least', [
    later(session.ref('now.at'), typed(p.pendingSeconds, 'integer')),
    later(session.ref('s.started_at'), typed(p.mostPendingSeconds, 'integer')),
    later(session.ref('s.auth_at'), typed(p.sessionSeconds, 'integer'))
  ])]))
  .else(session.ref('s.expires_at')).end()

/** Columns of the answer, beside `now` and the changed session. */
const rotatedColumns = (p: Parameters<Pick<RotationValues, 'userId'>>) => inOne('rotated', [
  ...sessionColumns, methodsOf(p.userId, 'otpMethods'), numberAs(unixSeconds(session.ref('now.at')), 'nowSeconds')
])

const rotate = statement('rotate_session', (db, p: Parameters<RotationValues>) => withNow(db)
  .with('rotated', (db) => db.updateTable('otp_session as s').from('now')
    .set((eb) => ({
      generation: eb('s.generation', '+', eb.lit(1)), rotated_at: eb.ref('now.at'), rotated_network: p.network, expires_at: extended(p)
    }))
    .where(isUsable(p)).where('s.generation', '=', p.generation).returningAll('s'))
  .selectFrom(['rotated', 'now']).select(rotatedColumns(p)))

const judgeRepeated = statement('judge_repeated_refresh', (db, p: Parameters<RepetitionValues>, facts) => {
  const isParent = session('s.generation', '=', session(typed(p.generation, 'integer'), '+', session.lit(1)))
  const isNewlyElsewhere = session.and([
    isParent, session('s.rotated_network', '<>', p.network), session('s.reused_generation', 'is distinct from', session.ref('s.generation'))
  ])
  const isTwice = session.and([
    isNewlyElsewhere, session('s.reused_generation', '=', session('s.generation', '-', session.lit(1)))
  ])
  const isKept = session.and([isParent, session.not(session.fn.coalesce(isTwice, session.lit(false)))])
  const either = <Value>(condition: Expression<unknown>, then: Expression<Value>, otherwise: Expression<Value>) =>
    session.case().when(condition as Expression<boolean>).then(then).else(otherwise).end() as Expression<Value>
  const ended = endedFor('refresh_reused')
  const judged = withNow(db).with('judged', (db) => db.updateTable('otp_session as s').from('now')
    .set((eb) => ({
      reused_generation: either<number | null>(isNewlyElsewhere, eb.ref('s.generation'), eb.ref('s.reused_generation')),
      reused_xid: either<string | null>(isNewlyElsewhere, currentXid, eb.ref('s.reused_xid')),
      ended_at: eb.case().when(eb.not(isKept)).then(ended.ended_at).end(),
      ended_xid: either<string | null>(isKept, eb.ref('s.ended_xid'), ended.ended_xid),
      end_reason: eb.case().when(eb.not(isKept)).then(textOf<string>('refresh_reused')).end()
    }))
    .where(isUsable(p)).where('s.generation', '<>', p.generation)
    .where((eb) => eb.or([eb.not(typed(p.isExpired, 'boolean')), isParent]))
    .returningAll('s'))
  return withEvent(judged, facts, (db) => db.selectFrom(['judged', 'now'])
    .where((eb) => eb.or([eb('judged.ended_at', 'is not', null), eb('judged.reused_xid', '=', currentXid)])), (eb) => ({
    userId: p.userId,
    kind: eb.case().when('judged.ended_at', 'is', null).then('refresh_reused_elsewhere').else('refresh_reused').end(),
    sessionId: p.sessionId,
    ip: p.ip,
    agent: p.agent
  }))
    .selectFrom(['judged', 'now'])
    .select((eb) => [
      ...rotatedColumns(p), eb('judged.ended_at', 'is not', null).$castTo<boolean>().as('reused'),
      eb('judged.generation', '<', typed(p.generation, 'integer')).$castTo<boolean>().as('isNewer')
    ])
})

/**
 * Rotates the refresh token by a compare-and-set on the generation. PostgreSQL evaluates it again on the newest row when fifty
 * requests do it at once (RFC 9700 §4.14.2).
 *
 * - The newest generation: its child is made, and the network of the request is stored.
 * - The parent of a child that was never used: the same child again, for as long as the session may idle. From another
 *   network than that of the child it writes an event, once a generation. In two generations in a row it ends the session.
 * - Any older generation: the session ends.
 * - A newer one than is stored, after a failover that lost commits: the session ends too. A copy of a token that was used within the lost
 *   time would look the same.
 *
 * An unverified session may get more time with its newest generation, but no more than a session has from its first proof: it may replace
 * one whose second factor was removed. Its parent then has the same child as before, the new end included.
 *
 * The newest one has a statement of its own, which decides nothing else and writes no event: nearly all requests need only that.
 *
 * @returns null if the session had ended, expired or idled too long, or the token has expired and is no such parent
 */
export async function rotateSession (
  db: Db,
  presented: PresentedToken,
  limits: RotationLimits,
  { ip, agent, network }: ClientOrigin
): Promise<Rotation | null> {
  const { userId, sessionId, generation } = presented
  const rotated = presented.isExpired ? undefined : await rotate.first(db, { userId, sessionId, generation, ...limits, network })
  if (rotated !== undefined) return { facts: rotated, rotated: true, isNewer: false }
  const judged = await judgeRepeated.first(db, { ...presented, idleSeconds: limits.idleSeconds, ip, agent, network })
  if (judged === undefined) return null
  return { facts: judged, rotated: !judged.reused, isNewer: judged.isNewer }
}
