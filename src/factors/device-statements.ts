import { sql } from 'kysely'
import { amr } from '../core/assurance.js'
import type { Requester, Lifetimes } from '../core/session.js'
import { countsCleared } from './lockout-statements.js'
import { deadlineFor } from '../sessions/policy.js'
import { event } from '../events/insert.js'
import { alive } from '../sessions/marks.js'
import { livingSession } from '../sessions/statements.js'
import { now } from '../tables/values.js'
import {
  answered, carriedOn, changedInPlace, committed, isInPlace, kept, replacing, started, type CommittedSession, type Proof
} from '../sessions/replacement.js'
import { row, rows, type Db } from '../tables/db.js'
import { inTransaction, lockUser, type Tx } from '../tables/transaction.js'
import { jsonAs, timeAs } from '../tables/values.js'
import type { FactorKind } from './enrolment-statements.js'

export interface Device {
  /** Id of the factor. */
  id: string
  /** Name that the user gave it. */
  name: string
  /** Time of its confirmation. */
  createdAt: Date
  /** Time when a code or an answer of the device was last accepted. */
  lastUsedAt: Date | null
  /** Kind of the factor. The list is open. */
  kind: FactorKind
  /** True for an app that was imported with a short secret. */
  weak?: boolean
  /** Passkeys only: true if a copy of it is kept elsewhere. */
  backedUp?: boolean
  /** Passkeys only: ways to reach it. */
  transports?: string[]
  /** Passkeys only: model that it states. */
  aaguid?: string
}

type FoundDevice = Pick<Device, 'id' | 'name' | 'createdAt' | 'lastUsedAt' | 'kind'> &
  { weak: boolean | null, backedUp: boolean | null, transports: string[] | null, aaguid: string | null }

/** Columns of a device `d` with those of its kind. */
const deviceColumns = sql`
  d.id, d.name, d.kind, ${timeAs(sql`d.created_at`, 'createdAt')}, ${timeAs(sql`coalesce(f.last_used_at, p.last_used_at)`, 'lastUsedAt')},
  f.weak, p.backed_up as "backedUp", ${jsonAs(sql`to_json(p.transports)`, 'transports')}, p.aaguid::text as aaguid`
const ofKinds = ({ table }: Db) => sql`
  left join ${table.otp_totp} f on f.user_id = d.user_id and f.device_id = d.id
  left join ${table.otp_passkey} p on p.user_id = d.user_id and p.device_id = d.id`

function asDevice ({ weak, backedUp, transports, aaguid, ...found }: FoundDevice): Device {
  const device = weak === true ? { ...found, weak } : found
  if (backedUp === null || transports === null || aaguid === null) return device
  return { ...device, backedUp, transports, aaguid }
}

/** Returns a user's confirmed devices, the oldest first. Pending devices are not listed. */
export async function listDevices (db: Db, userId: string): Promise<Device[]> {
  const { table } = db
  const found = await rows<FoundDevice>(db, sql`
    select ${deviceColumns} from ${table.otp_device} d ${ofKinds(db)}
    where d.user_id = ${userId} and d.confirmed_at is not null order by d.created_at, d.id`)
  return found.map(asDevice)
}

export type Renamed = { outcome: 'renamed', device: Device } | { outcome: 'session_ended' | 'not_found' }

/** Renames a device. A name is no factor: the user's version stays, no session ends. */
export async function renameDevice (db: Db, requester: Requester, deviceId: string, name: string): Promise<Renamed> {
  const { table } = db
  const { userId, sessionId } = requester.context
  const found = await row<{ alive: boolean } & (FoundDevice | { id: null })>(db, sql`
    with ${now},
    requester as (${livingSession(db, requester)}),
    renamed as (
      update ${table.otp_device} d set name = ${name} from requester
      where d.user_id = requester.user_id and d.id = ${deviceId}::uuid and d.confirmed_at is not null
      returning d.user_id, d.id, d.name, d.kind, d.created_at
    ),
    ${event(db, {
      userId: sql`${userId}`, kind: 'otp_device_renamed', sessionId, origin: requester, deviceName: sql`renamed.name`
    }, sql`renamed, now`)}
    select exists (select from requester) as alive, ${deviceColumns} from now left join renamed d on true ${ofKinds(db)}`)
  const { alive, ...device } = found!
  if (!alive) return { outcome: 'session_ended' }
  return device.id === null ? { outcome: 'not_found' } : { outcome: 'renamed', device: asDevice(device) }
}

