import { sql, type RawBuilder } from 'kysely'
import { PENDING_FAILURES } from './lockout.js'
import type { Requester, Lifetimes } from '../core/session.js'
import type { OtpMethod } from '../core/refusals.js'
import type { TotpParameters } from '../core/totp.js'
import { verifiedProof, type Match } from './attempt-statements.js'
import { remembered } from '../budgets/known-networks.js'
import { event } from '../events/insert.js'
import { now } from '../tables/values.js'
import { alive as living } from '../sessions/marks.js'
import { methodsOf } from '../sessions/methods.js'
import { answered, committed, isInPlace, kept, replacing, started, type CommittedSession, type Proof } from '../sessions/replacement.js'
import { row, type Db } from '../tables/db.js'
import { inTransaction, lockUser, type Tx } from '../tables/transaction.js'
import { jsonAs, timeAs } from '../tables/values.js'

/** Most confirmed devices of one user. */
export const MOST_DEVICES = 10

export interface Status {
  confirmedDevices: number
  /** Methods with which the user can verify. */
  methods: OtpMethod[]
  /** True if this session has a pending device. */
  isPending: boolean
  recoveryCodesLeft: number
  /** True if some of them were imported and can be guessed: new codes are better. */
  recoveryCodesWeak: boolean
  /** Number of confirmed authenticator apps that were imported with a short secret: a new one is better. */
  weakDevices: number
  /** Time from which this session opens only the set-up of a device; null if it has one, or none is required. */
  otpDeadline: Date | null
}

export async function readStatus (db: Db, userId: string, sessionId: string): Promise<Status> {
  const { table } = db
  const found = await row<Status>(db, sql`
    with ${now}
    select
      (select count(*) from ${table.otp_device} where user_id = ${userId} and confirmed_at is not null)::int as "confirmedDevices",
      ${methodsOf(db, userId, 'methods')},
      exists (select from ${table.otp_device}, now where user_id = ${userId} and session_id = ${sessionId}
        and confirmed_at is null and expires_at > now.at and failures < ${PENDING_FAILURES}) as "isPending",
      (select count(*) from ${table.otp_recovery_code} where user_id = ${userId}
        and used_at is null and pending_device_id is null)::int as "recoveryCodesLeft",
      exists (select from ${table.otp_recovery_code} where user_id = ${userId}
        and used_at is null and pending_device_id is null and weak) as "recoveryCodesWeak",
      (select count(*) from ${table.otp_totp} f join ${table.otp_device} d on d.user_id = f.user_id and d.id = f.device_id
        where f.user_id = ${userId} and f.weak and d.confirmed_at is not null)::int as "weakDevices",
      ${timeAs(sql`(select date_trunc('second', otp_deadline) from ${table.otp_session} where user_id = ${userId} and id = ${sessionId}
        and otp_device_id is null and not otp_required)`, 'otpDeadline')}`)
  return found!
}

/** Stored pending device of a session, for the flow that continues it. */
export interface StoredPending {
  id: string
  kind: FactorKind
  /** Null for a passkey. */
  sealedSecret: string | null
  /** Null if an older version of the service made it, or it has no recovery codes. */
  sealedSeed: string | null
  /** Number of its recovery codes. */
  codes: number
}

/** Decision of the flow: to continue the stored device, by its id, or to replace it by another one. */
export interface PreparedPending extends Omit<StoredPending, 'codes' | 'kind'> {
  /** Digests of all its recovery codes. */
  digests: string[]
}

export type FactorKind = 'totp' | 'passkey'

export interface NewDevice {
  name: string
  kind: FactorKind
  setupSeconds: number
  /**
   * Called while the user is locked; called again if the transaction is repeated.
   *
   * @param isFirst false if the user has a set of recovery codes in force
   */
  prepare: (stored: StoredPending | null, isFirst: boolean) => PreparedPending
  /** Stores what only this kind needs, in the same transaction. */
  also: (tx: Tx, prepared: PreparedPending) => Promise<void>
}

export type PendingDevice =
  | { outcome: 'pending', id: string, expiresAt: Date }
  | { outcome: 'session_ended' | 'otp_required' | 'too_many' }

/**
 * Makes the one pending device of this session, or continues the one it has with a new expiry. A pending device changes
 * nothing for other sessions. Its secret is shown only to the session that made it.
 */
