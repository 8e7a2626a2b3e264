import { amr, PHISHING_RESISTANT } from '../../core/assurance.js'
import { insertFrom } from '../../tables/insert-from.js'
import { typed } from '../../tables/values.js'
import { committing, type ProofKind } from '../commit.js'
import { confirming, type FirstProofKind } from '../confirm.js'
import { releasedLock } from '../lockout-statements.js'
import type { Assertion, RegisteredPasskey } from './webauthn.js'

/**
 * Proof by a passkey: stores the counter, which must have risen, or be 0 for ever (WebAuthn L3 §7.2 step 22). It clears the lock of
 * codes and ends the user's unverified sessions, as a recovery code does. The slow count of wrong codes stays: owners use a passkey
 * each day, and guesses between two uses must add up.
 */
export const passkeyProof: ProofKind<Assertion & { deviceId: string }> = {
  kind: 'passkey',
  amr: amr.passkey,
  acr: PHISHING_RESISTANT,
  by: 'device',
  event: 'otp_verified',
  consume: (db, p) => db.with('consumed', (db) => db.updateTable('otp_passkey as k').from(['otp_device as d', 'requester', 'now'])
    .set((eb) => ({ sign_count: p.signCount, backed_up: p.backedUp, last_used_at: eb.ref('now.at') }))
    .whereRef('k.user_id', '=', 'requester.user_id').where('k.device_id', '=', p.deviceId)
    .where((eb) => eb.or([
      eb('k.sign_count', '<', p.signCount as never),
      eb.and([eb('k.sign_count', '=', 0 as never), eb(typed(p.signCount, 'bigint'), '=', eb.lit(0))])
    ]))
    .whereRef('d.user_id', '=', 'k.user_id').whereRef('d.id', '=', 'k.device_id').where('d.confirmed_at', 'is not', null)
    .returning((eb) => [
      'd.user_id', eb.cast<string>('d.id', 'text').as('id'), 'd.name', eb.cast<string | null>(eb.lit(null), 'text').as('detail')
    ])),
  counts: () => releasedLock,
  sparesVerified: false,
  ends: 'unverified',
  staysVerified: true,
  isVersioned: true,
  change: {}
}

export const commitAsserted = committing(passkeyProof)

/** Registration of a passkey as its first proof. Another passkey with that id is a unique violation. */
export const firstAssertion: FirstProofKind<RegisteredPasskey & { rpId: string }> = {
  ...passkeyProof,
  kind: 'passkey',
  use: (db, p) => db.with('used', (db) => insertFrom(db, 'otp_passkey', (db) => db.selectFrom(['consumed', 'now']), (eb) => ({
    user_id: eb.ref('consumed.user_id'),
    device_id: typed<string>(eb.ref('consumed.id'), 'uuid'),
    rp_id: typed(p.rpId, 'text'),
    credential_id: typed(p.credentialId, 'bytea'),
    public_key: typed(p.publicKey, 'bytea'),
    algorithm: typed<number>(p.algorithm, 'integer'),
    sign_count: typed(p.signCount, 'bigint'),
    transports: typed(p.transports, 'text[]'),
    aaguid: typed(p.aaguid, 'uuid'),
    backup_eligible: typed(p.backupEligible, 'boolean'),
    backed_up: typed(p.backedUp, 'boolean'),
    last_used_at: eb.ref('now.at')
  }))) as never
}

export const confirmRegistered = confirming(firstAssertion)