export type RemovedDevice =
  | { outcome: 'removed' | 'disabled', session: CommittedSession }
  | { outcome: 'session_ended' | 'not_found' }

/**
 * Removes one device; the last device is removed together with the recovery codes. Every session ends. The requester's is
 * replaced by a new one with the proofs of its token. If its token names the removed device, the new session needs a code
 * of a remaining device: no session keeps a proof by a removed device.
 */
export async function removeDevice (
  db: Db,
  requester: Requester,
  deviceId: string,
  newSessionId: string,
  lifetimes: Lifetimes
): Promise<RemovedDevice> {
  return await inTransaction(db, async (tx) => {
    const { table } = tx
    const { userId } = requester.context
    await lockUser(tx, userId)
    const state = await row<{ alive: boolean, isThere: boolean, isRelied: boolean, confirmed: number }>(tx, sql`
      with ${now}
      select exists (${livingSession(tx, requester)}) as alive, count(*)::int as confirmed,
        coalesce(bool_or(d.id = ${deviceId}::uuid), false) as "isThere",
        exists (select from ${table.otp_session} s
          where s.user_id = ${userId} and s.id = ${requester.context.sessionId} and ${deviceId}::text = any(s.otp_factor_ids)) as "isRelied"
      from ${table.otp_device} d where d.user_id = ${userId} and d.confirmed_at is not null`)
    if (!state!.alive) return { outcome: 'session_ended' }
    if (!state!.isThere) return { outcome: 'not_found' }
    const session = state!.confirmed === 1
      ? await removeAll(tx, requester, newSessionId, lifetimes)
      : await removeOne(tx, requester, { deviceId, ...state! }, newSessionId, lifetimes)
    // The user is locked: the state is still the same, unless the session has expired in between.
    return session === null ? { outcome: 'session_ended' } : { outcome: state!.confirmed === 1 ? 'disabled' : 'removed', session }
  })
}

/**
 * Removes one of several devices.
 *
 * @param isRelied true if the requester's session has a proof by the device, also if a later one by another device followed
 */
