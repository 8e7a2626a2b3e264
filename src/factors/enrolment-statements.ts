import { jsonBuildObject } from 'kysely/helpers/postgres'
import { PENDING_FAILURES } from './lockout.js'
import type { Requester } from '../core/session.js'
import type { OtpMethod } from '../core/refusals.js'
import type { TotpParameters } from '../core/totp/totp.js'
import { MOST_DEVICES } from './confirm.js'
import type { DeviceKind } from './commit.js'
import { methodsOf } from '../sessions/methods.js'
import { selectLiving, type SessionKey } from '../sessions/statements.js'
import type { Db } from '../tables/db.js'
import { insertFrom } from '../tables/insert-from.js'
import { inTransaction, lockUser, type Tx } from '../tables/transaction.js'
import { statement, type Parameters } from '../tables/statement.js'
import { jsonAs, later, textOf, timeAs, typed, unnested, withNow } from '../tables/values.js'

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

/** Leaves out a device that expired or used up its ten codes: it is replaced, with its secret. */
const readPending = statement('read_pending', (db, p: Parameters<SessionKey & { kind: DeviceKind }>) => withNow(db)
  .with('living', (db) => selectLiving(db, p))
  .selectFrom('now').select((eb) => {
    const confirmed = eb.selectFrom('otp_device as d').select((eb) => eb.fn.countAll().as('devices'))
      .where('d.user_id', '=', p.userId).where('d.confirmed_at', 'is not', null)
    return [
      eb.exists(eb.selectFrom('living')).$castTo<boolean>().as('alive'),
      eb.cast<number>(confirmed, 'integer').as('confirmed'),
      eb.cast<number>(confirmed.where('d.kind', '=', p.kind), 'integer').as('ofKind'),
      jsonAs(eb.selectFrom('otp_device as d')
        .leftJoin('otp_totp as f', (join) => join.onRef('f.user_id', '=', 'd.user_id').onRef('f.device_id', '=', 'd.id'))
        .select((eb) => jsonBuildObject({
          id: eb.ref('d.id'),
          kind: eb.ref('d.kind').$castTo<DeviceKind>(),
          sealedSecret: eb.ref('f.secret'),
          sealedSeed: eb.ref('d.seed'),
          codes: eb.selectFrom('otp_recovery_code as c').select((eb) => eb.cast<number>(eb.fn.countAll(), 'integer').as('codes'))
            .whereRef('c.user_id', '=', 'd.user_id').whereRef('c.pending_device_id', '=', 'd.id').$asScalar().$notNull()
        }).as('stored'))
        .where('d.user_id', '=', p.userId).where('d.session_id', '=', p.sessionId).where('d.confirmed_at', 'is', null)
        .whereRef('d.expires_at', '>', 'now.at').where((eb) => eb('d.failures', '<', eb.lit(PENDING_FAILURES))).$asScalar(), 'stored')
    ]
  }))

type PutValues = SessionKey & Pick<PreparedPending, 'id' | 'sealedSeed' | 'digests'> & Pick<NewDevice, 'kind' | 'name' | 'setupSeconds'>

