import { sql } from 'kysely'
import { PENDING_FAILURES } from './lockout.js'
import type { Requester } from '../core/session.js'
import type { OtpMethod } from '../core/refusals.js'
import type { TotpParameters } from '../core/totp.js'
import { MOST_DEVICES } from './confirm.js'
import type { DeviceKind } from './commit.js'
import { now } from '../tables/values.js'
import { alive as living } from '../sessions/marks.js'
import { methodsOf } from '../sessions/methods.js'
import type { SessionKey } from '../sessions/statements.js'
import { row, type Db } from '../tables/db.js'
import { inTransaction, lockUser, type Tx } from '../tables/transaction.js'
import { statement, type Parameters } from '../tables/statement.js'
import { jsonAs, textOf, timeAs, withNow } from '../tables/values.js'

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

const selectStatus = statement('read_status', (db, p: Parameters<SessionKey>) => withNow(db)
  .with('codes', (db) => db.selectFrom('otp_recovery_code').select('weak')
    .where('user_id', '=', p.userId).where('used_at', 'is', null).where('pending_device_id', 'is', null))
  .selectFrom('now').select((eb) => {
    const devices = eb.selectFrom('otp_device as d').where('d.user_id', '=', p.userId)
    const confirmed = devices.where('d.confirmed_at', 'is not', null)
    const codes = eb.selectFrom('codes').select((eb) => eb.fn.countAll().as('codes'))
    return [
      eb.cast<number>(confirmed.select((eb) => eb.fn.countAll().as('devices')), 'integer').as('confirmedDevices'),
      methodsOf(p.userId, 'methods'),
      eb.exists(devices.where('d.session_id', '=', p.sessionId).where('d.confirmed_at', 'is', null)
        .whereRef('d.expires_at', '>', 'now.at').where('d.failures', '<', PENDING_FAILURES)).$castTo<boolean>().as('isPending'),
      eb.cast<number>(codes, 'integer').as('recoveryCodesLeft'),
      eb.exists(eb.selectFrom('codes').where('weak', '=', true)).$castTo<boolean>().as('recoveryCodesWeak'),
      eb.cast<number>(confirmed.innerJoin('otp_totp as f', (join) => join
        .onRef('f.user_id', '=', 'd.user_id').onRef('f.device_id', '=', 'd.id'))
        .select((eb) => eb.fn.countAll().as('devices')).where('f.weak', '=', true), 'integer').as('weakDevices'),
      timeAs(eb.fn<Date | null>('date_trunc', [textOf<string>('second'), eb.selectFrom('otp_session as s').select('s.otp_deadline')
        .where('s.user_id', '=', p.userId).where('s.id', '=', p.sessionId)
        .where('s.otp_device_id', 'is', null).where('s.otp_required', '=', false)]), 'otpDeadline')
    ]
  }))

export async function readStatus (db: Db, userId: string, sessionId: string): Promise<Status> {
  return (await selectStatus.first(db, { userId, sessionId }))!
}

/** Stored pending device of a session, for the flow that continues it. */
export interface StoredPending {
  id: string
  kind: DeviceKind
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

export interface NewDevice {
  name: string
  kind: DeviceKind
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
