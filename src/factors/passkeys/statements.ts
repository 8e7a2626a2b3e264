import { expressionBuilder, type Expression } from 'kysely'
import { jsonBuildObject } from 'kysely/helpers/postgres'
import type { Requester } from '../../core/session.js'
import { byRequester, requesterValues, withEvent, type RequesterValues } from '../../events/insert.js'
import { selectLiving, type SessionKey } from '../../sessions/statements.js'
import type { Db, Tables } from '../../tables/db.js'
import { insertFrom } from '../../tables/insert-from.js'
import { statement, type Parameters } from '../../tables/statement.js'
import { earlier, emptyJson, jsonAs, later, textOf, timeAs, typed, withNow, type Now } from '../../tables/values.js'
import type { KnownPasskey } from './options.js'
import type { JudgedPasskey } from './webauthn.js'

/** Purpose of a challenge: an answer for one purpose is wrong for the other. */
export type Purpose = 'register' | 'verify'

/** Challenges of one session in a minute. */
const MOST_CHALLENGES = 20
const MINUTE_SECONDS = 60

const session = expressionBuilder<{ s: Tables['otp_session'], now: Now }, 's' | 'now'>()
/** Condition on a session `s`, beside `now`: its count of challenges begins again. */
const isMinuteOver = session.or([
  session('s.challenges_since', 'is', null), session('s.challenges_since', '<=', earlier(session.ref('now.at'), MINUTE_SECONDS))
])

const passkeys = expressionBuilder<{
  u: Tables['otp_user'], k: Tables['otp_passkey'], consumed: Pick<Tables['otp_challenge'], 'challenge'>
}, 'u' | 'k' | 'consumed'>()

/** The driver of a host may read a bytea in another form. */
const toHex = (column: 'u.passkey_handle' | 'k.credential_id' | 'k.public_key' | 'consumed.challenge') =>
  passkeys.fn<string>('encode', [passkeys.ref(column), textOf('hex')])

const fromHex = (text: string): Buffer<ArrayBuffer> => Buffer.from(text, 'hex')

export interface OwnPasskeys { userHandle: Buffer | null, known: KnownPasskey[] }

const selectOwn = statement('read_own_passkeys', (db, p: Parameters<{ userId: string, rpId: string }>) => db.selectNoFrom((eb) => [
  eb.selectFrom('otp_user as u').select(toHex('u.passkey_handle').as('handle')).where('u.user_id', '=', p.userId).as('handle'),
  jsonAs(eb.fn.coalesce(eb.selectFrom('otp_passkey as k')
    .innerJoin('otp_device as d', (join) => join.onRef('d.user_id', '=', 'k.user_id').onRef('d.id', '=', 'k.device_id'))
    .select((eb) => eb.fn.agg<Array<{ id: string, transports: string[] }>>('json_agg', [
      jsonBuildObject({ id: toHex('k.credential_id'), transports: eb.ref('k.transports') })
    ]).orderBy('d.created_at').as('passkeys'))
    .where('k.user_id', '=', p.userId).where('k.rp_id', '=', p.rpId).where('d.confirmed_at', 'is not', null),
  emptyJson<{ id: string, transports: string[] }>()), 'passkeys')
]))

/** Returns the user's confirmed passkeys of a relying party, and the user handle. */
export async function readOwnPasskeys (db: Db, userId: string, rpId: string): Promise<OwnPasskeys> {
  const { handle, passkeys } = (await selectOwn.first(db, { userId, rpId }))!
  const known = passkeys.map(({ id, transports }) => ({ credentialId: fromHex(id), transports }))
  return { userHandle: handle === null ? null : fromHex(handle), known }
}

const putHandle = statement('put_user_handle', (db, p: Parameters<{ userId: string, handle: Buffer }>) => db.updateTable('otp_user as u')
  .set((eb) => ({ passkey_handle: eb.fn.coalesce('u.passkey_handle', typed<Buffer>(p.handle, 'bytea')) }))
  .where('u.user_id', '=', p.userId).returning(toHex('u.passkey_handle').as('handle')))

/** Gives the user a handle, if there is none yet. Returns the one in force. */
export const putUserHandle = async (db: Db, userId: string, handle: Buffer): Promise<Buffer> =>
  fromHex((await putHandle.first(db, { userId, handle }))!.handle)

