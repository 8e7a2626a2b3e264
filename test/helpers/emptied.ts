import type { Fresh } from './app.js'

const TABLES = ['account', 'account_import', 'account_network', 'account_oauth_profile', 'password_budget', 'otp_user', 'otp_device', 'otp_recovery_code', 'otp_session', 'otp_event', 'otp_event_counter']

/**
 * The same app with nobody in it, and its clock running: for files of many tests, since an embedded database takes
 * seconds to begin. The key of the digests stays, the process knows it, and so does the policy in force.
 */
export async function emptied (fresh: Fresh): Promise<Fresh> {
  await fresh.clock.unfreeze()
  // One by one, and no truncation: the app sweeps meanwhile, and neither may wait for the other.
  for (const table of TABLES) await fresh.db.query(`delete from ${table}`)
  return fresh
}
