import { sql } from 'kysely'
import { PENDING_FAILURES } from '../core/lockout.js'
import type { Asking, Lifetimes } from '../core/session.js'
import { verifiedProof, type Match } from './attempts.js'
import { remembered } from './known-networks.js'
import { endedIds, ending, event, now } from './sessions.js'
import { answered, committed, isInPlace, kept, replacing, started, type CommittedSession } from './succession.js'
import { row, type Db } from './tables.js'
import { inTransaction, lockUser, type Tx } from './transaction.js'
import { timeAs } from './values.js'

/** DESIGN §3. */
export const MOST_DEVICES = 10

export interface Status {
  confirmedDevices: number
  /** Whether this session has a device waiting for its first code. */
  isPending: boolean
  recoveryCodesLeft: number
  /** Whether some of those were brought over from django-otp and can be guessed: new ones are better. */
  recoveryCodesWeak: boolean
  /** From when on this session opens only what sets a device up; null if it has one, or none is asked for. */
  otpDeadline: Date | null
}

export async function readStatus (db: Db, userId: string, sessionId: string): Promise<Status> {
  const { table } = db
  const found = await row<Status>(db, sql`
    with ${now}
    select
      (select count(*) from ${table.otp_device} where user_id = ${userId} and confirmed_at is not null)::int as "confirmedDevices",
      exists (select from ${table.otp_device}, now where user_id = ${userId} and session_id = ${sessionId}
        and confirmed_at is null and expires_at > now.at and failures < ${PENDING_FAILURES}) as "isPending",
      (select count(*) from ${table.otp_recovery_code} where user_id = ${userId}
        and used_at is null and pending_device_id is null)::int as "recoveryCodesLeft",
      exists (select from ${table.otp_recovery_code} where user_id = ${userId}
        and used_at is null and pending_device_id is null and weak) as "recoveryCodesWeak",
      ${timeAs(sql`(select date_trunc('second', otp_deadline) from ${table.otp_session} where user_id = ${userId} and id = ${sessionId}
        and otp_device_id is null and not otp_required)`, 'otpDeadline')}`)
  return found!
}

export interface NewDevice {
  id: string
  name: string
  sealedSecret: string
  digits: number
  periodSeconds: number
  t0Seconds: number
  setupSeconds: number
  /** Makes the digests of the codes that go with it; called once it is known whether the user has a set in force already. */
  digests: (isFirst: boolean) => string[]
}

export type PendingDevice =
  | { outcome: 'pending', id: string, name: string, sealedSecret: string, expiresAt: Date, isFirst: boolean }
  | { outcome: 'session_ended' | 'otp_required' | 'too_many' }

/**
 * Makes the one pending device of this session, or finds the one it has, and gives it a fresh set of recovery codes.
 * A pending device changes nothing for anyone. Its secret is shown only to the session that made it.
 */
export async function putPendingDevice (db: Db, { standing: { userId, sessionId, otpDeviceId } }: Asking, device: NewDevice): Promise<PendingDevice> {
  return await inTransaction(db, async (tx) => {
    await lockUser(tx, userId)
    const { table } = tx
    const state = await row<{ alive: boolean, confirmed: number }>(tx, sql`
      select exists (select from ${table.otp_session} where user_id = ${userId} and id = ${sessionId}
          and ended_at is null and expires_at > clock_timestamp()) as alive,
        (select count(*) from ${table.otp_device} where user_id = ${userId} and confirmed_at is not null)::int as confirmed`)
    if (!state!.alive) return { outcome: 'session_ended' }
    if (state!.confirmed > 0 && otpDeviceId === null) return { outcome: 'otp_required' }
    if (state!.confirmed >= MOST_DEVICES) return { outcome: 'too_many' }
    const isFirst = state!.confirmed === 0

    // One that expired or used up its ten codes is replaced, secret and all; one that is good stays as it is.
    await row(tx, sql`
      with dropped as (
        delete from ${table.otp_device} where user_id = ${userId} and session_id = ${sessionId} and confirmed_at is null
          and (expires_at <= clock_timestamp() or failures >= ${PENDING_FAILURES})
        returning id
      )
      delete from ${table.otp_recovery_code} c where c.user_id = ${userId} and c.pending_device_id in (select id from dropped)`)
    const pending = await row<{ id: string, name: string, sealedSecret: string, expiresAt: Date }>(tx, sql`
      with ${now}
      insert into ${table.otp_device} as d
        (user_id, id, name, secret, digits, period_seconds, t0_seconds, last_step, created_at, session_id, expires_at)
      select ${userId}, ${device.id}, ${device.name}, ${device.sealedSecret}, ${device.digits}, ${device.periodSeconds}, ${device.t0Seconds},
        -1, now.at, ${sessionId}, now.at + make_interval(secs => ${device.setupSeconds}) from now
      on conflict (user_id, session_id) where confirmed_at is null do update set name = excluded.name
      returning id, name, secret as "sealedSecret", ${timeAs(sql`expires_at`, 'expiresAt')}`)
    await row(tx, sql`delete from ${table.otp_recovery_code} where user_id = ${userId} and pending_device_id = ${pending!.id}`)
    await insertCodes(tx, userId, device.digests(isFirst), pending!.id)
    return { outcome: 'pending', ...pending!, isFirst }
  })
}