export interface NewChallenge {
  purpose: Purpose
  challenge: Buffer
  /** Pending passkey that a registration is for. */
  deviceId: string | null
  seconds: number
}

type IssueValues = SessionKey & NewChallenge

const issue = statement('issue_challenge', (db, p: Parameters<IssueValues>) => withNow(db)
  .with('requester', (db) => selectLiving(db, p))
  .with('counted', (db) => db.updateTable('otp_session as s').from(['requester', 'now'])
    .set((eb) => ({
      challenges: eb.case().when(isMinuteOver).then(eb.lit(1)).else(eb('s.challenges', '+', eb.lit(1))).end(),
      challenges_since: eb.case().when(isMinuteOver).then(eb.ref('now.at')).else(eb.ref('s.challenges_since')).end()
    }))
    .whereRef('s.user_id', '=', 'requester.user_id').whereRef('s.id', '=', 'requester.id').where('s.ended_at', 'is', null)
    .where((eb) => eb.or([isMinuteOver, eb('s.challenges', '<', eb.lit(MOST_CHALLENGES))]))
    .returning(['s.user_id', 's.id']))
  .with('put', (db) => insertFrom(db, 'otp_challenge', (db) => db.selectFrom(['counted', 'now']), (eb) => ({
    user_id: eb.ref('counted.user_id'),
    session_id: eb.ref('counted.id'),
    purpose: textOf<string>(p.purpose),
    challenge: typed<Buffer>(p.challenge, 'bytea'),
    device_id: typed(p.deviceId, 'uuid'),
    expires_at: later(eb.ref('now.at'), p.seconds),
    created_at: eb.ref('now.at')
  })).onConflict((oc) => oc.columns(['user_id', 'session_id', 'purpose']).doUpdateSet((eb) => ({
    challenge: eb.ref('excluded.challenge'),
    device_id: eb.ref('excluded.device_id'),
    expires_at: eb.ref('excluded.expires_at'),
    created_at: eb.ref('excluded.created_at')
  }))).returning('expires_at'))
  .selectFrom('now').leftJoin('put', (join) => join.onTrue())
  .select((eb) => [
    eb.exists(eb.selectFrom('requester')).$castTo<boolean>().as('alive'), timeAs(eb.ref('put.expires_at'), 'expiresAt')
  ]))

/**
 * Stores the one outstanding challenge of this session and purpose. The session counts its challenges of both purposes.
 *
 * @returns `expiresAt` null if there were too many, or the session ended
 */
export const issueChallenge = async (
  db: Db, { context: { userId, sessionId } }: Requester, challenge: NewChallenge
): Promise<{ alive: boolean, expiresAt: Date | null }> => (await issue.first(db, { userId, sessionId, ...challenge }))!

/** Result of a consumed challenge, with the data to judge the answer, all of one moment. */
export interface ConsumedChallenge {
  alive: boolean
  version: number
  /** Null if there was none, or it was consumed or has expired. */
  challenge: Buffer | null
  /** Pending passkey that a registration is for. */
  pendingId: string | null
  /** True if the user has a factor for the purpose: a pending passkey of this session, or a confirmed one. */
  isSetUp: boolean
  userHandle: Buffer | null
  passkey: JudgedPasskey & { deviceId: string } | null
}

type ConsumeValues = SessionKey & { purpose: Purpose, isVerification: boolean, credentialId: Buffer | null, rpId: string }

