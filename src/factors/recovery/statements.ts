import { sql } from 'kysely'
import { amr } from '../../core/assurance.js'
import type { Requester, Lifetimes } from '../../core/session.js'
import { remembered } from '../../budgets/known-networks.js'
import { countsCleared } from '../lockout-statements.js'
import { event } from '../../events/insert.js'
import { alive as living } from '../../sessions/marks.js'
import { endedIds, ending } from '../../sessions/statements.js'
import { now } from '../../tables/values.js'
import {
  answered, committed, evictedEvent, isInPlace, kept, reasonFor, replacing, started, surplus, type CommittedSession, type Proof
} from '../../sessions/replacement.js'
import { row, type Db } from '../../tables/db.js'
import { inTransaction, lockUser } from '../../tables/transaction.js'

/** Stands in `otp_device_id` in the place of a device. */
const KIND = 'recovery' satisfies keyof typeof amr

/** Resulting session, and the number of codes left. */
export interface UsedCode extends CommittedSession { codesLeft: number }

/**
 * Uses a recovery code, with the user locked, so that of two codes used at once the second one counts after the first.
 * Everything depends on the consumed code. It clears the lock, ends the requester's session and the user's unverified
 * ones (among them an attacker's that caused the lock), and starts a verified one. Codes have no counter: 120 bits cannot
 * be guessed, and a lock would block the owner's last way in.
 *
 * @param digests of the one code in each of its forms
 * @returns null if the code is not a valid one, or the session had ended
 */
export async function burnRecoveryCode (
  db: Db,
  requester: Requester,
  digests: readonly string[],
  newSessionId: string,
  { sessionSeconds }: Lifetimes
): Promise<UsedCode | null> {
  const { userId, sessionId } = requester.context
  return await inTransaction(db, async (tx) => {
    await lockUser(tx, userId)
    const { table } = tx
    const consumed = sql`consumed`
    const proof: Proof = { amr: amr.recovery, otpRequired: true, deviceId: sql`${KIND}`, factorIds: null, seconds: sessionSeconds }
    const found = await row<{ codesLeft: number }>(tx, sql`
      with ${now},
      requester as (
        select u.user_id, s.id, ${isInPlace(requester, newSessionId)} as stays, s.auth_at, null::timestamptz as until
        from ${table.otp_user} u join ${table.otp_session} s on s.user_id = u.user_id, now
        where u.user_id = ${userId} and s.id = ${sessionId} and ${living(tx)}
        for no key update of u, s
      ),
      consumed as (
        update ${table.otp_recovery_code} c set used_at = now.at
        from requester, now
        where c.user_id = requester.user_id and c.used_at is null and c.pending_device_id is null
          and c.digest = (select min(o.digest) from ${table.otp_recovery_code} o where o.user_id = ${userId}
            and o.digest = any (${[...digests]}::text[]) and o.used_at is null and o.pending_device_id is null)
          and exists (select from ${table.otp_device} d where d.user_id = c.user_id and d.confirmed_at is not null)
        returning c.user_id
      ),
      released as (
        update ${table.otp_user} u set ${countsCleared} from consumed where u.user_id = consumed.user_id
      ),
      ${surplus(tx, consumed)},
      ended as (
        update ${table.otp_session} s set ${replacing(reasonFor('recovery_used'), newSessionId)}
        from consumed, requester, now
        where s.user_id = consumed.user_id and s.ended_at is null
          and (s.otp_device_id is null or s.id = requester.id or s.id in (select id from surplus))
          and not (requester.stays and s.id = requester.id)
        returning s.id
      ),
      ${evictedEvent(tx, requester)},
      ${started(tx, consumed, requester, newSessionId, proof)},
      ${kept(tx, consumed, proof)},
      ${remembered(tx, consumed, requester.network, true)}
      ${event(tx, { userId: sql`consumed.user_id`, kind: 'recovery_used', sessionId, origin: requester }, sql`consumed, now`)}
      ${answered(tx, userId, {
        change: { consumesCode: true },
        more: sql`,
        (select count(*) - 1 from ${table.otp_recovery_code} c
          where c.user_id = ${userId} and c.used_at is null and c.pending_device_id is null)::int as "codesLeft"`
      })}`)
    if (found === undefined) return null
    const { codesLeft, ...session } = found
    return { ...committed(session)!, codesLeft }
  })
}

/** Records that a recovery code was refused. Returns false if the session had ended: the caller then answers that. */
export async function refuseRecovery (db: Db, requester: Requester): Promise<boolean> {
  const { table } = db
  const { userId, sessionId } = requester.context
  const alive = await row(db, sql`
    with ${now},
    requester as (
      select s.user_id from ${table.otp_session} s, now
      where s.user_id = ${userId} and s.id = ${sessionId} and ${living(db)}
    ),
    ${event(db, { userId: sql`requester.user_id`, kind: 'recovery_refused', sessionId, origin: requester }, sql`requester, now`)}
    select user_id from requester`)
  return alive !== undefined
}

/** Replaces all codes by new ones; the user's other sessions end. Returns null if the session or the last device is gone. */
export async function replaceRecoveryCodes (db: Db, requester: Requester, digests: string[]): Promise<{ endedIds: string[] } | null> {
  const { userId, sessionId } = requester.context
  return await inTransaction(db, async (tx) => {
    await lockUser(tx, userId)
    const { table } = tx
    const raised = await row<{ endedIds: string[] }>(tx, sql`
      with ${now},
      raised as (
        update ${table.otp_user} u set version = u.version + 1
        from now
        where u.user_id = ${userId}
          and exists (select from ${table.otp_device} d where d.user_id = u.user_id and d.confirmed_at is not null)
          and exists (
            select from ${table.otp_session} s
            where s.user_id = u.user_id and s.id = ${sessionId} and ${living(tx)}
          )
        returning u.user_id
      ),
      dropped as (
        delete from ${table.otp_recovery_code} c using raised where c.user_id = raised.user_id and c.pending_device_id is null
      ),
      ended as (
        update ${table.otp_session} s set ${ending('recovery_regenerated')}
        from raised, now where s.user_id = raised.user_id and s.id <> ${sessionId} and s.ended_at is null
        returning s.id
      ),
      ${event(tx, { userId: sql`raised.user_id`, kind: 'recovery_regenerated', sessionId, origin: requester }, sql`raised, now`)}
      select ${endedIds} from raised`)
    if (raised === undefined) return null
    await row(tx, sql`
      insert into ${table.otp_recovery_code} (user_id, digest, created_at)
      select ${userId}, digest, clock_timestamp() from unnest(${digests}::text[]) digest`)
    return raised
  })
}