export async function putPendingDevice (
  db: Db,
  { context: { userId, sessionId, otpDeviceId } }: Requester,
  device: NewDevice
): Promise<PendingDevice> {
  return await inTransaction(db, async (tx) => {
    await lockUser(tx, userId)
    const { table } = tx
    // Leaves out a device that expired or used up its ten codes: it is replaced, with its secret.
    const state = await row<{ alive: boolean, confirmed: number, ofKind: number, stored: StoredPending | null }>(tx, sql`
      with ${now}
      select exists (select from ${table.otp_session} s where s.user_id = ${userId} and s.id = ${sessionId} and ${living(tx)}) as alive,
        (select count(*) from ${table.otp_device} where user_id = ${userId} and confirmed_at is not null)::int as confirmed,
        (select count(*) from ${table.otp_device}
          where user_id = ${userId} and confirmed_at is not null and kind = ${device.kind})::int as "ofKind",
        ${jsonAs(sql`select json_build_object('id', d.id, 'kind', d.kind, 'sealedSecret', f.secret, 'sealedSeed', d.seed, 'codes',
            (select count(*) from ${table.otp_recovery_code} c where c.user_id = d.user_id and c.pending_device_id = d.id))
          from ${table.otp_device} d left join ${table.otp_totp} f on f.user_id = d.user_id and f.device_id = d.id
          where d.user_id = ${userId} and d.session_id = ${sessionId} and d.confirmed_at is null
            and d.expires_at > now.at and d.failures < ${PENDING_FAILURES}`, 'stored')}
      from now`)
    const { alive, confirmed, ofKind, stored } = state!
    if (!alive) return { outcome: 'session_ended' }
    if (confirmed > 0 && otpDeviceId === null) return { outcome: 'otp_required' }
    if (ofKind >= MOST_DEVICES) return { outcome: 'too_many' }

    const prepared = device.prepare(stored, confirmed === 0)
    const { id, sealedSeed, digests } = prepared
    if (id !== stored?.id) await dropPending(tx, userId, sessionId)
    const pending = await row<{ expiresAt: Date }>(tx, sql`
      with ${now},
      put as (
        insert into ${table.otp_device} as d (user_id, id, kind, name, seed, created_at, session_id, expires_at)
        select ${userId}, ${id}, ${device.kind}, ${device.name}, ${sealedSeed}, now.at,
          ${sessionId}, now.at + make_interval(secs => ${device.setupSeconds}) from now
        on conflict (user_id, session_id) where confirmed_at is null
          do update set name = excluded.name, seed = excluded.seed, expires_at = excluded.expires_at
        returning d.user_id, d.id, d.expires_at
      ),
      others as (
        delete from ${table.otp_recovery_code} c
        where c.user_id = ${userId} and c.pending_device_id = ${id}::uuid and c.digest <> all (${digests}::text[])
      ),
      codes as (
        insert into ${table.otp_recovery_code} (user_id, digest, pending_device_id, created_at)
        select ${userId}, digest, ${id}::uuid, now.at from unnest(${digests}::text[]) digest, now
        on conflict (user_id, digest) do nothing
      )
      select ${timeAs(sql`expires_at`, 'expiresAt')} from put`)
    await device.also(tx, prepared)
    return { outcome: 'pending', id, ...pending! }
  })
}

/** Stores what a pending authenticator app needs, unless it is there already. */
export async function putTotp (
  tx: Tx,
  { context: { userId } }: Requester,
  { id, sealedSecret, digits, periodSeconds, t0Seconds }: { id: string, sealedSecret: string } & TotpParameters
): Promise<void> {
  await row(tx, sql`
    insert into ${tx.table.otp_totp} (user_id, device_id, secret, digits, period_seconds, t0_seconds, last_step)
    values (${userId}, ${id}, ${sealedSecret}, ${digits}, ${periodSeconds}, ${t0Seconds}, -1)
    on conflict (user_id, device_id) do nothing`)
}

export type RolledBack = 'rolled_back' | 'nothing_pending' | 'confirmed'

/** Deletes this session's pending device and its codes. */
export async function dropPendingDevice (db: Db, userId: string, sessionId: string): Promise<RolledBack> {
  return await inTransaction(db, async (tx) => {
    await lockUser(tx, userId)
    return await dropPending(tx, userId, sessionId)
  })
}

async function dropPending (tx: Tx, userId: string, sessionId: string): Promise<RolledBack> {
  const { table } = tx
  const found = await row<{ outcome: RolledBack }>(tx, sql`
    with ${now},
    dropped as (
      delete from ${table.otp_device} d where d.user_id = ${userId} and d.session_id = ${sessionId} and d.confirmed_at is null
      returning d.id, d.expires_at
    ),
    dropped_codes as (
      delete from ${table.otp_recovery_code} c using dropped where c.user_id = ${userId} and c.pending_device_id = dropped.id
    )
    select case
      when exists (select from dropped, now where expires_at > now.at) then 'rolled_back'
      when exists (select from ${table.otp_device} d where d.user_id = ${userId} and d.confirmed_at is not null) then 'confirmed'
      else 'nothing_pending' end as outcome`)
  return found!.outcome
}