async function removeOne (
  tx: Tx,
  requester: Requester,
  { deviceId, isRelied }: { deviceId: string, isRelied: boolean },
  newSessionId: string,
  { sessionSeconds, pendingSeconds }: Lifetimes
): Promise<CommittedSession | null> {
  const { userId, sessionId, otpDeviceId, phrTime = null } = requester.context
  const { table } = tx
  const seconds = Math.min(pendingSeconds, sessionSeconds)
  const owing: Proof = { amr: amr.password, otpRequired: true, deviceId: null, factorIds: null, seconds }
  const next = otpDeviceId === deviceId || (isRelied && phrTime !== null)
    ? started(tx, sql`removed`, requester, newSessionId, owing)
    : carriedOn(tx, sql`removed`, requester, newSessionId)
  return committed(await row(tx, sql`
    with ${now},
    requester as (
      select s.*, s.expires_at as until, ${deviceId}::text <> all (s.otp_factor_ids) as proven,
        ${isInPlace(requester, newSessionId)} as stays
      from ${table.otp_session} s, now
      where s.user_id = ${userId} and s.id = ${sessionId} and ${alive(tx)}
        and s.otp_device_id is not null
      for no key update of s
    ),
    removed as (
      delete from ${table.otp_device} d using requester
      where d.user_id = requester.user_id and d.id = ${deviceId}::uuid and d.confirmed_at is not null
      returning d.user_id, d.name
    ),
    raised as (
      update ${table.otp_user} u set version = u.version + 1 from removed where u.user_id = removed.user_id
    ),
    ended as (
      update ${table.otp_session} s set ${replacing('otp_device_removed', newSessionId)}
      from removed, requester, now
      where s.user_id = removed.user_id and s.ended_at is null and not (requester.stays and s.id = requester.id)
      returning s.id
    ),
    ${next},
    kept as (
      update ${table.otp_session} s set
        amr = case when requester.proven then s.amr else ${[...owing.amr]}::text[] end,
        otp_device_id = case when requester.proven then s.otp_device_id end, otp_at = case when requester.proven then s.otp_at end,
        otp_factor_ids = case when requester.proven then s.otp_factor_ids else '{}' end,
        phr_at = case when requester.proven then s.phr_at end,
        ${changedInPlace(tx)}
      from removed, requester, now where s.user_id = removed.user_id and s.id = requester.id and requester.stays
      returning s.*
    ),
    ${event(tx, {
      userId: sql`removed.user_id`, kind: 'otp_device_removed', sessionId, origin: requester, deviceName: sql`removed.name`
    }, sql`removed, now`)}
    ${answered(tx, userId, { change: { removed: deviceId } })}`))
}

/**
 * Removes every device and code: the second factor is off. Every session ends; the requester's is replaced by a new one
 * with the proof of the password only.
 *
 * @returns null if there was no confirmed device, or the session had ended
 */
export async function removeEverything (
  db: Db,
  requester: Requester,
  newSessionId: string,
  lifetimes: Lifetimes
): Promise<CommittedSession | null> {
  return await inTransaction(db, async (tx) => {
    await lockUser(tx, requester.context.userId)
    return await removeAll(tx, requester, newSessionId, lifetimes)
  })
}

/** The same inside a transaction that has locked the user. */
export async function removeAll (
  tx: Tx,
  requester: Requester,
  newSessionId: string,
  { sessionSeconds }: Lifetimes
): Promise<CommittedSession | null> {
  const { userId, sessionId } = requester.context
  const { table } = tx
  const raised = sql`raised`
  const proof: Proof = {
    amr: amr.password,
    otpRequired: false,
    deviceId: null,
    factorIds: null,
    seconds: sessionSeconds,
    deadline: deadlineFor(tx, sql`requester.user_id`)
  }
  return committed(await row(tx, sql`
    with ${now},
    requester as (
      select s.user_id, s.id, s.auth_at, s.expires_at as until, ${isInPlace(requester, newSessionId)} as stays
      from ${table.otp_session} s, now
      where s.user_id = ${userId} and s.id = ${sessionId} and ${alive(tx)}
        and exists (select from ${table.otp_device} d where d.user_id = s.user_id and d.confirmed_at is not null)
      for no key update of s
    ),
    raised as (
      update ${table.otp_user} u set version = u.version + 1, ${countsCleared}
      from requester where u.user_id = requester.user_id
      returning u.user_id
    ),
    devices as (delete from ${table.otp_device} d using requester where d.user_id = requester.user_id),
    codes as (delete from ${table.otp_recovery_code} c using requester where c.user_id = requester.user_id),
    ended as (
      update ${table.otp_session} s set ${replacing('otp_disabled', newSessionId)}
      from requester, now where s.user_id = requester.user_id and s.ended_at is null and not (requester.stays and s.id = requester.id)
      returning s.id
    ),
    ${started(tx, raised, requester, newSessionId, proof)},
    ${kept(tx, raised, proof)},
    ${event(tx, { userId: sql`requester.user_id`, kind: 'otp_disabled', sessionId, origin: requester }, sql`requester, now`)}
    ${answered(tx, userId, { change: 'none' })}`))
}