const consume = statement('consume_challenge', (db, p: Parameters<ConsumeValues>) => withNow(db)
  .with('requester', (db) => selectLiving(db, p))
  .with('consumed', (db) => db.updateTable('otp_challenge as c').from(['requester', 'now'])
    .set((eb) => ({ expires_at: eb.ref('c.created_at') }))
    .whereRef('c.user_id', '=', 'requester.user_id').whereRef('c.session_id', '=', 'requester.id').where('c.purpose', '=', p.purpose)
    .whereRef('c.expires_at', '>', 'now.at').returning(['c.challenge', 'c.device_id']))
  .selectFrom('now').leftJoin('otp_user as u', (join) => join.on('u.user_id', '=', p.userId))
  .leftJoin('consumed', (join) => join.onTrue())
  .select((eb) => [
    eb.exists(eb.selectFrom('requester')).$castTo<boolean>().as('alive'), eb.fn.coalesce('u.version', eb.lit(0)).as('version'),
    eb.exists(eb.selectFrom('otp_device as d').where('d.user_id', '=', p.userId).where('d.kind', '=', 'passkey')
      .where((eb) => eb.case().when(typed(p.isVerification, 'boolean')).then(eb('d.confirmed_at', 'is not', null))
        .else(eb.and([
          eb('d.confirmed_at', 'is', null), eb('d.session_id', '=', p.sessionId), eb('d.expires_at', '>', eb.ref('now.at'))
        ])).end())).$castTo<boolean>().as('isSetUp'),
    toHex('consumed.challenge').$castTo<string | null>().as('challenge'), 'consumed.device_id as pendingId',
    toHex('u.passkey_handle').$castTo<string | null>().as('handle'),
    jsonAs(eb.selectFrom('otp_passkey as k')
      .innerJoin('otp_device as d', (join) => join.onRef('d.user_id', '=', 'k.user_id').onRef('d.id', '=', 'k.device_id'))
      .select((eb) => jsonBuildObject({
        deviceId: eb.ref('k.device_id'), publicKey: toHex('k.public_key'), backupEligible: eb.ref('k.backup_eligible')
      }).as('passkey'))
      .where('k.user_id', '=', p.userId).where('k.credential_id', '=', typed(p.credentialId, 'bytea') as Expression<Buffer>)
      .where('k.rp_id', '=', p.rpId).where('d.confirmed_at', 'is not', null).$asScalar(), 'passkey')
  ]))

/**
 * Statement 1: consumes the challenge, in its own transaction, before anything is verified. So of fifty answers at once one has
 * a challenge, and a later fault grants nothing.
 *
 * @param credentialId id in the answer, to find the passkey of this user; null for a registration
 */
export async function consumeChallenge (
  db: Db, { context: { userId, sessionId } }: Requester, purpose: Purpose,
  { credentialId, rpId }: { credentialId: Buffer | null, rpId: string }
): Promise<ConsumedChallenge> {
  const { challenge, handle, passkey, ...facts } = (await consume.first(db, {
    userId, sessionId, purpose, isVerification: purpose === 'verify', credentialId, rpId
  }))!
  return {
    ...facts,
    challenge: challenge === null ? null : fromHex(challenge),
    userHandle: handle === null ? null : fromHex(handle),
    passkey: passkey === null || credentialId === null ? null : { ...passkey, credentialId, publicKey: fromHex(passkey.publicKey) }
  }
}

type Refusing = RequesterValues & { deviceId: string | null, signCount: number }

const refuse = statement('refuse_passkey', (db, p: Parameters<Refusing>, facts) => withEvent(
  withNow(db).with('requester', (db) => selectLiving(db, p))
    .with('copied', (db) => db.selectNoFrom((eb) => eb.selectFrom('otp_passkey as k')
      .innerJoin('otp_device as d', (join) => join.onRef('d.user_id', '=', 'k.user_id').onRef('d.id', '=', 'k.device_id'))
      .select('d.name').where('k.user_id', '=', p.userId).where('k.device_id', '=', typed(p.deviceId, 'uuid'))
      .where('k.sign_count', '>', eb.cast<string>(eb.lit(0), 'bigint'))
      .where('k.sign_count', '>=', typed(p.signCount, 'bigint') as Expression<unknown> as Expression<string>).as('name'))),
  facts, (db) => db.selectFrom(['requester', 'copied', 'now']), (eb) => ({
    ...byRequester(p),
    kind: eb.case().when('copied.name', 'is', null).then(textOf<string>('passkey_refused')).else(textOf<string>('passkey_cloned')).end(),
    deviceName: eb.ref('copied.name')
  })
).selectFrom('requester').select('requester.user_id'))

/**
 * Records that an answer was refused.
 *
 * @param asserted the right assertion of a passkey that was refused after all: if its counter did not rise, there may be a copy
 * @returns false if the session had ended
 */
export const refusePasskey = async (
  db: Db, requester: Requester, asserted: { deviceId: string, signCount: number } | null
): Promise<boolean> => await refuse.first(db, {
  ...requesterValues(requester), deviceId: asserted?.deviceId ?? null, signCount: asserted?.signCount ?? 0
}) !== undefined
