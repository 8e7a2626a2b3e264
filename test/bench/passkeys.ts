import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import type { RelyingParty } from '../../src/core/passkeys/webauthn.js'
import { creationOptions, requestOptions } from '../../src/factors/passkeys/options.js'
import { verifyRegistration } from '../../src/factors/passkeys/webauthn.js'
import { rows } from '../../src/tables/db.js'
import { softPasskey } from '../../src/testing/soft-passkey.js'
import { newIds, putSessions } from '../load/stock.js'
import { makeKnown, verifying } from './codes.js'
import { interleave, portionsFor, requester, supply, type Contestant, type Process } from './contest.js'
import { get, post } from './generator.js'
import { atMostOf, rowOf } from './rows.js'
import type { Work } from './run.js'
import type { Stage } from './stage.js'

const AT_ONCE = 32
const ORIGIN = 'https://app.example.org'
const PARTY: RelyingParty = { rpId: 'app.example.org', rpName: 'Bench', origins: [ORIGIN], userVerification: 'preferred' }

/** `POST /totp/passkeys/login`: an accepted answer, one per user, beside an accepted code at the same service. */
export const passkeys: Work = async (stage, _owner, { writingRounds, verifications }) => {
  // A passkey is made for each, which costs the client a millisecond.
  const times = Math.max(verifications / 5, 100)
  const service = await stage.service({ PASSKEY_ORIGINS: ORIGIN })
  const { code, passkey } = await interleave({
    code: await verifying(stage, 'accepted code, each user once', service, times, writingRounds),
    passkey: await asserting(stage, service, times, writingRounds)
  }, { rounds: writingRounds, times, atOnce: AT_ONCE })
  return [
    rowOf('`POST /totp/login`', code),
    rowOf('`POST /totp/passkeys/login`', passkey, { verdicts: [atMostOf(code, passkey, 1.3)] })
  ]
}

async function asserting (stage: Stage, process: Process, times: number, rounds: number): Promise<Contestant> {
  const users = await putPasskeys(stage, times * portionsFor(rounds))
  const { next, nextPortion } = supply(users, times)
  return requester('accepted, each user once', process, () => next().login(), { prepare: () => makeKnown(process, nextPortion()) })
}

/** Inserts users with a passkey, and a session of each that owes a proof and has a challenge. */
async function putPasskeys ({ db, issue }: Stage, count: number) {
  const challenges = new Map<string, Buffer>(newIds(count).map((userId) => [userId, randomBytes(32)]))
  const sessions = await putSessions(db, [...challenges.keys()], { verified: false })
  const made = await Promise.all(sessions.map(async ({ userId, sessionId }) => {
    const soft = softPasskey({ origin: ORIGIN })
    const userHandle = randomBytes(32)
    const challenge = challenges.get(userId)!
    const options = creationOptions(PARTY, { challenge, challengeSeconds: 300, userHandle, label: userId, known: [] })
    const stored = (await verifyRegistration(PARTY, challenge, soft.register(options)))!
    return { userId, sessionId, soft, userHandle, challenge, stored }
  }))
  const column = <T>(of: (one: typeof made[number]) => T) => made.map(of)
  await rows(db, sql`
    with given as (
      select *, gen_random_uuid() as device_id, clock_timestamp() as at
      from unnest(
        ${column((one) => one.userId)}::text[], ${column((one) => one.sessionId)}::text[], ${column((one) => one.userHandle)}::bytea[],
        ${column((one) => one.stored.credentialId)}::bytea[], ${column((one) => one.stored.publicKey)}::bytea[],
        ${column((one) => one.challenge)}::bytea[]
      ) as given (user_id, session_id, handle, credential_id, public_key, challenge)
    ),
    owner as (
      update ${db.table.otp_user} u set passkey_handle = given.handle from given where u.user_id = given.user_id returning u.user_id
    ),
    device as (
      insert into ${db.table.otp_device} (user_id, id, kind, name, created_at, confirmed_at)
      select user_id, device_id, 'passkey', 'Passkey', at, at from given
    ),
    passkey as (
      insert into ${db.table.otp_passkey}
        (user_id, device_id, credential_id, public_key, algorithm, sign_count, transports, aaguid, backup_eligible, backed_up, rp_id)
      select user_id, device_id, credential_id, public_key, -7, 1, '{internal}', '00000000-0000-0000-0000-000000000000', false, false,
        ${PARTY.rpId} from given
    )
    insert into ${db.table.otp_challenge} (user_id, session_id, purpose, challenge, expires_at, created_at)
    select user_id, session_id, 'verify', challenge, at + interval '1 day', at from given`)
  await rows(db, sql`analyze`)
  return made.map(({ userId, soft, challenge, stored }, i) => {
    const { access } = issue(sessions[i]!)
    const options = requestOptions(PARTY, { challenge, challengeSeconds: 300, known: [stored] })
    if (sessions[i]!.userId !== userId) throw new Error('The order of the sessions changed')
    return {
      status: get('/totp/status', access),
      login: () => post('/totp/passkeys/login', { response: soft.authenticate(options) }, access)
    }
  })
}