/** @param pendingDeviceId the device whose confirmation will bring them to life; null if they live at once */
async function insertCodes (tx: Tx, userId: string, digests: string[], pendingDeviceId: string | null): Promise<void> {
  const { table } = tx
  if (digests.length === 0) return
  await row(tx, sql`
    insert into ${table.otp_recovery_code} (user_id, digest, pending_device_id, created_at)
    select ${userId}, digest, ${pendingDeviceId}::uuid, clock_timestamp() from unnest(${digests}::text[]) digest`)
}

export type RolledBack = 'rolled_back' | 'nothing_pending' | 'confirmed'

/** Takes back this session's pending device and its codes. */
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

/**
 * The first accepted code of a pending device: confirms it, brings its recovery codes to life, drops the user's other
 * pending devices and ends every session, the asking one for a new one. The step is burnt with it: the code cannot log in again.
 *
 * @returns null if another request was first, or the device, its session or the room for it is gone
 */
export async function commitConfirmed (db: Db, asking: Asking, match: Match, newSessionId: string, { sessionSeconds }: Lifetimes): Promise<CommittedSession | null> {
  const { userId, sessionId } = asking.standing
  return await inTransaction(db, async (tx) => {
    await lockUser(tx, userId)
    const { table } = tx
    const burnt = sql`burnt`
    return committed(await row(tx, sql`
      with ${now},
      asking as (
        select s.user_id, s.id, s.otp_device_id is not null as verified, ${isInPlace(asking, newSessionId)} as stays, s.auth_at,
          case when s.otp_device_id is not null then s.expires_at end as until,
          (select count(*) from ${table.otp_device} d where d.user_id = ${userId} and d.confirmed_at is not null) as confirmed
        from ${table.otp_session} s, now
        where s.user_id = ${userId} and s.id = ${sessionId} and s.ended_at is null and s.expires_at > now.at
        for no key update of s
      ),
      burnt as (
        update ${table.otp_device} d set confirmed_at = now.at, last_used_at = now.at, last_step = ${match.step},
          secret = coalesce(${match.resealed}, d.secret), session_id = null, expires_at = null, failures = 0
        from asking, now
        where d.user_id = asking.user_id and d.id = ${match.deviceId} and d.confirmed_at is null
          and d.session_id = asking.id and d.expires_at > now.at and asking.confirmed < ${MOST_DEVICES}
          and (asking.verified or asking.confirmed = 0)
        returning d.user_id, d.id, d.name
      ),
      raised as (
        update ${table.otp_user} u set version = u.version + 1, setup_required = false, setup_digest = null, setup_expires_at = null
        from burnt where u.user_id = burnt.user_id
      ),
      alive_codes as (
        update ${table.otp_recovery_code} c set pending_device_id = null
        from burnt where c.user_id = burnt.user_id and c.pending_device_id = burnt.id
      ),
      dropped as (
        delete from ${table.otp_device} d using burnt where d.user_id = burnt.user_id and d.confirmed_at is null and d.id <> burnt.id
      ),
      dropped_codes as (
        delete from ${table.otp_recovery_code} c using burnt
        where c.user_id = burnt.user_id and c.pending_device_id is not null and c.pending_device_id <> burnt.id
      ),
      ended as (
        update ${table.otp_session} s set ${replacing('otp_enabled', newSessionId)}
        from burnt, asking, now
        where s.user_id = burnt.user_id and s.ended_at is null and not (asking.stays and s.id = asking.id)
        returning s.id
      ),
      ${started(tx, burnt, asking, newSessionId, verifiedProof(sessionSeconds))},
      ${kept(tx, burnt, verifiedProof(sessionSeconds))},
      ${remembered(tx, burnt, asking.network, true)}
      ${event(tx, {
        userId: sql`burnt.user_id`,
        kind: sql`case when asking.confirmed = 0 then 'otp_enabled' else 'otp_device_added' end`,
        sessionId,
        origin: asking,
        deviceName: sql`burnt.name`
      }, sql`burnt, asking, now`)}
      ${answered()}`))
  })
}

/** New codes in place of all old ones; the user's other sessions end. Null if the session or the last device is gone. */
export async function replaceRecoveryCodes (db: Db, asking: Asking, digests: string[]): Promise<{ endedIds: string[] } | null> {
  const { userId, sessionId } = asking.standing
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
          and exists (select from ${table.otp_session} s where s.user_id = u.user_id and s.id = ${sessionId} and s.ended_at is null and s.expires_at > now.at)
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
      ${event(tx, { userId: sql`raised.user_id`, kind: 'recovery_regenerated', sessionId, origin: asking }, sql`raised, now`)}
      select ${endedIds} from raised`)
    if (raised === undefined) return null
    await insertCodes(tx, userId, digests, null)
    return raised
  })
}
