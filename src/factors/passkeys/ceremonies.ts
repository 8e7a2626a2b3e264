import { randomBytes } from 'node:crypto'
import { Refusal } from '../../core/refusals.js'
import type { Requester, AnsweredSession } from '../../core/session.js'
import type {
  AuthenticationResponseJSON, PublicKeyCredentialCreationOptionsJSON, PublicKeyCredentialRequestOptionsJSON, RegistrationResponseJSON,
  RelyingParty
} from '../../core/passkeys/webauthn.js'
import { isUniqueViolation } from '../../postgres/errors.js'
import { sessionEnded } from '../../sessions/session-ended.js'
import { released } from '../attempts.js'
import { announce, nextSessionId, type OtpDeps } from '../deps.js'
import { enrol, type Enrolment, type EnrolmentRequest } from '../enrolment.js'
import { commitAsserted, confirmRegistered } from './kind.js'
import { creationOptions, requestOptions } from './options.js'
import {
  consumeChallenge, issueChallenge, putUserHandle, readOwnPasskeys, refusePasskey, type OwnPasskeys
} from './statements.js'
import { verifyAssertion, verifyRegistration } from './webauthn.js'

export interface PasskeyDeps extends OtpDeps { party: RelyingParty }

/** WebAuthn L3 §13.4.3: at least 16 random bytes. */
const CHALLENGE_BYTES = 32
const HANDLE_BYTES = 32
export const CHALLENGE_SECONDS = 300

/**
 * Begins the set-up of a passkey. Called again by the same session it answers a new challenge and the same recovery codes.
 *
 * @param label account name that authenticators show
 */
export async function enrolPasskey (
  deps: PasskeyDeps, requester: Requester, label: string, request: EnrolmentRequest
): Promise<Enrolment & { options: PublicKeyCredentialCreationOptionsJSON }> {
  const { party, settings } = deps
  const { userId } = requester.context
  const challenge = randomBytes(CHALLENGE_BYTES)
  const challengeSeconds = Math.min(CHALLENGE_SECONDS, settings.setupSeconds)
  let own: OwnPasskeys = { userHandle: null, known: [] }
  const enrolment = await enrol(deps, requester, 'passkey', request, async (tx, { id }) => {
    const userHandle = await putUserHandle(tx, userId, randomBytes(HANDLE_BYTES))
    own = { ...await readOwnPasskeys(tx, userId, party.rpId), userHandle }
    const issued = await issueChallenge(tx, requester, { purpose: 'register', challenge, deviceId: id, seconds: challengeSeconds })
    requireIssued(deps, requester, issued)
  })
  const { deviceId, recoveryCodes, expiresAt } = enrolment
  const options = creationOptions(party, { challenge, challengeSeconds, userHandle: own.userHandle!, label, known: own.known })
  return { deviceId, options, recoveryCodes, expiresAt }
}

/** Confirms this session's pending passkey. @throws {Refusal} */
export async function confirmPasskey (
  deps: PasskeyDeps, requester: Requester, response: RegistrationResponseJSON
): Promise<AnsweredSession> {
  const { db, party, settings, counters } = deps
  const consumed = await consumeChallenge(db, requester, 'register', { credentialId: null, rpId: party.rpId })
  if (!consumed.alive) throw sessionEnded(deps, requester)
  const registered = await verifyRegistration(party, consumed.challenge ?? randomBytes(CHALLENGE_BYTES), response)
  const proof = registered === null || consumed.pendingId === null
    ? null
    : { ...registered, deviceId: consumed.pendingId, rpId: party.rpId }
  const committed = proof === null
    ? null
    : await confirmRegistered(db, requester, proof, nextSessionId(deps, requester), settings).catch((error: unknown) => {
      // A user has registered the credential already (WebAuthn L3 §7.1 step 27).
      if (isUniqueViolation(error)) return null
      throw error
    })
  if (committed !== null) {
    counters.count('codes_total', ['passkey', 'accepted'])
    return announce(deps, requester, committed, 'enabled')
  }
  if (!consumed.isSetUp) throw new Refusal('OTP_NOT_SET_UP')
  throw await refused(deps, requester, null)
}

/** Returns a new challenge for a confirmed passkey of the user. @throws {Refusal} */
export async function challengePasskey (
  deps: PasskeyDeps, requester: Requester
): Promise<{ options: PublicKeyCredentialRequestOptionsJSON, expiresAt: Date }> {
  const { db, party } = deps
  const { known } = await readOwnPasskeys(db, requester.context.userId, party.rpId)
  if (known.length === 0) throw new Refusal('OTP_NOT_SET_UP')
  const challenge = randomBytes(CHALLENGE_BYTES)
  const issued = await issueChallenge(db, requester, { purpose: 'verify', challenge, deviceId: null, seconds: CHALLENGE_SECONDS })
  const expiresAt = requireIssued(deps, requester, issued)
  return { options: requestOptions(party, { challenge, challengeSeconds: CHALLENGE_SECONDS, known }), expiresAt }
}

/**
 * Verifies the session with a passkey, or renews its proof. Bad answers count against nothing, and no lock of codes stops a right
 * one.
 *
 * @throws {Refusal}
 */
export async function verifyPasskey (
  deps: PasskeyDeps, requester: Requester, response: AuthenticationResponseJSON
): Promise<AnsweredSession> {
  const { db, party, settings, counters } = deps
  const credentialId = Buffer.from(response.id, 'base64url')
  const consumed = await consumeChallenge(db, requester, 'verify', { credentialId, rpId: party.rpId })
  if (!consumed.alive) throw sessionEnded(deps, requester)
  const { passkey, version } = consumed
  const userHandle = consumed.userHandle ?? randomBytes(HANDLE_BYTES)
  const judged = await verifyAssertion(party, consumed.challenge ?? randomBytes(CHALLENGE_BYTES), { passkey, userHandle }, response)
  const asserted = judged === null || passkey === null ? null : { ...judged, deviceId: passkey.deviceId, version }
  const committed = asserted === null ? null : await commitAsserted(db, requester, asserted, nextSessionId(deps, requester), settings)
  if (committed === null) throw await refused(deps, requester, asserted)
  released(deps, requester.context.userId)
  counters.count('codes_total', ['passkey', 'accepted'])
  return announce(deps, requester, committed, 'verified')
}

async function refused (
  deps: PasskeyDeps, requester: Requester, asserted: { deviceId: string, signCount: number } | null
): Promise<Refusal> {
  deps.counters.count('codes_total', ['passkey', 'refused'])
  return await refusePasskey(deps.db, requester, asserted) ? new Refusal('PASSKEY_INVALID') : sessionEnded(deps, requester)
}

function requireIssued (deps: OtpDeps, requester: Requester, { alive, expiresAt }: { alive: boolean, expiresAt: Date | null }): Date {
  if (!alive) throw sessionEnded(deps, requester)
  if (expiresAt === null) throw new Refusal('RATE_LIMITED', { retryAfterSeconds: 60, hint: { key: 'manyChallenges' } })
  return expiresAt
}
