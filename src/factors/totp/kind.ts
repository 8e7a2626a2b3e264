import { amr } from '../../core/assurance.js'
import { committing, type ProofKind } from '../commit.js'
import { confirming, confirmingProven, type FirstProofKind } from '../confirm.js'
import { acceptedCode } from '../lockout-statements.js'
import type { Db } from '../../tables/db.js'
import { statement, type Parameters } from '../../tables/statement.js'
import { textOf } from '../../tables/values.js'

export interface Match {
  deviceId: string
  step: number
  /** The secret sealed with the newest key, if an older one had sealed it. */
  resealed: string | null
}

/** Proof by a code of an authenticator app. It consumes its step: the code and all earlier ones are refused from then on. */
export const totpProof: ProofKind<Match> = {
  kind: 'totp',
  amr: amr.totp,
  acr: null,
  by: 'device',
  event: 'otp_verified',
  consume: (db, p) => db.with('consumed', (db) => db.updateTable('otp_totp as f').from(['otp_device as d', 'requester', 'now'])
    .set((eb) => ({
      last_step: p.step,
      last_used_at: eb.ref('now.at'),
      secret: eb.fn.coalesce(textOf(p.resealed), 'f.secret'),
      other_secret: null,
      other_secret_until: null
    }))
    .whereRef('f.user_id', '=', 'requester.user_id').where('f.device_id', '=', p.deviceId).where('f.last_step', '<', p.step)
    .whereRef('d.user_id', '=', 'f.user_id').whereRef('d.id', '=', 'f.device_id').where('d.confirmed_at', 'is not', null)
    .returning((eb) => [
      'd.user_id', eb.cast<string>('d.id', 'text').as('id'), 'd.name', eb.case().when('f.weak', '=', true).then('weak').end().as('detail')
    ])),
  counts: acceptedCode,
  sparesVerified: true,
  ends: 'own',
  staysVerified: true,
  isVersioned: true,
  change: {}
}

export const commitVerified = committing(totpProof)

const selectUsed = statement('is_step_used', (db, p: Parameters<{ userId: string, deviceId: string, step: number }>) => db
  .selectFrom('otp_totp').select('device_id').where('user_id', '=', p.userId).where('device_id', '=', p.deviceId)
  .where('last_step', '>=', p.step))

/** Returns true if the step of a code that was not committed is used; false if the session or the factors changed meanwhile. */
export const isUsed = async (db: Db, userId: string, { deviceId, step }: Match): Promise<boolean> =>
  await selectUsed.first(db, { userId, deviceId, step }) !== undefined

/** First code of an authenticator app. */
export const firstCode: FirstProofKind<Match> = {
  ...totpProof,
  kind: 'totp',
  use: (db, p) => db.with('used', (db) => db.updateTable('otp_totp as f').from(['consumed', 'now'])
    .set((eb) => ({ last_used_at: eb.ref('now.at'), last_step: p.step, secret: eb.fn.coalesce(textOf(p.resealed), 'f.secret') }))
    .whereRef('f.user_id', '=', 'consumed.user_id').where('f.device_id', '=', p.deviceId))
}

export const confirmTotp = confirming(firstCode)
export const confirmProvenTotp = confirmingProven(firstCode)
