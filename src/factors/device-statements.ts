import { sql, type Expression } from 'kysely'
import { amr } from '../core/assurance.js'
import type { Requester, Lifetimes } from '../core/session.js'
import { clearedCounts } from './lockout-statements.js'
import { deadlineFor } from '../sessions/policy.js'
import { byRequester, event, withEvent } from '../events/insert.js'
import { livingSession } from '../sessions/statements.js'
import { now } from '../tables/values.js'
import {
  carriedValues, committed, replacementValues, selectAnswer, selectRequester, withCarriedOn, withEndedFor, withReplaced,
  withReplacement, xidOfChange,
  type CarriedValues, type CommittedSession, type Proof, type ReplacementValues
} from '../sessions/replacement.js'
import { row, rows, type Db } from '../tables/db.js'
import { inTransaction, lockUser, type Tx } from '../tables/transaction.js'
import { statement, type Parameters } from '../tables/statement.js'
import { jsonAs, nothing, textOf, timeAs, typed, withNow } from '../tables/values.js'
import type { DeviceKind } from './commit.js'

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
  kind: DeviceKind
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

type RemovalValues = ReplacementValues & { seconds: number }

/** Returns a removal of one of several devices. `isRelied`: the requester's session has a proof by it, which its token shows. */
const removing = (isRelied: boolean) => statement(isRelied ? 'remove_relied_device' : 'remove_device', (
  db, p: Parameters<RemovalValues & CarriedValues & { deviceId: string }>, facts
) => {
  const removed = withNow(db).with('requester', (db) => selectRequester(db, p)
    .select((eb) => [
      's.expires_at as until', typed(p.isInPlace, 'boolean').as('stays'),
      eb(textOf<string>(p.deviceId), '<>', eb.fn<string>('all', ['s.otp_factor_ids'])).$castTo<boolean>().as('proven')
    ])
    .where('s.otp_device_id', 'is not', null).forNoKeyUpdate('s'))
    .with('removed', (db) => db.deleteFrom('otp_device as d').using('requester')
      .whereRef('d.user_id', '=', 'requester.user_id').where('d.id', '=', p.deviceId).where('d.confirmed_at', 'is not', null)
      .returning(['d.user_id', 'd.id', 'd.name']))
    .with('raised', (db) => db.updateTable('otp_user as u').from('removed').set((eb) => ({ version: eb('u.version', '+', 1) }))
      .whereRef('u.user_id', '=', 'removed.user_id'))
  const ended = withEndedFor(removed, 'removed', p, 'otp_device_removed', 'all')
  // A token that shows a proof by the device gets a session that owes a code of a remaining one.
  const owing: Proof = { amr: amr.password, acr: null, otpRequired: true, by: 'password', seconds: p.seconds }
  const started = isRelied
    ? withReplaced(ended, 'removed', p, owing) as unknown as typeof ended
    : withCarriedOn(ended, 'removed', p) as unknown as typeof ended
  const kept = started.with('kept', (db) => db.updateTable('otp_session as s').from(['removed', 'requester', 'now'])
    .set((eb) => {
      const ifProven = <Value>(kept: Expression<Value>, otherwise: Expression<Value>) =>
        eb.case().when('requester.proven', '=', true).then(kept).else(otherwise).end() as unknown as Expression<Value>
      return {
        amr: ifProven(eb.ref('s.amr'), typed<string[]>([...owing.amr], 'text[]')),
        otp_device_id: ifProven(eb.ref('s.otp_device_id'), nothing<string>('text')),
        otp_at: ifProven(eb.ref('s.otp_at'), nothing<Date>('timestamptz')),
        otp_factor_ids: ifProven(eb.ref('s.otp_factor_ids'), typed<string[]>([], 'text[]')),
        phr_at: ifProven(eb.ref('s.phr_at'), nothing<Date>('timestamptz')),
        ended_xid: xidOfChange(facts)
      } as never
    })
    .whereRef('s.user_id', '=', 'removed.user_id').whereRef('s.id', '=', 'requester.id').where('requester.stays', '=', true)
    .returningAll('s'))
  const written = withEvent(kept, facts, (db) => db.selectFrom(['removed', 'now']), (eb) => ({
    ...byRequester(p), kind: 'otp_device_removed', deviceName: eb.ref('removed.name')
  }))
  return selectAnswer(written, p.userId, { change: { removed: p.deviceId } })
})
const [removeRelied, removeUnrelied] = [removing(true), removing(false)]

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
  const { otpDeviceId, phrTime = null } = requester.context
  const remove = otpDeviceId === deviceId || (isRelied && phrTime !== null) ? removeRelied : removeUnrelied
  return committed(await remove.first(tx, {
    ...replacementValues(requester, newSessionId), ...carriedValues(requester), deviceId, seconds: Math.min(pendingSeconds, sessionSeconds)
  }))
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

const removeEach = statement('remove_every_device', (db, p: Parameters<RemovalValues>, facts) => {
  const removed = withNow(db).with('requester', (db) => selectRequester(db, p)
    .select(['s.expires_at as until', typed(p.isInPlace, 'boolean').as('stays')])
    .where((eb) => eb.exists(eb.selectFrom('otp_device as d')
      .whereRef('d.user_id', '=', 's.user_id').where('d.confirmed_at', 'is not', null)))
    .forNoKeyUpdate('s'))
    .with('raised', (db) => db.updateTable('otp_user as u').from('requester')
      .set((eb) => ({ ...clearedCounts, version: eb('u.version', '+', 1) }))
      .whereRef('u.user_id', '=', 'requester.user_id').returning(['u.user_id', textOf<string>('').as('id')]))
    .with('devices', (db) => db.deleteFrom('otp_device as d').using('requester').whereRef('d.user_id', '=', 'requester.user_id'))
    .with('codes', (db) => db.deleteFrom('otp_recovery_code as c').using('requester').whereRef('c.user_id', '=', 'requester.user_id'))
  const replaced = withReplacement(withEndedFor(removed, 'raised', p, 'otp_disabled', 'all'), facts, 'raised', p, {
    amr: amr.password,
    acr: null,
    otpRequired: false,
    by: 'password',
    seconds: p.seconds,
    ...(facts.hasAccounts ? { deadline: deadlineFor(p.userId) } : {})
  })
  const written = withEvent(replaced, facts, (db) => db.selectFrom(['raised', 'now']), () => ({ ...byRequester(p), kind: 'otp_disabled' }))
  return selectAnswer(written, p.userId, { change: 'none' })
})

/** The same inside a transaction that has locked the user. */
export async function removeAll (
  tx: Tx,
  requester: Requester,
  newSessionId: string,
  { sessionSeconds }: Lifetimes
): Promise<CommittedSession | null> {
  return committed(await removeEach.first(tx, { ...replacementValues(requester, newSessionId), seconds: sessionSeconds }))
}