const putPending = statement('put_pending', (db, p: Parameters<PutValues>) => withNow(db)
  .with('put', (db) => insertFrom(db, 'otp_device', (db) => db.selectFrom('now'), (eb) => ({
    user_id: textOf<string>(p.userId),
    id: typed<string>(p.id, 'uuid'),
    kind: textOf<string>(p.kind),
    name: textOf<string>(p.name),
    seed: textOf(p.sealedSeed),
    created_at: eb.ref('now.at'),
    session_id: textOf<string>(p.sessionId),
    expires_at: later(eb.ref('now.at'), p.setupSeconds)
  })).onConflict((oc) => oc.columns(['user_id', 'session_id']).where('confirmed_at', 'is', null).doUpdateSet((eb) => ({
    name: eb.ref('excluded.name'), seed: eb.ref('excluded.seed'), expires_at: eb.ref('excluded.expires_at')
  }))).returning('expires_at'))
  .with('others', (db) => db.deleteFrom('otp_recovery_code as c').where('c.user_id', '=', p.userId)
    .where('c.pending_device_id', '=', p.id)
    .where((eb) => eb('c.digest', '<>', eb.fn<string>('all', [typed(p.digests, 'text[]')]))))
  .with('codes', (db) => db.insertInto('otp_recovery_code').columns(['user_id', 'digest', 'pending_device_id', 'created_at'])
    .expression((eb) => eb.selectFrom([unnested('d', { digest: ['text', p.digests] }), 'now'])
      .select([textOf(p.userId).as('user_id'), 'd.digest', typed(p.id, 'uuid').as('id'), 'now.at']))
    .onConflict((oc) => oc.columns(['user_id', 'digest']).doNothing()))
  .selectFrom('put').select((eb) => timeAs(eb.ref('put.expires_at').$notNull(), 'expiresAt')))

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
    const { kind, name, setupSeconds } = device
    const { alive, confirmed, ofKind, stored } = (await readPending.first(tx, { userId, sessionId, kind }))!
    if (!alive) return { outcome: 'session_ended' }
    if (confirmed > 0 && otpDeviceId === null) return { outcome: 'otp_required' }
    if (ofKind >= MOST_DEVICES) return { outcome: 'too_many' }

    const prepared = device.prepare(stored, confirmed === 0)
    const { id, sealedSeed, digests } = prepared
    if (id !== stored?.id) await dropPending(tx, userId, sessionId)
    const pending = await putPending.first(tx, { userId, sessionId, id, sealedSeed, digests, kind, name, setupSeconds })
    await device.also(tx, prepared)
    return { outcome: 'pending', id, ...pending! }
  })
}

/** Stores a pending device without a session, for a user whom this transaction creates: it is confirmed before the commit. */
export async function putProvenDevice (
  tx: Tx, userId: string, { id, name, kind, digests }: Pick<PreparedPending, 'id' | 'digests'> & Pick<NewDevice, 'kind' | 'name'>
): Promise<void> {
  await putPending.first(tx, { userId, sessionId: '', id, name, kind, digests, sealedSeed: null, setupSeconds: 0 })
}

const insertTotp = statement('put_totp', (
  db, p: Parameters<{ userId: string, id: string, sealedSecret: string } & TotpParameters>
) => db.insertInto('otp_totp').values({
  user_id: p.userId,
  device_id: p.id,
  secret: p.sealedSecret,
  digits: p.digits,
  period_seconds: p.periodSeconds,
  t0_seconds: p.t0Seconds,
  last_step: -1
}).onConflict((oc) => oc.columns(['user_id', 'device_id']).doNothing()))

/** Stores what a pending authenticator app needs, unless it is there already. */
export async function putTotp (
  tx: Tx,
  userId: string,
  { id, sealedSecret, digits, periodSeconds, t0Seconds }: { id: string, sealedSecret: string } & TotpParameters
): Promise<void> {
  await insertTotp.changed(tx, { userId, id, sealedSecret, digits, periodSeconds, t0Seconds })
}

export type RolledBack = 'rolled_back' | 'nothing_pending' | 'confirmed'

/** Deletes this session's pending device and its codes. */
export async function dropPendingDevice (db: Db, userId: string, sessionId: string): Promise<RolledBack> {
  return await inTransaction(db, async (tx) => {
    await lockUser(tx, userId)
    return await dropPending(tx, userId, sessionId)
  })
}

const drop = statement('drop_pending', (db, p: Parameters<SessionKey>) => withNow(db)
  .with('dropped', (db) => db.deleteFrom('otp_device as d')
    .where('d.user_id', '=', p.userId).where('d.session_id', '=', p.sessionId).where('d.confirmed_at', 'is', null)
    .returning(['d.id', 'd.expires_at']))
  .with('dropped_codes', (db) => db.deleteFrom('otp_recovery_code as c').using('dropped')
    .where('c.user_id', '=', p.userId).whereRef('c.pending_device_id', '=', 'dropped.id'))
  .selectNoFrom((eb) => eb.case()
    .when(eb.exists(eb.selectFrom(['dropped', 'now']).whereRef('dropped.expires_at', '>', 'now.at')))
    .then(textOf<RolledBack>('rolled_back'))
    .when(eb.exists(eb.selectFrom('otp_device as d').where('d.user_id', '=', p.userId).where('d.confirmed_at', 'is not', null)))
    .then(textOf<RolledBack>('confirmed'))
    .else(textOf<RolledBack>('nothing_pending')).end().as('outcome')))

const dropPending = async (tx: Tx, userId: string, sessionId: string): Promise<RolledBack> =>
  (await drop.first(tx, { userId, sessionId }))!.outcome
