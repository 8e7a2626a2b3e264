import { sql, type Expression } from 'kysely'
import type { Requester } from '../../core/session.js'
import { byRequester, requesterValues, withEvent, type RequesterValues } from '../../events/insert.js'
import { livingSession, selectLiving } from '../../sessions/statements.js'
import { row, type Db } from '../../tables/db.js'
import { statement, type Parameters } from '../../tables/statement.js'
import { jsonAs, now, textOf, timeAs, typed, withNow } from '../../tables/values.js'
import type { KnownPasskey } from './options.js'
import type { JudgedPasskey } from './webauthn.js'

/** Purpose of a challenge: an answer for one purpose is wrong for the other. */
export type Purpose = 'register' | 'verify'

/** Challenges of one session in a minute. */
const MOST_CHALLENGES = 20

const fromHex = (text: string): Buffer<ArrayBuffer> => Buffer.from(text, 'hex')

export interface OwnPasskeys { userHandle: Buffer | null, known: KnownPasskey[] }

/** Returns the user's confirmed passkeys of a relying party, and the user handle. */
export async function readOwnPasskeys (db: Db, userId: string, rpId: string): Promise<OwnPasskeys> {
  const { table } = db
  const found = await row<{ handle: string | null, passkeys: Array<{ id: string, transports: string[] }> }>(db, sql`
    select (select encode(u.passkey_handle, 'hex') from ${table.otp_user} u where u.user_id = ${userId}) as handle,
      ${jsonAs(sql`coalesce((
        select json_agg(json_build_object('id', encode(p.credential_id, 'hex'), 'transports', p.transports) order by d.created_at)
        from ${table.otp_passkey} p join ${table.otp_device} d on d.user_id = p.user_id and d.id = p.device_id
        where p.user_id = ${userId} and p.rp_id = ${rpId} and d.confirmed_at is not null), '[]'::json)`, 'passkeys')}`)
  const { handle, passkeys } = found!
  const known = passkeys.map(({ id, transports }) => ({ credentialId: fromHex(id), transports }))
  return { userHandle: handle === null ? null : fromHex(handle), known }
}

/** Gives the user a handle, if there is none yet. Returns the one in force. */
export async function putUserHandle (db: Db, userId: string, handle: Buffer): Promise<Buffer> {
  const found = await row<{ handle: string }>(db, sql`
    update ${db.table.otp_user} u set passkey_handle = coalesce(u.passkey_handle, ${handle}::bytea)
    where u.user_id = ${userId} returning encode(u.passkey_handle, 'hex') as handle`)
  return fromHex(found!.handle)
}

export interface NewChallenge {
  purpose: Purpose
  challenge: Buffer
  /** Pending passkey that a registration is for. */
  deviceId: string | null
  seconds: number
}

/**
 * Stores the one outstanding challenge of this session and purpose. The session counts its challenges of both purposes.
 *
 * @returns `expiresAt` null if there were too many, or the session ended
 */
export async function issueChallenge (
  db: Db, requester: Requester, { purpose, challenge, deviceId, seconds }: NewChallenge
): Promise<{ alive: boolean, expiresAt: Date | null }> {
  const { table } = db
  const isOver = sql`(s.challenges_since is null or s.challenges_since <= now.at - interval '1 minute')`
  const found = await row<{ alive: boolean, expiresAt: Date | null }>(db, sql`
    with ${now},
    requester as (${livingSession(db, requester)}),
    counted as (
      update ${table.otp_session} s set
        challenges = case when ${isOver} then 1 else s.challenges + 1 end,
        challenges_since = case when ${isOver} then now.at else s.challenges_since end
      from requester, now
      where s.user_id = requester.user_id and s.id = requester.id and s.ended_at is null
        and (${isOver} or s.challenges < ${MOST_CHALLENGES})
      returning s.user_id, s.id
    ),
    put as (
      insert into ${table.otp_challenge} as c (user_id, session_id, purpose, challenge, device_id, expires_at, created_at)
      select user_id, id, ${purpose}, ${challenge}::bytea, ${deviceId}::uuid, now.at + make_interval(secs => ${seconds}), now.at
      from counted, now
      on conflict (user_id, session_id, purpose) do update set
        challenge = excluded.challenge, device_id = excluded.device_id, expires_at = excluded.expires_at, created_at = excluded.created_at
      returning c.expires_at
    )
    select exists (select from requester) as alive, ${timeAs(sql`(select expires_at from put)`, 'expiresAt')} from now`)
  return found!
}

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

interface FoundChallenge {
  alive: boolean
  version: number
  isSetUp: boolean
  challenge: string | null
  pendingId: string | null
  handle: string | null
  passkey: { deviceId: string, publicKey: string, backupEligible: boolean } | null
}

/**
 * Statement 1: consumes the challenge, in its own transaction, before anything is verified. So of fifty answers at once one has
 * a challenge, and a later fault grants nothing.
 *
 * @param credentialId id in the answer, to find the passkey of this user; null for a registration
 */
export async function consumeChallenge (
  db: Db, requester: Requester, purpose: Purpose, { credentialId, rpId }: { credentialId: Buffer | null, rpId: string }
): Promise<ConsumedChallenge> {
  const { table } = db
  const { userId, sessionId } = requester.context
  const found = await row<FoundChallenge>(db, sql`
    with ${now},
    requester as (${livingSession(db, requester)}),
    consumed as (
      update ${table.otp_challenge} c set expires_at = c.created_at
      from requester, now
      where c.user_id = requester.user_id and c.session_id = requester.id and c.purpose = ${purpose} and c.expires_at > now.at
      returning c.challenge, c.device_id
    )
    select exists (select from requester) as alive, coalesce(u.version, 0) as version,
      exists (select from ${table.otp_device} d where d.user_id = ${userId} and d.kind = 'passkey'
        and case when ${purpose === 'verify'}::boolean then d.confirmed_at is not null
          else d.confirmed_at is null and d.session_id = ${sessionId} and d.expires_at > now.at end) as "isSetUp",
      (select encode(challenge, 'hex') from consumed) as challenge, (select device_id from consumed) as "pendingId",
      encode(u.passkey_handle, 'hex') as handle,
      ${jsonAs(sql`(
        select json_build_object('deviceId', p.device_id, 'publicKey', encode(p.public_key, 'hex'), 'backupEligible', p.backup_eligible)
        from ${table.otp_passkey} p join ${table.otp_device} d on d.user_id = p.user_id and d.id = p.device_id
        where p.user_id = ${userId} and p.credential_id = ${credentialId}::bytea and p.rp_id = ${rpId} and d.confirmed_at is not null
      )`, 'passkey')}
    from now left join ${table.otp_user} u on u.user_id = ${userId}`)
  const { challenge, handle, passkey, ...facts } = found!
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
