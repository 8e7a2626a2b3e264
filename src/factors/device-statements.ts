import type { Expression, ExpressionBuilder, Selectable, SelectQueryBuilder } from 'kysely'
import { amr } from '../core/assurance.js'
import type { Requester, Lifetimes } from '../core/session.js'
import { clearedCounts } from './lockout-statements.js'
import { deadlineFor } from '../sessions/policy.js'
import { byRequester, requesterValues, withEvent, type RequesterValues } from '../events/insert.js'
import { selectLiving, type SessionKey } from '../sessions/statements.js'
import {
  carriedValues, committed, replacementValues, selectAnswer, selectRequester, withCarriedOn, withEndedFor, withReplaced,
  withReplacement, xidOfChange,
  type CarriedValues, type CommittedSession, type Proof, type ReplacementValues
} from '../sessions/replacement.js'
import type { Db, Tables } from '../tables/db.js'
import { inTransaction, lockUser, type Tx } from '../tables/transaction.js'
import { statement, type Parameters } from '../tables/statement.js'
import { arrayAs, nothing, textOf, timeAs, typed, uuidOf, withNow } from '../tables/values.js'
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

type Row = Selectable<Tables['otp_device']>
/** A device `d`, or none. */
type Listed = Tables & { d: Pick<Row, 'user_id' | 'id' | 'name' | 'kind' | 'created_at'> }

/** Selects a device `d` with the columns of its kind. */
const selectListed = (from: SelectQueryBuilder<Listed, 'd', object>) => from
  .leftJoin('otp_totp as f', (join) => join.onRef('f.user_id', '=', 'd.user_id').onRef('f.device_id', '=', 'd.id'))
  .leftJoin('otp_passkey as k', (join) => join.onRef('k.user_id', '=', 'd.user_id').onRef('k.device_id', '=', 'd.id'))
  .select((eb) => [
    'd.id', 'd.name', eb.ref('d.kind').$castTo<DeviceKind>().as('kind'), timeAs(eb.ref('d.created_at'), 'createdAt'),
    timeAs(eb.fn.coalesce('f.last_used_at', 'k.last_used_at'), 'lastUsedAt'), 'f.weak', 'k.backed_up as backedUp',
    arrayAs(eb.ref('k.transports'), 'transports'), eb.cast<string | null>('k.aaguid', 'text').as('aaguid')
  ])

const selectDevices = statement('list_devices', (db, p: Parameters<{ userId: string }>) => selectListed(
  db.selectFrom('otp_device as d').where('d.user_id', '=', p.userId).where('d.confirmed_at', 'is not', null)
    .orderBy('d.created_at').orderBy('d.id') as unknown as SelectQueryBuilder<Listed, 'd', object>))

function asDevice ({ weak, backedUp, transports, aaguid, ...found }: FoundDevice): Device {
  const device = weak === true ? { ...found, weak } : found
  if (backedUp === null || transports === null || aaguid === null) return device
  return { ...device, backedUp, transports, aaguid }
}

/** Returns a user's confirmed devices, the oldest first. Pending devices are not listed. */
export const listDevices = async (db: Db, userId: string): Promise<Device[]> =>
  (await selectDevices.all(db, { userId })).map(asDevice)

export type Renamed = { outcome: 'renamed', device: Device } | { outcome: 'session_ended' | 'not_found' }

const rename = statement('rename_device', (db, p: Parameters<RequesterValues & { deviceId: string, name: string }>, facts) => {
  const renamed = withNow(db).with('requester', (db) => selectLiving(db, p))
    .with('renamed', (db) => db.updateTable('otp_device as d').from('requester').set({ name: p.name })
      .whereRef('d.user_id', '=', 'requester.user_id').where('d.id', '=', p.deviceId).where('d.confirmed_at', 'is not', null)
      .returning(['d.user_id', 'd.id', 'd.name', 'd.kind', 'd.created_at']))
  const written = withEvent(renamed, facts, (db) => db.selectFrom(['renamed', 'now']), (eb) => ({
    ...byRequester(p), kind: 'otp_device_renamed', deviceName: eb.ref('renamed.name')
  }))
  return selectListed(written.selectFrom('now').leftJoin('renamed as d', (join) => join.onTrue()) as never)
    .select((eb) => eb.exists((eb as unknown as ExpressionBuilder<{ requester: object }, never>).selectFrom('requester'))
      .$castTo<boolean>().as('alive'))
})

/** Renames a device. A name is no factor: the user's version stays, no session ends. */
export async function renameDevice (db: Db, requester: Requester, deviceId: string, name: string): Promise<Renamed> {
  const { alive, ...device } = (await rename.first(db, { ...requesterValues(requester), deviceId, name }))!
  if (!alive) return { outcome: 'session_ended' }
  return (device.id as string | null) === null ? { outcome: 'not_found' } : { outcome: 'renamed', device: asDevice(device) }
}

export type RemovedDevice =
  | { outcome: 'removed' | 'disabled', session: CommittedSession }
  | { outcome: 'session_ended' | 'not_found' }

const readRemoval = statement('read_removal', (db, p: Parameters<SessionKey & { deviceId: string }>) => withNow(db)
  .with('living', (db) => selectLiving(db, p))
  .selectFrom('otp_device as d')
  .select((eb) => [
    eb.exists(eb.selectFrom('living')).$castTo<boolean>().as('alive'),
    eb.cast<number>(eb.fn.countAll(), 'integer').as('confirmed'),
    eb.fn.coalesce(eb.fn<boolean>('bool_or', [eb('d.id', '=', p.deviceId)]), eb.lit(false)).as('isThere'),
    eb.exists(eb.selectFrom('otp_session as s').where('s.user_id', '=', p.userId).where('s.id', '=', p.sessionId)
      .where((eb) => eb(textOf(p.deviceId), '=', eb.fn.any('s.otp_factor_ids')))).$castTo<boolean>().as('isRelied')
  ])
  .where('d.user_id', '=', p.userId).where('d.confirmed_at', 'is not', null))

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
    const { userId, sessionId } = requester.context
    await lockUser(tx, userId)
    const state = await readRemoval.first(tx, { userId, sessionId, deviceId })
    if (!state!.alive) return { outcome: 'session_ended' }
    if (!state!.isThere) return { outcome: 'not_found' }
    const session = state!.confirmed === 1
      ? await removeAll(tx, requester, newSessionId, lifetimes)
      : await removeOne(tx, requester, { deviceId, ...state! }, newSessionId, lifetimes)
    // The user is locked: the state is still the same. The session has expired in between, or is not verified.
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
      .whereRef('d.user_id', '=', 'requester.user_id').where('d.id', '=', uuidOf(p.deviceId)).where('d.confirmed_at', 'is not', null)
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
 * @returns null if there was no confirmed device, or the session had ended or was not verified
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
    .where('s.otp_device_id', 'is not', null)
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
