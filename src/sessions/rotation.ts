import { sql } from 'kysely'
import type { AnsweredSession, ClientOrigin } from '../core/session.js'
import { event } from '../events/insert.js'
import { alive } from './marks.js'
import { methodsOf } from './methods.js'
import { sessionFacts } from './statements.js'
import { now } from '../tables/values.js'
import { row, type Db } from '../tables/db.js'
import { numberAs } from '../tables/values.js'

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
  facts: AnsweredSession
  /** False if the session ended: the token's child had been used, or parents came from another network twice in a row. */
  rotated: boolean
  /** PostgreSQL's clock, Unix seconds. */
  nowSeconds: number
}

/**
 * Rotates the refresh token by a compare-and-set on the generation, in one statement. PostgreSQL evaluates it again on
 * the newest row when fifty requests do it at once (RFC 9700 §4.14.2).
 *
 * - The newest generation: its child is made, and the network of the request is stored.
 * - The parent of a child that was never used: the same child again, for as long as the session may idle. From another
 *   network than that of the child it writes an event, once a generation. In two generations in a row it ends the session.
 * - Any older generation: the session ends.
 *
 * @returns null if the session had ended, expired or idled too long, or the token has expired and is no such parent
 */
export async function rotateSession (
  db: Db,
  presented: PresentedToken,
  idleSeconds: number,
  origin: ClientOrigin
): Promise<Rotation | null> {
  const { table } = db
  const { userId, sessionId, generation, isExpired } = presented
  const isNewest = sql`(s.generation = ${generation}::int)`
  const isParent = sql`(s.generation = ${generation}::int + 1)`
  const isNewlyElsewhere = sql`
    (${isParent} and s.rotated_network <> ${origin.network}::text and s.reused_generation is distinct from s.generation)`
  const isKept = sql`
    (${isNewest} or (${isParent} and not coalesce(${isNewlyElsewhere} and s.reused_generation = s.generation - 1, false)))`
  const found = await row<AnsweredSession & { reused: boolean, nowSeconds: number }>(db, sql`
    with ${now},
    rotated as (
      update ${table.otp_session} s set
        generation = case when ${isNewest} then s.generation + 1 else s.generation end,
        rotated_at = case when ${isNewest} then now.at else s.rotated_at end,
        rotated_network = case when ${isNewest} then ${origin.network}::text else s.rotated_network end,
        reused_generation = case when ${isNewlyElsewhere} then s.generation else s.reused_generation end,
        reused_xid = case when ${isNewlyElsewhere} then pg_current_xact_id() else s.reused_xid end,
        ended_at = case when ${isKept} then null else now.at end,
        ended_xid = case when ${isKept} then s.ended_xid else pg_current_xact_id() end,
        end_reason = case when ${isKept} then null else 'refresh_reused' end
      from now
      where s.user_id = ${userId} and s.id = ${sessionId} and ${alive(db)}
        and greatest(s.rotated_at, s.otp_at) > now.at - make_interval(secs => ${idleSeconds})
        and (not ${isExpired}::boolean or ${isParent})
      returning s.*
    ),
    ${event(db, {
      userId: sql`rotated.user_id`,
      kind: sql`case when rotated.ended_at is null then 'refresh_reused_elsewhere' else 'refresh_reused' end`,
      sessionId,
      origin
    }, sql`rotated, now where rotated.ended_at is not null or rotated.reused_xid = pg_current_xact_id()`)}
    select ${sessionFacts}, ended_at is not null as reused, ${methodsOf(db, userId, 'otpMethods')},
      ${numberAs(sql`extract(epoch from now.at)`, 'nowSeconds')} from rotated, now`)
  if (found === undefined) return null
  const { reused, nowSeconds, ...facts } = found
  return { facts, rotated: !reused, nowSeconds }
}