export interface FirstProof {
  deviceId: string
  /** Stores the proof, so that it cannot be used again: a statement beside `now` and `consumed`. */
  used: (tx: Tx) => RawBuilder<unknown>
  proof: Proof
}

/** First code of an authenticator app. It consumes the step: the code cannot log in again. */
export function firstCode ({ deviceId, step, resealed }: Match, { sessionSeconds }: Lifetimes): FirstProof {
  return {
    deviceId,
    used: ({ table }) => sql`
      update ${table.otp_totp} f set last_used_at = now.at, last_step = ${step}, secret = coalesce(${resealed}, f.secret)
      from consumed, now where f.user_id = consumed.user_id and f.device_id = consumed.id`,
    proof: verifiedProof(sessionSeconds)
  }
}

/**
 * Commits the first proof of a pending device: confirms the device, makes its recovery codes valid, deletes the
 * user's other pending devices and ends every session; a new one replaces the requester's.
 *
 * @returns null if another request was first, or the device or its session no longer lives, or the user has `MOST_DEVICES`
 */
export async function commitConfirmed (
  db: Db,
  requester: Requester,
  { deviceId, used, proof }: FirstProof,
  newSessionId: string
): Promise<CommittedSession | null> {
  const { userId, sessionId } = requester.context
  return await inTransaction(db, async (tx) => {
    await lockUser(tx, userId)
    const { table } = tx
    const consumed = sql`consumed`
    return committed(await row(tx, sql`
      with ${now},
      requester as (
        select s.user_id, s.id, s.otp_device_id is not null as verified, ${isInPlace(requester, newSessionId)} as stays, s.auth_at,
          case when s.otp_device_id is not null then s.expires_at end as until,
          (select count(*) from ${table.otp_device} d where d.user_id = ${userId} and d.confirmed_at is not null) as confirmed,
          (select count(*) from ${table.otp_device} d join ${table.otp_device} o on o.user_id = d.user_id and o.kind = d.kind
            where d.user_id = ${userId} and d.confirmed_at is not null and o.id = ${deviceId}) as of_kind
        from ${table.otp_session} s, now
        where s.user_id = ${userId} and s.id = ${sessionId} and ${living(tx)}
        for no key update of s
      ),
      consumed as (
        update ${table.otp_device} d set confirmed_at = now.at, seed = null, session_id = null, expires_at = null, failures = 0
        from requester, now
        where d.user_id = requester.user_id and d.id = ${deviceId} and d.confirmed_at is null
          and d.session_id = requester.id and d.expires_at > now.at and requester.of_kind < ${MOST_DEVICES}
          and (requester.verified or requester.confirmed = 0)
        returning d.user_id, d.id, d.name
      ),
      used as (${used(tx)}),
      raised as (
        update ${table.otp_user} u set version = u.version + 1, setup_required = false, setup_digest = null, setup_expires_at = null
        from consumed where u.user_id = consumed.user_id
      ),
      alive_codes as (
        update ${table.otp_recovery_code} c set pending_device_id = null
        from consumed where c.user_id = consumed.user_id and c.pending_device_id = consumed.id
      ),
      dropped as (
        delete from ${table.otp_device} d using consumed
        where d.user_id = consumed.user_id and d.confirmed_at is null and d.id <> consumed.id
      ),
      dropped_codes as (
        delete from ${table.otp_recovery_code} c using consumed
        where c.user_id = consumed.user_id and c.pending_device_id is not null and c.pending_device_id <> consumed.id
      ),
      ended as (
        update ${table.otp_session} s set ${replacing('otp_enabled', newSessionId)}
        from consumed, requester, now
        where s.user_id = consumed.user_id and s.ended_at is null and not (requester.stays and s.id = requester.id)
        returning s.id
      ),
      ${started(tx, consumed, requester, newSessionId, proof)},
      ${kept(tx, consumed, proof)},
      ${remembered(tx, consumed, requester.network, true)}
      ${event(tx, {
        userId: sql`consumed.user_id`,
        kind: sql`case when requester.confirmed = 0 then 'otp_enabled' else 'otp_device_added' end`,
        sessionId,
        origin: requester,
        deviceName: sql`consumed.name`
      }, sql`consumed, requester, now`)}
      ${answered(tx, userId, { change: { confirmed: deviceId } })}`))
  })
}
