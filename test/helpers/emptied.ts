import type { Fresh } from './app.js'

const TABLES = [
  'account', 'account_import', 'account_network', 'account_oauth_profile', 'password_budget', 'otp_user', 'otp_device',
  'otp_challenge', 'otp_recovery_code', 'otp_session', 'otp_revocation', 'otp_delivery', 'otp_event', 'otp_event_counter'
]

/**
 * Returns the same app without users, with a running clock: for files with many tests, because the start of an embedded
 * database takes seconds. Keeps the key of the digests, which the process has in memory, and the current policy.
 */
export async function emptied (fresh: Fresh): Promise<Fresh> {
  await fresh.clock.unfreeze()
  // One table at a time, without `truncate`: cleanup runs at the same time, and the two must not wait for each other.
  for (const table of TABLES) await fresh.db.query(`delete from ${table}`)
  return fresh
}
