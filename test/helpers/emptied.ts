import type { Fresh } from './app.js'

/**
 * The same app with nobody in it, and its clock running: for files of many tests, since an embedded database takes
 * seconds to begin. The key of the digests stays, the process knows it.
 */
export async function emptied (fresh: Fresh): Promise<Fresh> {
  await fresh.clock.unfreeze()
  await fresh.db.query('truncate account, account_network, password_budget, otp_user, otp_device, otp_recovery_code, otp_session, otp_event')
  return fresh
}
